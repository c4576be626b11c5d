"""Which denials the kernel engine tells of, with real packets and the kernel's own limits."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nsgd.kernel.nflog import TOGETHER, DenialReceiver
from nsgd.kernel.table import NftTable
from nsgd.ruleset.objects import DynamicSet, Ruleset
from nsgd.ruleset.telling import TOLD_RULES
from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network
from tests.kernel.test_recent_denials import denials
from tests.ruleset.policies import Daemon

RULES, FIRST_PORT = 60, 1000


def policy(**daemon: Any) -> dict[str, Any]:
    """A server with rules that deny a port each, inbound."""
    rules = [
        rule(f"Deny{number}", 200 + number, "Inbound", "Deny", "Udp", str(FIRST_PORT + number))
        for number in range(RULES)
    ]
    made = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": rules})
    return made | {"daemon": {"engine": "kernel"} | daemon}


def with_hosts(net: Network) -> Network:
    """The server and the internet."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    return net


def send(net: Network, rules: Iterable[int]) -> int:
    """A datagram for each; how many there were."""
    sent = 0
    with contextlib.closing(net["internet"].bound(socket.SOCK_DGRAM)) as client:
        for number in rules:
            client.sendto(b"?", (net["server"].address(), FIRST_PORT + number))
            sent += 1
    return sent


def test_many_rules_deny_at_once(net: Network) -> None:
    """Each is heard of, however noisy one of them is and all are; the rest is counted."""
    with_hosts(net).start(policy())
    noise = send(net, [0] * 400)
    sent = noise + send(net, range(1, RULES))
    net.wait(lambda: sum(net.status()["kernelDenials"].values()) >= sent, "not all counted")
    heard = {each["rule"] for each in denials(net)}
    assert heard == {f"Deny{number}" for number in range(RULES)}
    for _ in range(20):
        sent += send(net, range(RULES))
    net.wait(lambda: sum(net.status()["kernelDenials"].values()) >= sent, "not all counted")
    counts = net.status()["kernelDenials"]
    assert sum(counts.values()) == sent
    assert counts["untold"] > 0
    assert counts["lost"] == 0
    hits = net.hits()
    assert hits["web", "Inbound", "Deny0"] == noise + 20
    assert {hits["web", "Inbound", f"Deny{number}"] for number in range(1, RULES)} == {21}


def test_another_daemon_and_its_log_group(net: Network) -> None:
    """Denials are told by whichever mode and daemon is there, to the group that it listens to."""

    def heard() -> set[str]:
        return {each["rule"] for each in denials(net)}

    with_hosts(net).start(policy(mode="audit"))
    send(net, [0])
    net.wait(lambda: heard() == {"Deny0"}, "not told")
    net.reload(policy())
    send(net, [1])
    net.wait(lambda: heard() == {"Deny0", "Deny1"}, "not told")
    net.kill()
    send(net, [2])
    net.start(policy(queueNumber=4711))
    send(net, [1, 3])
    net.wait(lambda: heard() == {"Deny1", "Deny3"}, "not told")


def small(ruleset: Ruleset, room: int) -> Ruleset:
    """With so much room for the shares of rules."""
    sets = (
        replace(each, room=room)
        if isinstance(each, DynamicSet) and each.name.startswith(TOLD_RULES)
        else each
        for each in ruleset.sets
    )
    return replace(ruleset, sets=tuple(sets))


def test_where_the_set_of_rules_is_full(net: Network) -> None:
    """A rule that has no place is not told, and counted with what is beyond the limits."""
    with_hosts(net)
    desired = small(Daemon().load(policy()), 2)

    def listening() -> tuple[NftTable, DenialReceiver]:
        return NftTable(), DenialReceiver(9480)

    table, receiver = net.gateway.call(listening)
    with table, contextlib.closing(receiver):
        table.apply(desired)
        assert send(net, [3, 1, 4, 1, 5, 3]) == 6

        def counted() -> dict[str, int]:
            return {name: n for name, n in table.read_counters().items() if n}

        net.wait(lambda: counted().get("nic/server/in/deny") == 6, "not all denied")
        assert counted()["untold"] == 2
        logged = receiver.read(TOGETHER)
        while len(logged) + receiver.lost < 4:
            logged += receiver.read(TOGETHER)
        ports = [int.from_bytes(packet.payload[22:24], "big") for packet in logged]
        assert ports == [FIRST_PORT + number for number in (3, 1, 1, 3)]
        assert receiver.lost == 0
