"""Servers behind a frontend address that the gateway itself translates, as the docs show it.

Rules see the client's address and port and the server's, whichever way a translation goes.

Source: Azure, Network security groups overview, Azure platform considerations: "Source port and
address ranges apply to the originating computer, not the load balancer. Destination port and
address ranges apply to the destination computer, not the load balancer."
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Raw

from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    Rule,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import GATEWAY_V4, PATIENCE_S, Network, network
from tests.kernel.test_flows import arrives

VERSIONS = pytest.mark.parametrize("version", [4, 6])
DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
FRONTEND = {4: "203.0.113.80", 6: "2001:db8::80"}
PORT = 443
MEMBERS = ("one", "two")
CLIENTS = ("internet", "other")
IN = "DenyAllInBound"
# What masquerading takes of the gateway's addresses, towards a member.
MASQUERADE = {4: GATEWAY_V4, 6: FRONTEND[6]}
_TCP_REPAIR = 19

DENY_OUT = rule("DenyOut", 4000, "Outbound", "Deny")
ALLOW_HTTPS = rule("AllowHttps", 200, "Inbound", "Allow", port=str(PORT))


def example() -> str:
    """The nftables text of the docs' section."""
    section = DOCUMENT.read_text().partition("\n## Load-balanced pools\n")[2].partition("\n## ")[0]
    (text,) = re.findall(r"```nft\n(.*?)```", section, re.DOTALL)
    return str(text)


def policy(*rules: Rule, of_peer: list[Rule] | None = None) -> dict[str, Any]:
    """One member bound to its link and one known by its address, and a peer in the next subnet."""
    groups = {"pool": list(rules)} | ({"peer": of_peer} if of_peer is not None else {})
    return document(
        [subnet("one", 1, "pool"), subnet("two", 2, "peer" if of_peer is not None else None)],
        [
            nic("one", "one", 4, 1),
            nic("two", "one", 5, 1, link=None),
            nic("peer", "two", 4, 2),
        ],
        groups,
    )


@dataclass
class Ports:
    """Client ports by what the hash makes of them: each is used once, and leads where it is known.

    The hash has a random seed, and keeps it as long as the table stays.
    """

    free: dict[tuple[str, int, str], list[int]] = field(default_factory=dict)

    def learn(self, net: Network, client: str, version: int) -> None:
        """Ask the pool from many ports, by UDP, which the hash treats as TCP."""
        servers = {name: net[name].bound(socket.SOCK_DGRAM, PORT, version) for name in MEMBERS}
        for port in range(42000, 42080):
            with contextlib.closing(
                net[client].bound(socket.SOCK_DGRAM, port, version)
            ) as datagrams:
                datagrams.sendto(b"whom?", (FRONTEND[version], PORT))
                (name,) = readable(servers)
                servers[name].recv(10)
                self.free.setdefault((client, version, name), []).append(port)
        for server in servers.values():
            server.close()

    def take(self, client: str, version: int, member: str) -> int:
        """A port of the client's by which the pool chooses that member."""
        return self.free[client, version, member].pop()


def readable(sockets: dict[str, socket.socket], timeout_s: float = 5.0) -> list[str]:
    """Which of them have something to read; none of them after a long time."""
    ready, _, _ = select.select(list(sockets.values()), [], [], timeout_s)
    return [name for name, made in sockets.items() if made in ready]


def with_hosts(net: Network) -> Network:
    """Two members, a peer, two clients, and the pool's table on the gateway."""
    net.host("one", *nic_addresses(1, 4))
    net.host("two", *nic_addresses(1, 5))
    net.host("peer", *nic_addresses(2, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.host("other", "198.51.100.20", "2600:1f00::20")
    for address in FRONTEND.values():
        net.gateway.add_address("lo", f"{address}/{32 if '.' in address else 128}")
    net.gateway.run(["nft", "-f", "-"], text_input=example())
    return net


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Network, Ports]]:
    """The pool, known from before the daemon's start, and the daemon."""
    with network(tmp_path_factory.mktemp("pools")) as net:
        with_hosts(net)
        ports = Ports()
        for client in (*CLIENTS, "peer"):
            for version in (4, 6):
                ports.learn(net, client, version)
        # The questions would be adopted as open flows.
        net.gateway.run(["conntrack", "-F"])
        net.start(policy())
        yield net, ports


