"""Policies that change while packets flow: the denied never arrive, the allowed are never lost."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.kernel.documents import document, nic, rule, subnet
from tests.kernel.network import Network
from tests.kernel.test_kernel_engine import ALLOW_53, hits, with_hosts

_FIRST_PORT = 10_000
_PAUSE_S = 0.0005


def policy(number: int, **daemon: Any) -> dict[str, Any]:
    """In every one UDP 53 is allowed and 54 denied; all else is another each time."""
    rules = [
        ALLOW_53,
        rule("Deny54", 400, "Inbound", "Deny", "Udp", "54"),
        rule("Web", 450, "Inbound", "Allow", "Tcp", str(80 + number)),
        *(
            rule(f"Extra{each}", 500 + each, "Inbound", "Allow", "Tcp", str(1000 + 2 * each))
            for each in range(number % 7)
        ),
    ]
    subnets = [subnet("one", 1, "web")]
    subnets += [subnet(f"more{n}", 10 + n, "web" if n % 2 else None) for n in range(number % 4)]
    interfaces = [nic("server", "one", 4, 1)]
    for each in range(3 * number % 5):
        other = nic(f"other{each}", "one", 20 + each, 1, link=None)
        interfaces.append(other | ({"networkSecurityGroup": "web"} if each % 2 else {}))
    made = document(subnets, interfaces, {"web": rules})
    return made | {"daemon": {"engine": "kernel"} | daemon}


class NewFlows:
    """One flow after the other to a port that is allowed and to one that is not."""

    def __init__(self, net: Network) -> None:
        server = net["server"]
        self._to = server.address()
        self._from = net["internet"]
        self._arriving = {port: server.bound(socket.SOCK_DGRAM, port) for port in (53, 54)}
        for each in self._arriving.values():
            each.setblocking(False)
        self._arrived = dict.fromkeys(self._arriving, 0)
        self.sent = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> NewFlows:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._is_over.is_set():
            # Each from a port of its own, so that none is a flow that was decided before.
            sender = self._from.bound(socket.SOCK_DGRAM, _FIRST_PORT + self.sent)
            for port in (53, 54):
                sender.sendto(b"new", (self._to, port))
            sender.close()
            self.sent += 1
            # On a slow machine more are sent than a socket holds.
            self._receive()
            time.sleep(_PAUSE_S)

    def arrived(self, port: int) -> int:
        """How many came, once all have been sent."""
        self._receive()
        return self._arrived[port]

    def _receive(self) -> None:
        for port, arriving in self._arriving.items():
            with contextlib.suppress(BlockingIOError):
                while arriving.recv(10):
                    self._arrived[port] += 1


def all_arrived(net: Network, flows: NewFlows) -> None:
    """Those that are allowed, and no other."""
    # Behind all of theirs.
    assert not net.udp("internet", "server", 55)
    assert flows.sent > 20
    assert (flows.arrived(53), flows.arrived(54)) == (flows.sent, 0)


def names(net: Network, kind: str) -> list[str]:
    """Of nsgd's chains, sets or maps."""
    text = net.gateway.run(["nft", "-j", "list", kind, "inet"]).stdout
    found = (entry[kind[:-1]] for entry in json.loads(text)["nftables"] if kind[:-1] in entry)
    return sorted(each["name"] for each in found if each["table"] == "nsgd")


def reloads_lose_nothing(net: Network, made: Callable[[int], dict[str, Any]], last: int) -> None:
    """One policy after the other, from the one with the number 0; each flow counts once."""
    with_hosts(net).start(made(0))
    with NewFlows(net) as flows:
        for number in range(1, last + 1):
            net.reload(made(number))
    all_arrived(net, flows)
    assert hits(net)["Allow53"] == hits(net)["Deny54"] == flows.sent
    assert net.status()["packets"]["queued"] == 0


