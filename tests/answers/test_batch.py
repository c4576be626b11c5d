"""Questions by the line: what a bad one gets, and that nothing passes for what it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.answers import batch
from nsgd.answers.batch import BatchVerifier

from .policies import POLICY

QUESTION: dict[str, Any] = {
    "nic": "VM1",
    "direction": "Inbound",
    "protocol": "TCP",
    "localIPAddress": "10.0.1.4",
    "localPort": "80",
    "remoteIPAddress": "8.8.8.8",
    "remotePort": "60000",
}
ANSWER = {
    "access": "Allow",
    "ruleName": "securityRules/AllowWebToo",
    "ruleId": "",
    "networkSecurityGroup": "Nic",
}


def line(**changes: Any) -> bytes:
    """A line with fields changed; None leaves one out."""
    changed = {**QUESTION, **changes}
    return json.dumps({key: value for key, value in changed.items() if value is not None}).encode()


@pytest.fixture
def verifier() -> BatchVerifier:
    """One that has answered QUESTION, so that what can be remembered is."""
    made = BatchVerifier(POLICY)
    assert [json.loads(made.answer_line(line())[0]) for _ in range(2)] == [ANSWER, ANSWER]
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {"nic": None},
        {"nic": "vm1"},
        {"direction": "inbound"},
        {"protocol": "tcp"},
        {"protocol": "6"},
        {"localPort": 80, "remotePort": 60000},
        {"remotePort": "*"},
        {"localIPAddress": "fd00:10:0:1::4", "remoteIPAddress": "2600::1"},
    ],
)
def test_spellings(changes: dict[str, Any], verifier: BatchVerifier) -> None:
    """What Azure takes, and ports as numbers."""
    for _ in range(2):
        text, is_answer = verifier.answer_line(line(**changes) + b"\n")
        assert (json.loads(text), is_answer) == (ANSWER, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON: Expecting value"),
        (b"{", "not JSON: Expecting property name"),
        (b" \xff\xfe", "not JSON: byte 1 is not UTF-8"),
        (b"[" * 100_000, "not JSON: nested too deeply"),
        (b'{"localPort": ' + b"9" * 5000 + b"}", "not JSON: a number has too many digits"),
        (line()[:-1] + b', "localPort": "80"}', "'localPort' is given twice; keep one of them"),
        (line()[:-1] + b', "localPort":"443"}', "'localPort' is given twice"),
        (b'{"nic": null,' + line()[1:], "'nic' is given twice"),
        (line()[:-1] + b', "n\\u0069c" : "VM1"}', "'nic' is given twice"),
        (line(remoteIPAddress="2600::1")[:-1] + b', "nic": "VM1"}', "'nic' is given twice"),
        (b'{"x": 1, "x": 2}', "'x' is given twice"),
        (b"7", "7 is no question; write an object"),
        (line(localPort=True), "localPort: true is not a port"),
        (line(localPort=80.0), "localPort: 80.0 is not a port"),
        (line(localPort=[80]), "localPort: a list is not a port"),
        (line(localPort="80 "), "local port: '80 ' is not within"),
        (line(localPort="٨٠"), "local port: '٨٠' is not within"),
        (line(localPort=-1), "local port: '-1' is not within"),
        (line(localPort=10**400), "local port: "),
        (line(localPort=None), "local port: missing"),
        (line(remoteIPAddress="8.8.8"), "remote: '8.8.8' is no IP address"),
        (line(remoteIPAddress="8.8.8.08"), "remote: '8.8.8.08' is no IP address"),
        (line(remoteIPAddress="8.8.8.8.8"), "remote: '8.8.8.8.8' is no IP address"),
        (line(remoteIPAddress="2600::1"), "are of two families"),
        (line(remoteIPAddress=8), "remoteIPAddress: 8 is not text"),
        (line(direction=None), "direction: missing"),
        (line(nic=7), "nic: 7 is not a name"),
        (line(nic=["VM1"]), "nic: a list is not a name"),
        (line(nic="VM2"), "10.0.1.4 is no address of network interface VM2"),
        (line(remotePort_="5"), "'remotePort_' is no field of a question; did you mean remotePort"),
        (line(protocol="ICMP"), "local port: only TCP and UDP have ports"),
    ],
)
def test_bad_lines(content: bytes, message: str, verifier: BatchVerifier) -> None:
    """Each gets an error, and the next line its answer."""
    for _ in range(2):
        text, is_answer = verifier.answer_line(content)
        answer = json.loads(text)
        assert list(answer) == ["error"]
        assert message in answer["error"]
        assert "\n" not in text
        assert not is_answer
    assert json.loads(verifier.answer_line(line())[0]) == ANSWER


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of a million local addresses does not fill the memory, and each is answered."""
    monkeypatch.setattr(batch, "_MOST_REMEMBERED", 3)
    made = BatchVerifier(POLICY)
    for number in (*range(32, 48), *range(32, 48)):
        asked = line(nic=None, localIPAddress=f"10.0.1.{number}")
        for _ in range(2):
            assert json.loads(made.answer_line(asked)[0])["access"] == "Allow"
        assert 1 <= len(made._contexts) <= 3


def test_protocols_without_ports(verifier: BatchVerifier) -> None:
    """Their ports are left out, also after many questions that have some."""
    asked = line(protocol="ICMP", localPort=None, remotePort=None, remoteIPAddress="10.0.2.6")
    for _ in range(2):
        answer = json.loads(verifier.answer_line(asked)[0])
        assert answer["ruleName"] == "defaultSecurityRules/AllowVnetInBound"
    text, is_answer = verifier.answer_line(
        line(protocol="ICMP", localPort="0", remotePort="0", remoteIPAddress="10.0.2.6")
    )
    assert (is_answer, "only TCP and UDP" in text) == (False, True)


def test_without_a_group(verifier: BatchVerifier) -> None:
    """Allowed, by no rule."""
    asked = line(nic="VM4", localIPAddress="10.0.2.6")
    for _ in range(2):
        assert json.loads(verifier.answer_line(asked)[0]) == {
            "access": "Allow",
            "ruleName": None,
            "ruleId": "",
            "networkSecurityGroup": None,
        }