@dataclass
class Session:
    """A connection through the frontend."""

    client: socket.socket
    server: socket.socket
    member: str

    def works(self) -> bool:
        """A byte each way; the server's first, as it may after anything."""
        for sender, receiver in ((self.server, self.client), (self.client, self.server)):
            receiver.settimeout(5)
            sender.sendall(b"x")
            if receiver.recv(1) != b"x":
                return False
        return True

    def is_cut(self) -> bool:
        """What the client sends does not arrive."""
        self.server.settimeout(PATIENCE_S)
        self.client.sendall(b"x")
        with pytest.raises(TimeoutError):
            self.server.recv(1)
        return True

    def close(self) -> None:
        """End both ends without a word: a flow that is cut would go on asking, and be counted."""
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
            end.close()


def connect(
    net: Network,
    client: str,
    version: int,
    source_port: int = 0,
    port: int = PORT,
    member_port: int = PORT,
) -> Session | None:
    """Connect to the frontend; None where that fails."""
    listeners = {name: net[name].listen(member_port, version) for name in MEMBERS}
    asking = net[client].bound(socket.SOCK_STREAM, source_port, version)
    try:
        asking.connect((FRONTEND[version], port))
    except TimeoutError:
        asking.close()
        return None
    else:
        (member,) = readable(listeners)
        accepted, _ = listeners[member].accept()
        return Session(asking, accepted, member)
    finally:
        for listener in listeners.values():
            listener.close()


def reach(
    net: Network, client: str, version: int, source_port: int, port: int = PORT, **to: int
) -> str | None:
    """The member that answers a connection, which sees the client as it is; None without one."""
    session = connect(net, client, version, source_port, port, **to)
    if session is None:
        return None
    assert session.server.getpeername()[:2] == (net[client].address(version), source_port)
    assert session.works()
    session.close()
    return session.member


def decided(
    net: Network, client: str, version: int, source_port: int, port: int = PORT, **to: int
) -> tuple[str | None, list[tuple[str, str]]]:
    """That member, and the (group, rule) that were counted."""
    outcome, hits = net.decided_by(lambda: reach(net, client, version, source_port, port, **to))
    return outcome, hits


@VERSIONS
def test_rules_see_the_clients_address(pool: tuple[Network, Ports], version: int) -> None:
    """One client is allowed, then one is denied; answers need no rule."""
    net, ports = pool
    client = net["internet"].address(version)
    allow = rule("AllowClient", 100, "Inbound", "Allow", "Tcp", str(PORT), source=client)
    net.reload(policy(allow, DENY_OUT))
    for member in MEMBERS:
        port = ports.take("internet", version, member)
        assert decided(net, "internet", version, port) == (member, [("pool", "AllowClient")])
        port = ports.take("other", version, member)
        assert decided(net, "other", version, port) == (None, [("pool", IN)])
    deny = rule("DenyClient", 100, "Inbound", "Deny", source=client)
    net.reload(policy(deny, ALLOW_HTTPS, DENY_OUT))
    for member in MEMBERS:
        port = ports.take("internet", version, member)
        assert decided(net, "internet", version, port) == (None, [("pool", "DenyClient")])
        port = ports.take("other", version, member)
        assert decided(net, "other", version, port) == (member, [("pool", "AllowHttps")])


@VERSIONS
def test_rules_see_the_clients_port(pool: tuple[Network, Ports], version: int) -> None:
    """Only from one port; the answers come from another one yet."""
    net, ports = pool
    port = ports.take("internet", version, "two")
    allow = rule("AllowPort", 100, "Inbound", "Allow", "Tcp", sourcePortRange=str(port))
    net.reload(policy(allow, DENY_OUT))
    assert decided(net, "internet", version, port) == ("two", [("pool", "AllowPort")])
    port = ports.take("internet", version, "two")
    assert decided(net, "internet", version, port) == (None, [("pool", IN)])


