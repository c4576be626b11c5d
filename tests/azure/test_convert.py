"""The verb convert, and what check tells of Azure's JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.cli import main
from nsgd.config.load import Document, load_documents
from tests.azure.resources import flatten, nic, nsg, resource, rule, vnet

NATIVE = """\
virtualNetworks:
  - {name: hub, addressSpace: [10.0.0.0/16], onPremises: [192.168.0.0/16],
     subnets: [{name: web, addressPrefix: 10.0.1.0/24}]}
daemon: {mode: audit}
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Azure's JSON in two files."""
    groups, network = tmp_path / "groups.json", tmp_path / "network.json"
    groups.write_text(json.dumps(flatten([nsg(rule()), resource("publicIPAddresses", "p", {})])))
    network.write_text(json.dumps({"value": [vnet(), nic()]}))
    return [str(groups), str(network)]


@pytest.mark.parametrize("output", ["yaml", "json", "arm"])
def test_what_is_printed_is_the_same_policy(
    output: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """In each of the three forms."""
    assert main(["convert", "--config", *files, "-o", output]) == 0
    printed = capsys.readouterr()
    documents = [Document(name, Path(name).read_bytes()) for name in files]
    expected = load_documents(documents)
    again = load_documents([Document("again", printed.out.encode())])
    assert again.model == expected.model
    assert printed.err == "note: read over: 1 of type Microsoft.Network/publicIPAddresses\n"


def test_yaml_is_the_default(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """For people."""
    assert main(["convert", "--config", *files]) == 0
    assert capsys.readouterr().out.startswith("virtualNetworks:\n  - name: hub\n")


def test_azure_has_no_place_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What decides is not lost in silence."""
    path = tmp_path / "native.yaml"
    path.write_text(NATIVE)
    arguments = ["convert", "--config", str(path), "-o", "arm"]
    assert main(arguments) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "note: left out: onPremises of virtual network hub\n" in printed.err
    assert "--partial" in printed.err
    assert main([*arguments, "--partial"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["value"][0]["name"] == "hub"
    assert printed.err.splitlines() == [
        "note: left out: onPremises of virtual network hub",
        "note: left out: daemon",
    ]


def test_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As by check: every problem, and nothing printed."""
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(nsg(rule(priority=1))))
    assert main(["convert", "--config", str(path)]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "bad.json:1: properties.securityRules[0].properties.priority: " in printed.err


def test_check_tells_notes_on_request(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Their number always."""
    assert main(["check", *files]) == 0
    printed = capsys.readouterr()
    assert "(1 note: --notes)" in printed.out
    assert printed.err == ""
    assert main(["check", "--notes", *files]) == 0
    assert "read over: 1 of type" in capsys.readouterr().err