def test_reloads(net: Network) -> None:
    """Rules, network interfaces and subnets come and go."""
    reloads_lose_nothing(net, policy, 8)


def test_reloads_of_what_a_look_up_leads_by(net: Network) -> None:
    """Ranges of ports around the flows' own, others each time: nobody meets a map without them."""

    def of_ranges(number: int) -> dict[str, Any]:
        made = policy(0)
        (group,) = made["networkSecurityGroups"]
        for each in range(60):
            first = 56 + 9 * each + number % 7
            ports = rule(f"R{each}", 1000 + each, "Inbound", "Allow", "Udp", f"{first}-{first + 1}")
            group["securityRules"].append(ports)
        return made

    reloads_lose_nothing(net, of_ranges, 30)


def test_the_engine_changes(net: Network) -> None:
    """Both ways; the worker and the kernel count together."""
    with_hosts(net).start(policy(0))
    with NewFlows(net) as flows:
        for number in range(1, 7):
            net.reload(policy(number, engine="queue" if number % 2 else "kernel"))
    all_arrived(net, flows)
    assert hits(net)["Allow53"] == hits(net)["Deny54"] == flows.sent


def test_another_daemon_takes_over(net: Network) -> None:
    """Killed or stopped, twice each: what one left, the next one clears away."""
    with_hosts(net).start(policy(3))
    first = {kind: len(names(net, kind)) for kind in ("chains", "sets", "maps")}
    epochs = []
    with NewFlows(net) as flows:
        for is_killed in (True, False, True, False):
            if is_killed:
                net.kill()
            else:
                net.stop()
            net.restart()
            for kind, number in first.items():
                net.wait(
                    lambda k=kind, n=number: len(names(net, k)) == n,  # type: ignore[misc]
                    f"{kind} are left over",
                )
            epochs.append({name.partition(".")[2][:1] for name in names(net, "sets")})
    all_arrived(net, flows)
    assert epochs == [{"b"}, {"a"}, {"b"}, {"a"}]
    assert hits(net)["Allow53"] == hits(net)["Deny54"] == flows.sent


def _span(generator: random.Random) -> str:
    first, last = sorted(generator.sample(range(100, 65_000), 2))
    return f"{first}-{last}"


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_a_table_without_a_tree(net: Network, mode: str) -> None:
    """Who touches it is decided by the worker, on both sides, and counts once."""
    generator = random.Random(1)
    crossing = [
        rule(f"Crossing{number}", 200 + number, "Inbound", "Deny", "Udp", one, sourcePortRange=two)
        for number in range(500)
        for one, two in [(_span(generator), _span(generator))]
    ]
    groups = {
        "wide": [rule("First", 100, "Inbound", "Allow", "Udp", "53"), *crossing],
        "out": [rule("Out", 200, "Outbound", "Allow", "Udp", "53-54")],
    }
    made = document(
        [subnet("one", 1, "wide"), subnet("two", 2, "out")],
        [nic("server", "one", 4, 1), nic("client", "two", 4, 2)],
        groups,
    )
    with_hosts(net)
    net.host("client", "10.0.2.4", "fd00:10:0:2::4")
    net.start(made | {"daemon": {"engine": "kernel", "mode": mode}})
    chains = names(net, "chains")
    assert "nsg/out/out4" in chains
    assert "nsg/wide/in4" not in chains
    for sender, expected in (
        ("client", [("out", "Out"), ("wide", "First")]),
        ("internet", [("wide", "First")]),
    ):
        before = net.status()["packets"]["queued"]
        found = net.decided_by(lambda s=sender: net.udp(s, "server", 53))  # type: ignore[misc]
        assert found == (True, expected)
        assert net.status()["packets"]["queued"] == before + 1
    queued = net.status()["packets"]["queued"]
    assert net.decided_by(lambda: net.udp("client", "internet", 53)) == (True, [("out", "Out")])
    assert net.status()["packets"]["queued"] == queued