@VERSIONS
def test_the_frontend_address_is_in_no_packet(pool: tuple[Network, Ports], version: int) -> None:
    """A rule that names it never matches, whether it allows or denies."""
    net, ports = pool
    frontend = FRONTEND[version]
    net.reload(policy(rule("AllowFront", 100, "Inbound", "Allow", destination=frontend)))
    port = ports.take("internet", version, "one")
    assert decided(net, "internet", version, port) == (None, [("pool", IN)])
    net.reload(policy(rule("DenyFront", 100, "Inbound", "Deny", destination=frontend), ALLOW_HTTPS))
    port = ports.take("internet", version, "one")
    assert decided(net, "internet", version, port) == ("one", [("pool", "AllowHttps")])


@VERSIONS
def test_the_frontends_port_is_in_no_packet(pool: tuple[Network, Ports], version: int) -> None:
    """Where the pool translates the port too, rules see the member's."""
    net, _ = pool
    family, member = ("ip", "10.0.1.4") if version == 4 else ("ip6", "[fd00:10:0:1::4]")
    translate = f"{family} daddr {FRONTEND[version]} tcp dport 80 dnat {family} to {member}:8080"
    net.gateway.run(["nft", f"add rule inet pool inward {translate}"])
    seen = rule("AllowMembers", 100, "Inbound", "Allow", "Tcp", "8080")
    asked = rule("DenyFrontends", 110, "Inbound", "Deny", "Tcp", "80")
    net.reload(policy(seen, asked))
    outcome = decided(net, "internet", version, 30080 + version, 80, member_port=8080)
    assert outcome == ("one", [("pool", "AllowMembers")])
    net.reload(policy(seen | {"name": "AllowFrontends", "destinationPortRange": "80"}))
    outcome = decided(net, "internet", version, 30090 + version, 80, member_port=8080)
    assert outcome == (None, [("pool", IN)])


@VERSIONS
def test_one_member_is_denied_and_the_other_reached(
    pool: tuple[Network, Ports], version: int
) -> None:
    """The rule names the member; the client does not know to whom it speaks."""
    net, ports = pool
    deny = rule("DenyTwo", 100, "Inbound", "Deny", destination=net["two"].address(version))
    net.reload(policy(deny, ALLOW_HTTPS, DENY_OUT))
    for _ in range(2):
        port = ports.take("internet", version, "two")
        assert decided(net, "internet", version, port) == (None, [("pool", "DenyTwo")])
        port = ports.take("internet", version, "one")
        assert decided(net, "internet", version, port) == ("one", [("pool", "AllowHttps")])


@VERSIONS
def test_a_client_inside_the_network(pool: tuple[Network, Ports], version: int) -> None:
    """Rules see the peer and the member; the member sees the gateway, and answers through it."""
    net, ports = pool
    peer = net["peer"].address(version)
    allow = rule("AllowPeer", 100, "Inbound", "Allow", "Tcp", str(PORT), source=peer)
    deny = rule("DenyVnet", 110, "Inbound", "Deny", source="VirtualNetwork")
    net.reload(policy(allow, deny, DENY_OUT, of_peer=[]))
    expected = sorted([("pool", "AllowPeer"), ("peer", "AllowVnetOutBound")])
    for member in MEMBERS:
        port = ports.take("peer", version, member)
        session, hits = net.decided_by(partial(connect, net, "peer", version, port))
        assert hits == expected
        assert session is not None
        assert (session.member, session.works()) == (member, True)
        assert session.server.getpeername()[0] == MASQUERADE[version]
        session.close()
    net.reload(policy(deny, DENY_OUT, of_peer=[]))
    expected = sorted([("pool", "DenyVnet"), ("peer", "AllowVnetOutBound")])
    port = ports.take("peer", version, "one")
    assert net.decided_by(lambda: connect(net, "peer", version, port)) == (None, expected)


