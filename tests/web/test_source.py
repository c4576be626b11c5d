"""What the pages ask over a real control socket, and how seldom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nsgd.config.document import Document
from nsgd.runtime.control import ControlServer
from nsgd.runtime.control_client import ControlError, ControlErrorKind
from nsgd.runtime.control_connection import Handler, Parts
from nsgd.runtime.packed_documents import pack_documents
from nsgd.web.source import ControlSource
from tests.runtime.test_control import driven
from tests.web.fake import EXAMPLE


class Daemon:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hash = "one"
        self.document = EXAMPLE.read_bytes()
        self.pass_time: Callable[[], None] = lambda: None

    def status(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self.asked.append("status")
        return {"policyHash": self.hash}

    def policy(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self.asked.append("policy")
        return {
            "version": "1",
            "generation": 1,
            "policyHash": self.hash,
            "documents": pack_documents([Document("a.yaml", self.document)]),
            "serviceTags": None,
        }

    def flows(self, arguments: dict[str, Any]) -> Parts:
        for number in range(3):
            self.pass_time()
            yield {"flows": [{"number": number, **arguments}]}
        return {"shown": 3, "isWhole": True}


class Clock:
    """Seconds that pass when told."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """The source's."""
    return Clock()


@pytest.fixture
def source(tmp_path: Path, clock: Clock) -> ControlSource:
    """Of a socket that may be there or not."""
    return ControlSource(tmp_path / "nsgd.sock", clock)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """One that serves."""
    made = Daemon()
    handlers: dict[str, Handler] = {
        "status": made.status,
        "policy": made.policy,
        "flows": made.flows,
    }
    server = ControlServer(tmp_path / "nsgd.sock", handlers, ())
    try:
        with driven(server):
            yield made
    finally:
        server.close()


def test_the_status_is_asked_for_now_and_then(
    source: ControlSource, daemon: Daemon, clock: Clock
) -> None:
    """However many pages want it."""
    for _ in range(10):
        assert source.status() == {"policyHash": "one"}
    assert daemon.asked == ["status"]
    clock.now_s += 1
    source.status()
    assert daemon.asked == ["status", "status"]


def test_a_policy_is_loaded_once(source: ControlSource, daemon: Daemon, clock: Clock) -> None:
    """And again when another one is in force."""
    first = source.policy()
    assert source.policy() is first
    assert {nic.name for nic in first.model.network_interfaces} >= {"web1", "data2"}
    daemon.hash, daemon.document = "two", daemon.document.replace(b"web1", b"web9")
    clock.now_s += 1
    second = source.policy()
    assert "web9" in {nic.name for nic in second.model.network_interfaces}
    assert daemon.asked.count("policy") == 2


def test_a_policy_that_cannot_be_read_here(source: ControlSource, daemon: Daemon) -> None:
    """As of another version: told, and tried again."""
    daemon.document = b"{"
    for _ in range(2):
        with pytest.raises(ControlError, match="cannot be read here"):
            source.policy()


def test_flows(source: ControlSource, daemon: Daemon) -> None:
    """The parts as one."""
    found = source.flows(5, nsg="web")
    assert found.is_whole
    assert [flow["number"] for flow in found.flows] == [0, 1, 2]
    assert found.flows[0]["nsg"] == "web"
    assert found.flows[0]["limit"] == 5


def test_flows_of_a_large_table(source: ControlSource, daemon: Daemon, clock: Clock) -> None:
    """Are looked through for some seconds; what was found by then is shown."""
    daemon.pass_time = lambda: setattr(clock, "now_s", clock.now_s + 3)
    found = source.flows(5)
    assert not found.is_whole
    assert 1 <= len(found.flows) <= 3


def test_no_daemon_is_remembered_for_a_moment(
    source: ControlSource, tmp_path: Path, clock: Clock
) -> None:
    """Those who wait for one another need not each wait for the same."""
    for _ in range(3):
        with pytest.raises(ControlError) as raised:
            source.status()
        assert raised.value.kind is ControlErrorKind.UNREACHABLE
    handlers = {"status": Daemon().status}
    server = ControlServer(tmp_path / "nsgd.sock", handlers, ())
    try:
        with driven(server):
            with pytest.raises(ControlError):
                source.status()
            clock.now_s += 1
            assert source.status() == {"policyHash": "one"}
    finally:
        server.close()


def test_a_request_that_the_daemon_does_not_know(source: ControlSource, daemon: Daemon) -> None:
    """An older one: said by its kind, and the next question is asked as ever."""
    with pytest.raises(ControlError) as raised:
        source.denials(nsg="web")
    assert raised.value.kind is ControlErrorKind.USAGE
    assert source.status() == {"policyHash": "one"}
