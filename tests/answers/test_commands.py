"""The verbs effective-rules and ip-flow-verify as their user sees them."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from nsgd.cli import main

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "examples" / "three-tier.yaml"
HTTP = ("--protocol", "TCP", "--local", "10.0.1.4:80", "--remote", "203.0.113.7:*")
LINE = {
    "direction": "Inbound",
    "protocol": "TCP",
    "localIPAddress": "10.0.1.4",
    "localPort": "80",
    "remoteIPAddress": "203.0.113.7",
    "remotePort": "50000",
}


def verify(*words: str, config: Path = EXAMPLE) -> int:
    """Run ip-flow-verify on a document."""
    return main(["ip-flow-verify", "--config", str(config), *words])


def test_ip_flow_verify(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says it; the groups follow. As JSON it is Azure's answer."""
    assert verify("--direction", "Inbound", *HTTP) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Allow by securityRules/AllowWebFromInternet of web"
    assert verify("--direction", "inbound", *HTTP, "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "access": "Allow",
        "ruleName": "securityRules/AllowWebFromInternet",
        "ruleId": "",
        "networkSecurityGroup": "web",
    }


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    """Rule by rule; as JSON it is NSG diagnostics."""
    assert verify("--direction", "Inbound", *HTTP, "--explain") == 0
    assert "securityRules/AllowWebFromInternet  Allow   matches" in capsys.readouterr().out
    assert verify("--direction", "Inbound", *HTTP, "--explain", "-o", "json") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["networkSecurityGroupResult"]["securityRuleAccessResult"] == "Allow"


def test_both_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """From and to, by name or address."""
    assert verify("--from", "web1", "--to", "app1", "--protocol", "TCP", "--port", "8080") == 0
    assert capsys.readouterr().out.startswith("10.0.1.4 -> 10.0.2.4: ")
    assert verify("--from", "web1", "--to", "app1", "--protocol", "ICMP", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["destination"] == "10.0.2.4"


def test_effective_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """A table for people, Azure's answer as JSON."""
    command = ["effective-rules", "--config", str(EXAMPLE), "--nic", "WEB1"]
    assert main([*command, "-o", "json"]) == 0
    element = json.loads(capsys.readouterr().out)["value"][0]
    assert element["association"] == {"subnet": {"id": "lab/web"}}
    assert main(command) == 0
    text = capsys.readouterr().out
    assert text.startswith("web (subnet lab/web)\nDirection  Priority  Name ")
    assert text.count("\nInternet: ") == 1
    assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "missing: --direction, --protocol, --local, --remote"),
        (("--direction", "Inbound", *HTTP[:4]), 2, "missing: --remote"),
        (("--from", "web1", "--protocol", "TCP"), 2, "missing: --to, --port"),
        (("--from", "web1", "--to", "app1", "--protocol", "TCP"), 2, "missing: --port"),
        (("--batch", "-", "--nic", "web1"), 2, "--nic does not go with --batch"),
        (("--direction", "In", *HTTP), 1, "direction: 'In' is neither Inbound nor Outbound"),
        (("--nic", "web2", "--direction", "Inbound", *HTTP), 1, "10.0.1.4 is no address of"),
        (("--nic", "web7", "--direction", "Inbound", *HTTP), 1, "there is no network interface"),
        (("--batch", "/nowhere"), 1, "/nowhere: No such file or directory; check the path"),
        (("--running",), 2, "missing: --direction"),
        (("--running", "--direction", "Inbound", *HTTP), 2, "either documents with --config or"),
    ],
)
def test_refused(
    words: Sequence[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing on stdout, one line on stderr."""
    assert verify(*words) == code
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("nsgd: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_refused_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its problems are shown as by check."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("virtualNetworks: 7\n")
    assert verify("--direction", "Inbound", *HTTP, config=bad) == 3
    assert capsys.readouterr().err.endswith("1 problem in 1 document\n")


def test_no_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--running says where it looked."""
    words = ["--running", "--runtime-dir", str(tmp_path), "--direction", "Inbound", *HTTP]
    assert main(["ip-flow-verify", *words]) == 4
    assert f"no daemon listens at {tmp_path}" in capsys.readouterr().err


def test_a_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer a line, in order, from a file or stdin; 1 at the end where one is bad."""
    denied = json.dumps({**LINE, "localPort": "23"})
    good = "".join(f"{json.dumps(LINE)}\n{denied}\n" for _ in range(1500))
    file = tmp_path / "questions.jsonl"
    file.write_text(good)
    assert verify("--batch", str(file)) == 0
    answers = capsys.readouterr().out.splitlines()
    assert [json.loads(answer)["access"] for answer in answers] == ["Allow", "Deny"] * 1500
    # A last line without an end is a line.
    content = f"{json.dumps(LINE)}\n\nnothing\n{denied}".encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert verify("--batch", "-") == 1
    read = [json.loads(answer) for answer in capsys.readouterr().out.splitlines()]
    assert [next(iter(answer)) for answer in read] == ["access", "error", "error", "access"]


def test_a_batch_whose_reader_has_gone(tmp_path: Path) -> None:
    """It ends without a traceback, as every verb does."""
    file = tmp_path / "questions.jsonl"
    file.write_text(f"{json.dumps(LINE)}\n" * 20_000)
    script = "import sys; from nsgd.cli import main; sys.exit(main(sys.argv[1:]))"
    command = f"'{sys.executable}' -c '{script}' ip-flow-verify --config '{EXAMPLE}'"
    assert os.system(f"{command} --batch '{file}' 2>'{tmp_path}/err' | head -1 >/dev/null") == 0
    assert (tmp_path / "err").read_text() == ""