@VERSIONS
def test_a_member_reaches_the_pool_it_is_in(pool: tuple[Network, Ports], version: int) -> None:
    """The other member, or itself: then both ends are one address, out and in by one link."""
    net, _ = pool
    net.reload(policy())
    found = set()
    for port in range(31000, 31040):
        session, hits = net.decided_by(partial(connect, net, "one", version, port))
        assert session is not None
        assert hits == sorted([("pool", "AllowVnetOutBound"), ("pool", "AllowVnetInBound")])
        assert session.works()
        session.close()
        found.add(session.member)
        if found == set(MEMBERS):
            break
    assert found == set(MEMBERS)
    own = net["one"].address(version)
    net.reload(policy(rule("DenyOne", 100, "Inbound", "Deny", source=own)))
    denied = sorted([("pool", "AllowVnetOutBound"), ("pool", "DenyOne")])
    assert net.decided_by(lambda: connect(net, "one", version, 31100)) == (None, denied)


@VERSIONS
def test_open_flows_through_a_reload(pool: tuple[Network, Ports], version: int) -> None:
    """They stay, and are judged again only when asked, as the rules see them."""
    net, ports = pool
    client = net["internet"].address(version)
    allow = rule("AllowClient", 100, "Inbound", "Allow", "Tcp", str(PORT), source=client)
    net.reload(policy(ALLOW_HTTPS, DENY_OUT))
    kept, cut = (connect(net, name, version, ports.take(name, version, "two")) for name in CLIENTS)
    assert kept is not None
    assert cut is not None
    net.reload(policy(DENY_OUT))
    assert kept.works()
    assert cut.works()
    port = ports.take("internet", version, "two")
    assert decided(net, "internet", version, port) == (None, [("pool", IN)])
    net.reload(policy(allow, DENY_OUT))
    answer = net.nsgd("reload", "--reevaluate")
    assert answer.returncode == 0, answer.stderr
    # The member speaks first: the flow is judged by its original direction all the same.
    assert kept.works()
    assert cut.is_cut()
    kept.close()
    cut.close()


def test_open_flows_through_a_pool_are_adopted(net: Network) -> None:
    """At the first start, inward and outward: the entries' own addresses are not all declared."""
    with_hosts(net)
    inward = connect(net, "internet", 4)
    assert inward is not None
    listener = net["other"].listen(7000)
    asking = net["one"].bound(socket.SOCK_STREAM)
    asking.connect((net["other"].address(), 7000))
    accepted, seen = listener.accept()
    outward = Session(asking, accepted, "one")
    listener.close()
    assert seen[0] == FRONTEND[4]
    net.start(policy(rule("DenyIn", 100, "Inbound", "Deny"), DENY_OUT))
    assert net.status()["openFlows"]["adopted"] == 2
    assert inward.works()
    assert outward.works()
    assert connect(net, "internet", 4) is None
    assert not net.tcp("one", "other", 7001)
    inward.close()
    outward.close()


@VERSIONS
def test_a_group_that_flushes_finds_translated_flows(
    pool: tuple[Network, Ports], version: int
) -> None:
    """flushConnection looks flows up by the addresses that rules see."""
    net, ports = pool

    def flushing(*rules: Rule) -> dict[str, Any]:
        made = policy(*rules)
        made["networkSecurityGroups"][0]["flushConnection"] = True
        return made

    net.reload(flushing(ALLOW_HTTPS))
    session = connect(net, "internet", version, ports.take("internet", version, "one"))
    assert session is not None
    net.reload(flushing())
    assert session.is_cut()
    session.close()


