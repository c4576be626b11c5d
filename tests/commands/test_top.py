"""What ``nsgd top --once`` and ``nsgd denials`` print, and when ``nsgd top`` says no."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nsgd.cli import main
from nsgd.config.load import load_documents
from nsgd.runtime.documents import read_documents
from tests.top.readings import DENIAL, LATER, LOG, OTHER, answer, hits, status
from tests.top.test_live import daemon

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "examples" / "three-tier.yaml"
DENIALS = """\
10 min  Told  Rule's hits  Last                      Flow                                                                               Denied by
     2     2            2  2026-05-02T09:14:09.000Z  Tcp 203.0.113.7 > 10.0.1.4:22                                                      web/DenyAllInBound Inbound of web1
     1     1            2  2026-05-02T09:14:08.000Z  Udp 2001:db8:1234:5678:9abc:def0:1234:5678 > [fd00:10:0:1:1234:5678:9abc:def0]:53  web/DenyAllInBound Inbound of web1
3 are kept; 97 were counted in hits and not told
"""  # noqa: E501


def run(directory: Path, *words: str) -> int:
    """A verb, asked of a daemon there."""
    return main([*words, "--runtime-dir", str(directory)])


def test_once_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that the live view shows, whole."""
    with daemon(tmp_path):
        assert run(tmp_path, "top", "--once", "-o", "json", "--interval", "0.5") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] >= 0.5
    assert found["policy"]["generation"] == 4
    counts = {"perSecond": 0.0, "packets": None, "bytes": None}
    assert found["rules"][0] == {**hits(AllowHttp=3)[0], **counts}
    assert [each["times"] for each in found["denials"]] == [1, 2]
    assert found["denialsNotTold"] == 4 + status()["kernelDenials"]["untold"]
    assert found["health"] == []


def test_once_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is cut, nothing is coloured, and rich is not needed."""
    with daemon(tmp_path, mode="audit"):
        assert run(tmp_path, "top", "--once", "--interval", "0.5", "--sort", "name") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "policy   4 in force since 2023-11-14T22:13:20Z, documents 0123456789abcdef" in lines
    health = next(line for line in lines if line.startswith("health"))
    assert health.startswith("health   note: Mode: audit: denials are counted and logged, and")
    assert "  0.0     3  Allow   Inbound    web                     AllowHttp" in lines
    assert any(OTHER["destination"] in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_once_where_flows_are_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Packets and bytes of each rule, to the last one, for people and for programs."""
    (row,) = hits(AllowHttp=3)
    log = LOG | {"ruleTraffic": [row | {"packets": 12, "bytes": 123_456_789}]}
    with daemon(tmp_path, flowLog=log):
        once = "top", "--once", "--interval", "0.5", "--sort", "bytes"
        assert run(tmp_path, *once) == 0
        lines = capsys.readouterr().out.splitlines()
        assert run(tmp_path, *once, "-o", "json") == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    head = next(number for number, line in enumerate(lines) if line.startswith("Per s"))
    assert lines[head].split()[2:5] == ["Hits", "Packets", "Bytes"]
    cells = [line.split() for line in lines[head + 1 : head + 3]]
    assert [(row[1:4], row[-1]) for row in cells] == [
        (["3", "12", "123456789"], "AllowHttp"),
        (["2", "-", "-"], "DenyAllInBound"),
    ]
    assert [(row["packets"], row["bytes"]) for row in rules] == [(12, 123_456_789), (None, None)]


def test_by_network_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules of its group and of its subnet's, by the policy in force; one that is none is said."""
    loaded = load_documents(read_documents([EXAMPLE], []))
    monkeypatch.setattr("nsgd.commands.running.load_running", lambda args: loaded)
    rows = [{**hits(A=1)[0], "networkSecurityGroup": group} for group in ("Web2", "web", "app")]
    once = "top", "--once", "-o", "json", "--interval", "0.5"
    with daemon(tmp_path, ruleHits=rows) as asked:
        assert run(tmp_path, *once, "--nic", "WEB2") == 0
        found = json.loads(capsys.readouterr().out)
        assert [row["networkSecurityGroup"] for row in found["rules"]] == ["web", "Web2"]
        assert asked[-1] == {"nic": "WEB2"}
        assert run(tmp_path, *once, "--nic", "nobody") == 1
    assert "no network interface or scale set nobody" in capsys.readouterr().err


def test_denials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Most often first; the filter goes to the daemon."""
    with daemon(tmp_path) as asked:
        assert run(tmp_path, "denials", "--nsg", "web", "--port", "22") == 0
        assert capsys.readouterr().out == DENIALS
        assert asked == [{"nsg": "web", "port": 22}]
        assert run(tmp_path, "denials", "-o", "json", "--limit", "1") == 0
        found = json.loads(capsys.readouterr().out)
        assert [each["times"] for each in found["denials"]] == [2]
        assert found["notTold"] == 97
        assert run(tmp_path, "denials", "--each", "-o", "json") == 0
        assert json.loads(capsys.readouterr().out)["denials"] == [OTHER, LATER, DENIAL]
        assert run(tmp_path, "denials", "--each", "--limit", "2") == 0
        assert capsys.readouterr().out.count("\n") == 4


def test_no_denials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said so."""
    asked: dict[str, Any] = {"denials": answer(), "status": status()}
    monkeypatch.setattr(
        "nsgd.runtime.control_client.request", lambda path, verb, *rest, **more: asked[verb]
    )
    assert run(tmp_path, "denials") == 0
    assert capsys.readouterr().out.startswith("no denials that were told\n0 are kept")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["top"], 2, "top needs a terminal; without one there is nsgd top --once"),
        (["top", "-o", "json"], 2, "-o json goes with --once"),
        (["top", "--once"], 4, "no daemon listens at"),
        (["denials"], 4, "no daemon listens at"),
        (["denials", "--limit", "0"], 2, "--limit 0: write a number from 1 up"),
        (["monitor", "--limit", "-1"], 2, "--limit -1: write a number from 1 up"),
        (["monitor"], 4, "no daemon listens at"),
    ],
)
def test_errors(
    tmp_path: Path, words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each says what is wrong and the way out."""
    assert run(tmp_path, *words) == code
    assert text in capsys.readouterr().err


def test_without_rich(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live view says what to install."""
    monkeypatch.setattr("nsgd.commands.top.find_spec", lambda name: None)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert run(tmp_path, "top") == 1
    assert "install python3-rich" in capsys.readouterr().err


@pytest.mark.parametrize("interval", ["0.1", "61", "x", "nan"])
def test_intervals(interval: str) -> None:
    """From half a second to a minute."""
    with pytest.raises(SystemExit) as ended:
        main(["top", "--interval", interval])
    assert ended.value.code == 2


def test_nothing_else_imports_rich() -> None:
    """The daemon has CAP_NET_ADMIN, and no drawing."""
    program = (
        "import sys, nsgd.cli, nsgd.daemon, nsgd.commands.top, nsgd.top.text, nsgd.top.source;"
        " sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
