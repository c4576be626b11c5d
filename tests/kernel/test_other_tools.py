"""Beside firewalld's and Docker's tables: nobody opens what nsgd has closed, nor the reverse."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest

from tests.kernel.documents import document, nic, rule, subnet
from tests.kernel.network import Network
from tests.kernel.test_lifecycle import Session, with_hosts

# To see the second one takes as long as the first: it is left to make test-slow.
ENGINES = pytest.mark.parametrize(
    "engine", ["queue", pytest.param("kernel", marks=pytest.mark.slow)]
)

# As firewalld 1.3 writes them, with one zone and what a permanent policy allows.
FIREWALLD = """
table inet firewalld
delete table inet firewalld
table inet firewalld {
    chain mangle_PREROUTING {
        type filter hook prerouting priority mangle + 10; policy accept;
        jump mangle_PREROUTING_ZONES
    }
    chain mangle_PREROUTING_ZONES { return; }
    chain nat_POSTROUTING {
        type nat hook postrouting priority srcnat + 10; policy accept;
    }
    chain filter_PREROUTING {
        type filter hook prerouting priority filter + 10; policy accept;
        icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
        meta nfproto ipv6 fib saddr . mark . iif oif missing drop
    }
    chain filter_INPUT {
        type filter hook input priority filter + 10; policy accept;
        ct state { established, related } accept
        iifname "lo" accept
        ct state invalid drop
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        reject with icmpx admin-prohibited
    }
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        jump filter_FORWARD_ZONES
        ct state invalid drop
        reject with icmpx admin-prohibited
    }
    chain filter_FORWARD_ZONES {
        iifname "veth-internet" goto filter_FWD_public
        iifname "veth-server" goto filter_FWD_trusted
    }
    chain filter_FWD_public {
        udp dport { 53, 54 } ct state { new, untracked } accept
        tcp dport 80 ct state { new, untracked } accept
    }
    chain filter_FWD_trusted { accept; }
}
"""

# As Docker 28 has iptables-nft write them, for a container at 10.0.1.4 with published ports.
DOCKER = """
table ip nat
delete table ip nat
table ip filter
delete table ip filter
table ip nat {
    chain DOCKER {
        iifname "veth-server" counter return
        ip daddr 198.51.100.1 udp dport 5353 counter dnat to 10.0.1.4:53
        ip daddr 198.51.100.1 udp dport 5354 counter dnat to 10.0.1.4:54
    }
    chain PREROUTING {
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local counter jump DOCKER
    }
    chain POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        oifname != "veth-server" ip saddr 10.0.1.0/24 counter masquerade
    }
}
table ip filter {
    chain DOCKER {
        ip daddr 10.0.1.4 iifname != "veth-server" udp dport { 53, 54 } counter accept
        ip daddr 10.0.1.4 iifname != "veth-server" tcp dport 80 counter accept
        iifname != "veth-server" oifname "veth-server" counter drop
    }
    chain DOCKER-USER { counter return; }
    chain DOCKER-FORWARD {
        oifname "veth-server" ct state related,established counter accept
        oifname "veth-server" counter jump DOCKER
        iifname "veth-server" counter accept
    }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter jump DOCKER-USER
        counter jump DOCKER-FORWARD
    }
}
"""


def policy(engine: str) -> dict[str, Any]:
    """nsgd allows 53 and 55 of UDP, the other tool 53 and 54."""
    rules = [
        rule("AllowUdp", 100, "Inbound", "Allow", "Udp", ["53", "55"]),
        rule("AllowHttp", 110, "Inbound", "Allow", "Tcp", "80"),
    ]
    made = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": rules})
    return made | {"daemon": {"engine": engine}}


def write(net: Network, ruleset: str) -> None:
    net.gateway.run(["nft", "-f", "-"], text_input=ruleset)


def passing(net: Network, version: int = 4) -> set[int]:
    """The ports of UDP that the server is reached at."""
    return {port for port in (53, 54, 55, 56) if net.udp("internet", "server", port, version)}


def deletions(net: Network) -> int:
    return int(net.status()["table"]["foreignBaseChainsDeleted"])


@ENGINES
def test_firewalld(net: Network, engine: str) -> None:
    """Both must allow; its reload is seen, and open connections and nsgd's table outlive it."""
    with_hosts(net).start(policy(engine))
    assert passing(net) == {53, 55}
    write(net, FIREWALLD)
    for version in (4, 6):
        assert passing(net, version) == {53}
    session = Session(net, "internet", "server", 80)
    before = deletions(net)
    write(net, FIREWALLD)
    net.wait(lambda: deletions(net) == before + 5, "its reload is not seen")
    assert "another program deleted 5 base chains" in net.log.read_text()
    assert session.works()
    assert passing(net) == {53}
    status = net.status()["table"]
    assert (status["owned"], status["changedByOthers"]) == (True, 0)
    write(net, "delete table inet firewalld")
    assert passing(net) == {53, 55}
    session.close()


@ENGINES
def test_docker(net: Network, engine: str) -> None:
    """A published port is judged behind the translation; Docker's accept opens nothing."""
    with_hosts(net)
    net.gateway.add_address("lo", "198.51.100.1/32")
    net.start(policy(engine))
    write(net, DOCKER)
    assert passing(net) == {53}
    session = Session(net, "internet", "server", 80)

    def published(port: int, behind: int) -> bool:
        with (
            contextlib.closing(net["server"].bound(socket.SOCK_DGRAM, behind)) as server,
            contextlib.closing(net["internet"].bound(socket.SOCK_DGRAM)) as client,
        ):
            client.sendto(b"ask", ("198.51.100.1", port))
            try:
                _, sender = server.recvfrom(100)
            except TimeoutError:
                return False
            server.sendto(b"answer", sender)
            answer, answering = client.recvfrom(100)
            return (answer, answering) == (b"answer", ("198.51.100.1", port))

    assert published(5353, 53)
    assert not published(5354, 54)
    # Docker starts again: its chains are made anew.
    before = deletions(net)
    write(net, DOCKER)
    net.wait(lambda: deletions(net) == before + 3, "its restart is not seen")
    assert session.works()
    assert published(5353, 53)
    assert not published(5354, 54)
    assert passing(net) == {53}
    session.close()


@ENGINES
def test_the_ruleset_is_flushed(net: Network, engine: str) -> None:
    """By another tool: its own tables go, nsgd's stays, and nothing is open for a moment."""
    with_hosts(net).start(policy(engine))
    write(net, FIREWALLD)
    session = Session(net, "internet", "server", 80)
    before = net.gateway.run(["nft", "-s", "list", "table", "inet", "nsgd"]).stdout
    write(net, "flush ruleset")
    assert net.gateway.run(["nft", "list", "tables"]).stdout.split("\n")[0] == "table inet nsgd"
    assert net.gateway.run(["nft", "-s", "list", "table", "inet", "nsgd"]).stdout == before
    assert passing(net) == {53, 55}
    assert session.works()
    denied = net.gateway.run(["nft", "flush", "table", "inet", "nsgd"], check=False)
    assert denied.returncode != 0
    assert passing(net) == {53, 55}
    session.close()
