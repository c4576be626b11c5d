"""What the worker's process is made of."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import cast

import pytest

from nsgd.kernel.queue import PacketQueue
from nsgd.model.network import NetworkModel
from nsgd.model.packet import UDP, PacketHeader
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.endpoints import build_endpoint_map
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.channel import Channel, Message
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.decision_timer import DecisionTimer
from nsgd.runtime.packet_handler import Handler
from nsgd.runtime.policy_handover import HandOverMaker
from nsgd.runtime.worker import Worker
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.runtime.test_verdict_agreement import FakePacket, to_bytes

_LAYERS = (
    "import json, sys, nsgd.runtime.worker;"
    "print(json.dumps(sorted({name.split('.')[1] for name in sys.modules"
    " if name.startswith('nsgd.')})))"
)


def test_no_parser_of_documents_is_loaded() -> None:
    """It reads packets from anybody: what it has no use for it does not hold, nor waits for."""
    answer = subprocess.run(
        [sys.executable, "-P", "-c", _LAYERS], check=True, capture_output=True, text=True
    )
    assert json.loads(answer.stdout) == ["kernel", "model", "policy", "ruleset", "runtime", "wire"]


class FakeQueue:
    """One that tells when verdicts go to the kernel."""

    def __init__(self, done: list[str]) -> None:
        self.is_idle = False
        self._done = done
        self.handle: Handler | None = None

    def use_handler(self, handle: Handler) -> None:
        """From now on."""
        self.handle = handle

    def give(self, verdict: int, packet: int, mark: int) -> None:
        """Verdicts wait for others."""
        self._done.append("verdict")

    def send_verdicts(self) -> None:
        """All that wait."""
        self._done.append("sent")

    def set_fail_open(self, is_open: bool) -> None:
        """Nothing here."""


@pytest.mark.parametrize("is_idle", [False, True])
def test_a_policy_is_taken_when_older_verdicts_are_out(is_idle: bool) -> None:
    """The packet under way is decided by the older one, and open flows are judged after it."""
    capacity = MarkLayout(DaemonSettings().mark_mask).capacity
    ours, theirs = Channel.pair()
    counters = SharedCounters.create(capacity)
    worker, done = Worker(theirs, counters), list[str]()
    queue = FakeQueue(done)
    queue.is_idle = is_idle
    worker._queue = cast("PacketQueue", queue)
    worker._timer = DecisionTimer(counters, queue.use_handler, ())
    policy = CompiledPolicy((), build_endpoint_map(NetworkModel(), {}))
    content = WorkerPolicy.build(5, policy, DecisionNumbers(), DaemonSettings()).to_bytes()

    def interrupted(packet: object) -> None:
        ours.send(Message("policy", content=content))
        worker._wake(signal.SIGUSR1, None)
        done.append("old verdict")

    if is_idle:
        interrupted(None)
        assert done == ["sent", "old verdict"]
    else:
        worker._timer.put(interrupted)
        assert queue.handle is not None
        packet = FakePacket(to_bytes(PacketHeader(4, UDP, 1, 2, 3, 4, False)), 0, 0, 0)
        queue.handle(packet)
        assert done == ["old verdict"]
        assert ours.receive() is None
        queue.handle(packet)
        assert done == ["old verdict", "sent", "verdict"]
    assert ours.receive() == Message("installed", 5)
    for end in (ours, theirs, counters):
        end.close()


def test_changes_are_of_the_policy_that_it_has() -> None:
    """Others end it: whoever takes its place gets all of the policy."""
    ours, theirs = Channel.pair()
    counters = SharedCounters.create(MarkLayout(DaemonSettings().mark_mask).capacity)
    worker = Worker(theirs, counters)
    policy = CompiledPolicy((), build_endpoint_map(NetworkModel(), {}))
    maker = HandOverMaker()
    first, second, third = (
        maker.of(generation, policy, DecisionNumbers(), DaemonSettings(), ())
        for generation in (5, 6, 7)
    )

    def handed(kind: str, content: bytes) -> Message | None:
        ours.send(Message(kind, content=content))
        worker._wake(signal.SIGUSR1, None)
        return ours.receive()

    with pytest.raises(SystemExit):
        handed("changes", second.changes)
    assert handed("policy", first.whole()) == Message("installed", 5)
    assert handed("changes", second.changes) == Message("installed", 6)
    assert handed("changes", third.changes) == Message("installed", 7)
    with pytest.raises(SystemExit):
        handed("changes", third.changes)
    assert ours.receive() is None
    for end in (ours, theirs, counters):
        end.close()
