"""The verb diff as its user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.cli import main

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "examples" / "three-tier.yaml"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The example with SSH from private addresses only."""
    text = EXAMPLE.read_text()
    assert text.count("sourceAddressPrefix: 0.0.0.0/0") == 1
    path = tmp_path / "new.yaml"
    path.write_text(
        text.replace("sourceAddressPrefix: 0.0.0.0/0", "sourceAddressPrefix: 10.0.0.0/8")
    )
    return path


def test_equal_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """No output, and 0."""
    assert main(["diff", str(EXAMPLE), str(EXAMPLE)]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_change(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As docs/policy-analysis.md shows it."""
    assert main(["diff", str(EXAMPLE), str(changed)]) == 1
    shown = capsys.readouterr().out
    page = (EXAMPLE.parent.parent / "policy-analysis.md").read_text()
    block = page.split("new-policy.yaml\n")[1].split("```")[0]
    assert shown == block
    assert "web2" not in shown  # its own group lets no SSH in


def test_a_change_as_json(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With every prefix, and the witness in IP flow verify's words."""
    assert main(["diff", str(EXAMPLE), str(changed), "-o", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert not answer["isEqual"]
    assert answer["undetermined"] == answer["onlyInOld"] == answer["onlyInNew"] == []
    of_web1 = next(
        each
        for each in answer["differences"]
        if each["sites"][0]["new"] == {"kind": "networkInterface", "name": "web1"}
    )
    (change,) = of_web1["changes"]
    assert change["old"] == {
        "access": "Allow",
        "ruleName": "securityRules/AllowSshFromIPv4",
        "networkSecurityGroup": "web",
    }
    (box,) = change["boxes"]
    assert box["protocols"] == ["6"]
    assert "10.0.1.0/30" in box["destinations"]  # not 10.0.1.5, which is web2
    assert "10.0.1.4/31" not in box["destinations"]
    assert box["destinationPorts"] == ["22"]
    assert "11.0.0.0/8" in box["sources"]
    assert "10.0.0.0/8" not in box["sources"]
    assert change["witness"] == {
        "protocol": "Tcp",
        "source": "203.0.113.7",
        "destination": "10.0.1.4",
        "sourcePort": 50000,
        "destinationPort": 22,
    }


def test_old_of_several_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--old takes them; the others are NEW. What of the daemon differs is noted."""
    more, last = tmp_path / "more.yaml", tmp_path / "new.yaml"
    more.write_text("networkSecurityGroups: [{name: spare}]\n")
    last.write_text(EXAMPLE.read_text().replace("\ndaemon:\n", "\ndaemon:\n  adoptSeconds: 7\n"))
    assert last.read_text() != EXAMPLE.read_text()
    assert main(["diff", str(last), "--old", str(EXAMPLE), str(more)]) == 0
    assert "daemon sections differ" in capsys.readouterr().err


def test_beyond_the_budget(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said where, and the exit code is its own."""
    assert main(["diff", str(EXAMPLE), str(changed), "--budget", "1"]) == 6
    assert "network interface web1" in (shown := capsys.readouterr().out)
    assert "undetermined: too many cases" in shown


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([EXAMPLE], "name OLD and NEW"),
        ([EXAMPLE, EXAMPLE, EXAMPLE], "name OLD and NEW"),
        ([EXAMPLE, "--against-running", "--old", EXAMPLE], "name NEW alone"),
    ],
)
def test_wrong_usage(words: list[object], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is read."""
    assert main(["diff", *map(str, words)]) == 2
    assert text in capsys.readouterr().err


def test_refused_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As check refuses them."""
    path = tmp_path / "bad.yaml"
    path.write_text("virtualNetworks: 3\n")
    assert main(["diff", str(EXAMPLE), str(path)]) == 3
    assert "bad.yaml:1: virtualNetworks" in capsys.readouterr().err
