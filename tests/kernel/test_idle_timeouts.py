"""Idle timeouts of virtual networks, as conntrack keeps them for flows that began with packets."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Any

import pytest

from tests.kernel.documents import INTERNET_V4, INTERNET_V6, document, nic, rule, subnet
from tests.kernel.network import Network


def policy(engine: str, first: int | None, second: int | None) -> dict[str, Any]:
    """Two peered networks with a server each, and the times that they ask for."""
    both = [
        rule(f"All{direction}", 100, direction, "Allow", "*", "*")
        for direction in ("Inbound", "Outbound")
    ]
    made = document([subnet("one", 1, "g")], [nic("a", "one", 4, 1)], {"g": both})
    other = {
        "name": "other",
        "addressSpace": ["10.1.0.0/16", "fd00:11::/48"],
        "subnets": [
            {
                "name": "two",
                "addressPrefixes": ["10.1.1.0/24", "fd00:11:0:1::/64"],
                "networkSecurityGroup": "g",
            }
        ],
        "peerings": ["lab"],
    }
    made["virtualNetworks"][0]["peerings"] = ["other"]
    made["virtualNetworks"].append(other)
    for network, minutes in zip(made["virtualNetworks"], (first, second), strict=True):
        if minutes is not None:
            network["flowTimeoutInMinutes"] = minutes
    addresses = ["10.1.1.4", "fd00:11:0:1::4"]
    made["networkInterfaces"].append(
        nic("b", "one", 4, 1)
        | {"name": "b", "subnet": "other/two", "link": "veth-b"}
        | {"privateIPAddresses": addresses}
    )
    return made | {"daemon": {"engine": engine}}


def with_three(net: Network) -> Network:
    """A host in each network, and the internet."""
    net.host("a", "10.0.1.4", "fd00:10:0:1::4")
    net.host("b", "10.1.1.4", "fd00:11:0:1::4")
    net.host("internet", INTERNET_V4, INTERNET_V6)
    return net


def expiry(net: Network, port: int, protocol: str = "tcp") -> int:
    """Seconds that conntrack still gives the flow to a port."""
    found = re.search(rf"^{protocol} .*?(\d+) .*dport={port} ", net.conntrack(), re.MULTILINE)
    assert found, net.conntrack()
    fields = found[0].split()
    return int(fields[2])


def opened(
    net: Network, source: str, destination: str, port: int, version: int = 4
) -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection that stays."""
    with contextlib.closing(net[destination].listen(port, version)) as server:
        client = net[source].bound(socket.SOCK_STREAM, 0, version)
        client.connect((net[destination].address(version), port))
        accepted, _ = server.accept()
    net[destination]._sockets.append(accepted)
    return client, accepted


def within(seconds: int, minutes: int) -> bool:
    """A moment after the flow's last packet."""
    return minutes * 60 - 20 < seconds <= minutes * 60


@pytest.mark.parametrize("engine", ["queue", "kernel"])
def test_flows_get_the_timeouts_of_their_networks(net: Network, engine: str) -> None:
    """TCP once it is established, and UDP; from either side, of both families; the shorter wins."""
    with_three(net).start(policy(engine, 10, 4))
    opened(net, "internet", "a", 8001)
    opened(net, "a", "internet", 8002, 6)
    opened(net, "internet", "b", 8003)
    opened(net, "a", "b", 8004)
    opened(net, "b", "a", 8005, 6)
    for port, minutes in ((8001, 10), (8002, 10), (8003, 4), (8004, 4), (8005, 4)):
        assert within(expiry(net, port), minutes), (port, net.conntrack())
    assert net.udp("internet", "a", 9001)
    assert within(expiry(net, 9001, "udp"), 10)
    unanswered = net["internet"].bound(socket.SOCK_DGRAM)
    unanswered.sendto(b"x", (net["b"].address(), 9002))
    net.wait(lambda: "dport=9002 " in net.conntrack(), "no entry")
    assert within(expiry(net, 9002, "udp"), 4)
    # Others' commands can still look at all of it.
    listed = net.gateway.run(["nft", "list", "ruleset"]).stdout
    assert "ct timeout idle/tcp/600 {" in listed
    assert 'ct timeout set "idle/udp/240"' in listed


def test_a_change_is_for_new_flows(net: Network) -> None:
    """Open ones keep what they have, also when nobody asks for it any more."""
    with_three(net).start(policy("queue", 10, None))
    ends = opened(net, "internet", "a", 8001)
    opened(net, "internet", "b", 8002)
    assert expiry(net, 8002) > 400_000
    net.reload(policy("queue", 30, 4))
    opened(net, "internet", "a", 8003)
    opened(net, "internet", "b", 8004)
    net.reload(policy("queue", None, None))
    opened(net, "internet", "a", 8005)
    assert net.nsgd("status").returncode == 0
    for first, then in (ends, ends[::-1]):
        first.sendall(b"x")
        assert then.recv(1) == b"x"
    assert within(expiry(net, 8001), 10)
    assert expiry(net, 8002) > 400_000
    assert within(expiry(net, 8003), 30)
    assert within(expiry(net, 8004), 4)
    assert expiry(net, 8005) > 400_000
    net.kill()
    net.write(policy("queue", 10, None))
    net.restart()
    opened(net, "internet", "a", 8006)
    assert within(expiry(net, 8006), 10)
