"""What ``nsgd flows`` prints of a daemon's answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nsgd.cli import main

RULE = {"networkSecurityGroup": "web", "rule": "AllowHttp", "access": "Allow", "reason": "rule"}
NOBODY = {
    "networkSecurityGroup": None,
    "rule": None,
    "access": "Allow",
    "reason": "noNetworkSecurityGroup",
}
FLOW: dict[str, Any] = {
    "protocol": "Tcp",
    "source": "203.0.113.7",
    "sourcePort": 51000,
    "destination": "10.0.1.4",
    "destinationPort": 80,
    "from": None,
    "to": "server",
    "outbound": NOBODY,
    "inbound": RULE,
    "state": "ESTABLISHED",
    "ageSeconds": 3723,
    "expiresInSeconds": 431_999,
    "packets": 5,
    "bytes": 1200,
    "replyPackets": 4,
    "replyBytes": 64_000,
}
PING = FLOW | {
    "protocol": "Icmp",
    "source": "fd00::1",
    "sourcePort": None,
    "destinationPort": None,
    "inbound": NOBODY | {"reason": "adopted"},
    "state": "REPLIED",
    "ageSeconds": None,
    "packets": None,
    "replyPackets": None,
    "bytes": None,
    "replyBytes": None,
}
TABLE = """\
Protocol  Source             Destination  Outbound  Inbound              State            Age    Expires  Packets       Bytes
Tcp       203.0.113.7:51000  10.0.1.4:80  -         Allow web/AllowHttp  ESTABLISHED  1:02:03  119:59:59      5/4  1200/64000
Icmp      fd00::1            10.0.1.4     -         adopted              REPLIED            -  119:59:59        -           -
2 decided flows
"""  # noqa: E501


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The parts of the daemon's answer, to be filled; the first element is what was asked."""
    parts: list[dict[str, Any]] = []

    def request_parts(path: object, verb: str, timeout_s: float, **asked: Any) -> Iterator[Any]:
        yield from list(parts)
        parts.insert(0, {"verb": verb, **asked})

    monkeypatch.setattr("nsgd.runtime.control_client.request_parts", request_parts)
    return parts


def test_groups_that_allowed_before_are_named(
    answer: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The subnet's, where the interface's rule is listed."""
    flow = FLOW | {"inbound": RULE | {"allowedBeforeBy": ["data"]}}
    answer += [{"flows": [flow]}, {"shown": 1, "isWhole": True}]
    assert main(["flows", "--nsg", "data"]) == 0
    assert "Allow web/AllowHttp after data" in capsys.readouterr().out


def test_a_table(answer: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """Aligned, and "-" for what the kernel does not keep."""
    answer += [{"flows": [FLOW]}, {"flows": []}, {"flows": [PING]}, {"shown": 2, "isWhole": True}]
    assert main(["flows", "--nsg", "web", "--port", "80"]) == 0
    assert capsys.readouterr().out == TABLE
    assert answer[0] == {"verb": "flows", "nsg": "web", "port": 80}


def test_no_flows_and_not_all(
    answer: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit that was reached is said."""
    answer.append({"shown": 0, "isWhole": True})
    assert main(["flows"]) == 0
    assert capsys.readouterr().out == "0 decided flows\n"
    answer[:] = [{"flows": [FLOW]}, {"shown": 1, "isWhole": False}]
    assert main(["flows", "--limit", "1"]) == 0
    assert capsys.readouterr().out.endswith("\n1 decided flow; there may be more\n")


@pytest.mark.parametrize("count", [0, 1, 1200])
def test_json(answer: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], count: int) -> None:
    """One array, a flow a line."""
    answer += [*[{"flows": [FLOW]}] * count, {"shown": count, "isWhole": True}]
    assert main(["flows", "-o", "json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == [FLOW] * count
    assert len(out.splitlines()) == (count + 2 if count else 1)


def test_a_long_table_is_printed_as_it_comes(
    answer: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """One head, and every row."""
    answer += [*[{"flows": [FLOW] * 100}] * 12, {"shown": 1200, "isWhole": True}]
    assert main(["flows"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1202
    assert sum(line.startswith("Protocol") for line in lines) == 1


def test_a_cut(answer: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """The last part has the sum; options may stand on either side of the word."""
    answer += [{"cut": 1}, {"cut": 3}, {"cut": 3}]
    assert main(["flows", "--nsg", "web", "cut"]) == 0
    assert capsys.readouterr().out == "3 open flows cut\n"
    assert answer[0] == {"verb": "cutFlows", "nsg": "web"}
    answer[:] = [{"cut": 1}]
    assert main(["flows", "cut", "--all"]) == 0
    assert capsys.readouterr().out == "1 open flow cut\n"
    assert answer[0] == {"verb": "cutFlows", "all": True}


@pytest.mark.parametrize(
    "options",
    [["cut"], ["cut", "--all", "--nsg", "x"], ["cut", "--limit", "3", "--all"], ["--all"]],
)
def test_wrong_usage(answer: list[dict[str, Any]], options: list[str]) -> None:
    """The daemon is not even asked."""
    assert main(["flows", *options]) == 2
    assert answer == []