@VERSIONS
def test_outward_rules_see_the_private_source(pool: tuple[Network, Ports], version: int) -> None:
    """And the world sees the frontend's address; a rule with that as source never matches."""
    net, _ = pool
    frontend = FRONTEND[version]
    own = net["one"].address(version)
    allow = rule("AllowOne", 100, "Outbound", "Allow", "Tcp", source=own)
    net.reload(policy(allow, DENY_OUT))
    listener = net["internet"].listen(8443, version)

    def seen_of(sender: str) -> str | None:
        asking = net[sender].bound(socket.SOCK_STREAM, 0, version)
        try:
            asking.connect((net["internet"].address(version), 8443))
        except TimeoutError:
            return None
        finally:
            asking.close()
        accepted, peer = listener.accept()
        accepted.close()
        return str(peer[0])

    assert net.decided_by(lambda: seen_of("one")) == (frontend, [("pool", "AllowOne")])
    assert net.decided_by(lambda: seen_of("two")) == (None, [("pool", "DenyOut")])
    by_frontend = rule("DenyFront", 100, "Outbound", "Deny", source=frontend)
    net.reload(policy(by_frontend))
    allowed = (frontend, [("pool", "AllowInternetOutBound")])
    assert net.decided_by(lambda: seen_of("two")) == allowed
    listener.close()


@VERSIONS
def test_an_error_about_a_flow_inward(pool: tuple[Network, Ports], version: int) -> None:
    """Nobody listens at the member: its port unreachable reaches the client as the frontend's."""
    net, ports = pool
    net.reload(policy(ALLOW_HTTPS, DENY_OUT))
    port = ports.take("internet", version, "one")
    client = net["internet"].bound(socket.SOCK_DGRAM, port, version)
    client.settimeout(5)
    client.connect((FRONTEND[version], PORT))
    client.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        client.recv(100)
    client.close()


@VERSIONS
def test_an_error_from_underway_reaches_the_member(
    pool: tuple[Network, Ports], version: int
) -> None:
    """A router tells the frontend that its packet is too big; the member gets it, translated."""
    net, ports = pool
    net.reload(policy(ALLOW_HTTPS, DENY_OUT))
    frontend, client = FRONTEND[version], net["internet"].address(version)
    router = net["other"].address(version)
    port = ports.take("internet", version, "two")
    server = net["two"].bound(socket.SOCK_DGRAM, PORT, version)
    asking = net["internet"].bound(socket.SOCK_DGRAM, port, version)
    asking.sendto(b"ask", (frontend, PORT))
    server.settimeout(5)
    server.recv(10)
    # The member's answer as the router saw it.
    quoted = UDP(sport=PORT, dport=port) / Raw(b"MARKER-TOO-BIG")
    if version == 4:
        quoted = IP(src=frontend, dst=client) / quoted
        packet = IP(src=router, dst=frontend) / ICMP(type=3, code=4, nexthopmtu=1400) / quoted
    else:
        quoted = IPv6(src=frontend, dst=client) / quoted
        packet = IPv6(src=router, dst=frontend) / ICMPv6PacketTooBig(mtu=1400) / quoted
    assert arrives(net, "two", b"MARKER-TOO-BIG", [bytes(packet)], "other")
    server.close()
    asking.close()


@VERSIONS
def test_an_error_about_a_flow_outward(pool: tuple[Network, Ports], version: int) -> None:
    """It comes to the frontend's address and reaches the member, though all inward is denied."""
    net, _ = pool
    net.reload(policy(rule("DenyIn", 100, "Inbound", "Deny")))
    client = net["one"].bound(socket.SOCK_DGRAM, 0, version)
    client.settimeout(5)
    client.connect((net["internet"].address(version), 9))
    client.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        client.recv(100)
    client.close()


