"""What of a probe is wrong: held to made-up histories, without packets."""

from __future__ import annotations

import itertools
import random
import time

from nsgd.model.packet import PacketHeader
from nsgd.wire.packet import parse_packet
from tests.kernel.agreement.frames import UDP, Shape, ip_packet
from tests.oracle.oracle import Packet
from tests.soak import malformed
from tests.soak.history import History
from tests.soak.policies import (
    KERNEL,
    POLICIES,
    PORTS,
    QUEUE,
    WAYS,
    InForce,
    is_allowed,
)
from tests.soak.probes import NEW_FLOW, Probes, _Probe

WAY = ("internet", "server", 4, UDP)


def port(*answers: bool) -> int:
    """One that the first policies answer in this way."""
    return next(
        port
        for port in PORTS
        if tuple(is_allowed(n, *WAY, port) for n in range(len(answers))) == answers
    )


def judged(history: History, number: int, *, arrived: bool, kind: str = NEW_FLOW) -> Probes:
    """The books after one probe to a port."""
    made = Probes({}, history, seed=1)
    now_s = time.monotonic()
    probe = _Probe(1, kind, now_s, *WAY, number)
    made._judge(probe, now_s if arrived else None)
    return made


def test_policies_differ() -> None:
    """Every way has probes that pass, and most ports and protocols change."""
    for sender, receiver in WAYS:
        answers = [
            [is_allowed(n, sender, receiver, version, UDP, p) for n in range(POLICIES)]
            for version, p in itertools.product((4, 6), PORTS)
        ]
        assert sum(map(sum, answers)) > len(answers)
        assert sum(len(set(row)) > 1 for row in answers) > len(answers) / 2


def test_one_policy_in_force() -> None:
    """What it allows must arrive, what it denies must not."""
    for engine in (QUEUE, KERNEL):
        history = History(InForce(0, engine))
        for allowed in (True, False):
            for arrived in (True, False):
                probes = judged(history, port(allowed), arrived=arrived)
                assert probes.wrong_count == (allowed is not arrived)


def test_during_a_change_either_is_right() -> None:
    """And only then."""
    history = History(InForce(0, QUEUE))
    with history.change(InForce(1, QUEUE)):
        for arrived in (True, False):
            assert not judged(history, port(True, False), arrived=arrived).wrong_count
        assert judged(history, port(False, False), arrived=True).wrong_count
        assert judged(history, port(True, True), arrived=False).wrong_count


def test_a_loss_with_a_worker_is_no_wrong_verdict() -> None:
    """Where the worker decides; what the kernel decides is lost with nobody."""
    for engine, kind, is_wrong in (
        (QUEUE, NEW_FLOW, False),
        (KERNEL, NEW_FLOW, True),
        (KERNEL, Shape.HOP_BY_HOP.value, False),
    ):
        history = History(InForce(0, engine))
        with history.fault():
            probes = judged(history, port(True), arrived=False, kind=kind)
            assert probes.wrong_count == is_wrong
            assert probes.counts["lost with a worker"] == (not is_wrong)
            assert judged(history, port(False), arrived=True, kind=kind).wrong_count == 1


def test_malformed_packets_are_no_longer_good() -> None:
    """Each is something else than the good packet that it was made of."""
    drawn = random.Random(1)

    def make(version: int, protocol: int) -> bytes:
        ends = ("203.0.113.10", "10.0.2.4") if version == 4 else ("2600:1f00::10", "fd00::4")
        packet = Packet(version, protocol, *ends, 40000, 6000, None, None)
        return ip_packet(packet, Shape.PLAIN, 7)

    good = {make(version, protocol) for version in (4, 6) for protocol in (6, 17)}
    made = dict(malformed.draw(drawn, make) for _ in range(500))
    assert len(made) == 11
    assert not good & set(made.values())
    # Of these conntrack says that they are none; the others the worker's parser.
    by_conntrack = {kind for kind in made if isinstance(parse_packet(made[kind]), PacketHeader)}
    assert by_conntrack == {
        "TCP FIN PSH URG",
        "UDP length too short",
        "longer than it is",
        "wrong UDP checksum",
        "wrong UDP checksum, IPv6",
    }