@contextlib.contextmanager
def standing_worker(net: Network, waiting: int) -> Iterator[None]:
    """Let as many packets wait for a decision together; the worker goes on when they do."""
    status = net.status()
    before, worker = status["packets"]["queued"], status["worker"]["pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
        net.wait(lambda: net.status()["packets"]["queued"] >= before + waiting, "not queued", 2.0)
    finally:
        os.kill(worker, signal.SIGCONT)


@VERSIONS
def test_datagrams_that_wait_together_go_to_one_member(
    pool: tuple[Network, Ports], version: int
) -> None:
    """A hash of the client's address and port chooses alike for all of them; none is lost."""
    net, ports = pool
    net.reload(policy(ALLOW_HTTPS, DENY_OUT))
    servers = {name: net[name].bound(socket.SOCK_DGRAM, PORT, version) for name in MEMBERS}
    taken = {ports.take("other", version, member): member for member in MEMBERS * 3}
    clients = {port: net["other"].bound(socket.SOCK_DGRAM, port, version) for port in taken}
    with standing_worker(net, waiting=3 * len(clients)):
        for client in clients.values():
            for data in (b"A", b"AAAA", b"HTTPS"):
                client.sendto(data, (FRONTEND[version], PORT))
    for _ in range(3 * len(clients)):
        name = readable(servers)[0]
        data, sender = servers[name].recvfrom(10)
        assert taken[sender[1]] == name
        servers[name].sendto(b"answer to " + data, sender)
    for client in clients.values():
        client.settimeout(5)
        answers = [client.recvfrom(100) for _ in range(3)]
        assert {data for data, _ in answers} == {
            b"answer to " + data for data in (b"A", b"AAAA", b"HTTPS")
        }
        assert {sender[0] for _, sender in answers} == {FRONTEND[version]}
        client.close()
    for server in servers.values():
        server.close()


def test_numgen_spreads_datagrams_that_wait_together(pool: tuple[Network, Ports]) -> None:
    """Why the docs' pool is a hash: each waiting datagram is a first packet to the counter."""
    net, _ = pool
    members = "{ 0 : 10.0.1.4, 1 : 10.0.1.5 }"
    translate = f"ip daddr {FRONTEND[4]} udp dport 8443 dnat ip to numgen inc mod 2 map {members}"
    net.gateway.run(["nft", f"add rule inet pool inward {translate}"])
    net.reload(policy(rule("AllowQuic", 100, "Inbound", "Allow", "Udp", "8443")))
    servers = {name: net[name].bound(socket.SOCK_DGRAM, 8443) for name in MEMBERS}
    with contextlib.closing(net["internet"].bound(socket.SOCK_DGRAM)) as client:
        with standing_worker(net, waiting=2):
            for data in (b"A", b"AAAA"):
                client.sendto(data, (FRONTEND[4], 8443))
        for server in servers.values():
            server.settimeout(5)
            assert server.recv(10) in (b"A", b"AAAA")
            server.close()


def test_a_pool_that_changes_keeps_open_flows(net: Network) -> None:
    """Its chain is flushed and filled in one step, with one member less."""
    with_hosts(net).start(policy(ALLOW_HTTPS))
    found: dict[str, Session] = {}
    while set(found) != set(MEMBERS):
        session = connect(net, "internet", 4)
        assert session is not None
        if session.member in found:
            session.close()
        else:
            found[session.member] = session
    rules = f"ip daddr {FRONTEND[4]} tcp dport {PORT} dnat ip to {net['two'].address()}"
    text = f"flush chain inet pool inward\nadd rule inet pool inward {rules}\n"
    net.gateway.run(["nft", "-f", "-"], text_input=text)
    for _ in range(4):
        session = connect(net, "internet", 4)
        assert session is not None
        assert session.member == "two"
        session.close()
    for member, session in found.items():
        assert session.works(), member
        session.close()


def test_ones_own_prober_is_the_load_balancer_if_the_document_says_so(
    pool: tuple[Network, Ports],
) -> None:
    """It speaks to members directly; clients of the pool are not covered by the tag."""
    net, ports = pool
    prober = net["other"].address()
    sections = {"platformAddresses": {"host": [], "loadBalancer": [prober]}}
    net.reload(policy(DENY_OUT) | sections)
    by = "AllowAzureLoadBalancerInBound"
    for member in MEMBERS:
        outcome = net.decided_by(partial(net.tcp, "other", member, 80))
        assert outcome == (True, [("pool", by)])
    port = ports.take("internet", 4, "one")
    assert decided(net, "internet", 4, port) == (None, [("pool", IN)])
    # What the gateway itself sends is not forwarded, so no rule is asked.
    before = net.hits()
    listener = net["one"].listen(80)
    made = net.gateway.call(lambda: socket.create_connection((net["one"].address(), 80), 5))
    made.close()
    listener.close()
    assert net.hits() == before
