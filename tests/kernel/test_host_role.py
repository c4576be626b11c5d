"""The host role: the machine's own addresses as network interfaces, alone and beside a gateway."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network, network

ENGINES = "queue", "kernel"
VERSIONS = pytest.mark.parametrize("version", [4, 6])
# Of the machine, and in no document.
PLAIN = "192.0.2.1", "2001:db8::1"

SUBNET_RULES = [
    rule("AllowWeb", 100, "Inbound", "Allow", "Tcp", ["80", "8080"]),
    rule("AllowDns", 110, "Inbound", "Allow", "Udp", "53"),
    rule("AllowPing", 120, "Inbound", "Allow", "Icmp"),
    rule("DenyIn", 200, "Inbound", "Deny"),
]
OWN_RULES = [
    rule("AllowIn", 120, "Inbound", "Allow"),
    rule("Deny8080", 110, "Inbound", "Deny", "Tcp", "8080"),
    rule("AllowTls", 100, "Outbound", "Allow", "*", ["443", "5353"]),
    rule("DenyOut", 200, "Outbound", "Deny"),
]
CLOSED = [rule("DenyIn", 100, "Inbound", "Deny"), rule("DenyOut", 100, "Outbound", "Deny")]
OPEN_IN = [rule("AllowTls", 100, "Inbound", "Allow", "Tcp", "443"), CLOSED[0] | {"priority": 200}]
DNAT = """table inet translated {
 chain pre { type nat hook prerouting priority -100;
  ip daddr 10.0.1.4 tcp dport 8443 dnat ip to 10.0.1.4:80
  ip6 daddr fd00:10:0:1::4 tcp dport 8443 dnat ip6 to [fd00:10:0:1::4]:80; }
 chain out { type nat hook output priority -100;
  meta nfproto ipv4 tcp dport 4430 dnat ip to 10.0.1.5:443
  meta nfproto ipv6 tcp dport 4430 dnat ip6 to [fd00:10:0:1::5]:443
  tcp dport 9999 redirect to :7000; }
}
"""


def alone(**daemon: Any) -> dict[str, Any]:
    """The machine's own NIC, known by its addresses, and a neighbour that has rules of its own."""
    own = nic("own", "one", 4, 1, link=None, networkSecurityGroup="own")
    peer = nic("peer", "one", 5, 1, link=None, networkSecurityGroup="closed")
    groups = {"one": SUBNET_RULES, "own": OWN_RULES, "closed": CLOSED}
    made = document([subnet("one", 1, "one")], [own, peer], groups)
    return made | {"daemon": {"roles": ["host"]} | daemon}


def beside(**daemon: Any) -> dict[str, Any]:
    """A NIC behind the gateway, and the gateway's own."""
    web = nic("web", "one", 5, 1, networkSecurityGroup="web")
    own = nic("own", "two", 4, 2, link=None, networkSecurityGroup="own")
    groups = {
        "web": [
            *OPEN_IN,
            rule("AllowOut", 100, "Outbound", "Allow", "*", ["80", "81"]),
            CLOSED[1] | {"priority": 200},
        ],
        "two": SUBNET_RULES,
        "own": OWN_RULES,
    }
    made = document([subnet("one", 1), subnet("two", 2, "two")], [web, own], groups)
    return made | {"daemon": {"roles": ["gateway", "host"]} | daemon}


def machine(net: Network) -> Network:
    """A machine with a neighbour, the internet, and an address of its own that is not declared."""
    net.host("peer", *nic_addresses(1, 5))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.own("veth-peer", *nic_addresses(1, 4))
    net.own("veth-internet", *PLAIN, name="plain")
    return net


def gateway(net: Network) -> Network:
    """A gateway with one host behind it, and its own address towards the internet."""
    net.host("web", *nic_addresses(1, 5))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.own("veth-internet", *nic_addresses(2, 4))
    net.own("veth-internet", *PLAIN, name="plain")
    return net


@pytest.fixture(scope="module", params=ENGINES)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """A machine in the host role alone."""
    with network(tmp_path_factory.mktemp("host")) as made:
        machine(made).start(alone(engine=request.param))
        yield made


@pytest.fixture(scope="module", params=ENGINES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """A machine in both roles."""
    with network(tmp_path_factory.mktemp("both")) as made:
        gateway(made).start(beside(engine=request.param))
        yield made


def denied(probe: Callable[[], bool]) -> bool:
    """Whether a probe fails; the kernel engine tells a local sender that it may not send."""
    try:
        return not probe()
    except PermissionError:
        return True


def denied_by(net: Network, probe: Callable[[], bool]) -> list[tuple[str, str]]:
    """The rules that were counted for a probe that fails."""
    is_denied, rules = net.decided_by(partial(denied, probe))
    assert is_denied
    return rules


def allowed_by(net: Network, probe: Callable[[], bool]) -> list[tuple[str, str]]:
    """The rules that were counted for a probe that succeeds."""
    is_allowed, rules = net.decided_by(probe)
    assert is_allowed
    return rules


@VERSIONS
def test_inbound(host: Network, version: int) -> None:
    """The subnet's group and then the NIC's of the machine; not what the sender may send."""
    tcp = partial(host.tcp, "peer", "own", version=version)
    assert allowed_by(host, partial(tcp, 80)) == [("one", "AllowWeb"), ("own", "AllowIn")]
    assert denied_by(host, partial(tcp, 8080)) == [("one", "AllowWeb"), ("own", "Deny8080")]
    assert denied_by(host, partial(tcp, 81)) == [("one", "DenyIn")]
    udp = partial(host.udp, "internet", "own", version=version)
    assert allowed_by(host, partial(udp, 53)) == [("one", "AllowDns"), ("own", "AllowIn")]
    ping = partial(host.ping, "peer", "own", version=version)
    assert allowed_by(host, ping) == [("one", "AllowPing"), ("own", "AllowIn")]


@VERSIONS
def test_outbound(host: Network, version: int) -> None:
    """The NIC's group and then the subnet's of the machine; not what the receiver lets in."""
    tcp = partial(host.tcp, "own", "peer", version=version)
    allowed = [("one", "AllowVnetOutBound"), ("own", "AllowTls")]
    assert allowed_by(host, partial(tcp, 443)) == allowed
    assert denied_by(host, partial(tcp, 444)) == [("own", "DenyOut")]
    udp = partial(host.udp, "own", "peer", version=version)
    assert allowed_by(host, partial(udp, 5353)) == allowed
    assert denied_by(host, partial(host.ping, "own", "peer", version)) == [("own", "DenyOut")]


@VERSIONS
def test_what_is_not_ours(host: Network, version: int) -> None:
    """Addresses of the machine in no document, what it sends to itself, and what is forwarded."""
    for source, destination in (
        ("internet", "plain"),
        ("plain", "internet"),
        ("peer", "plain"),
        ("own", "own"),
        ("own", "plain"),
        ("internet", "peer"),
    ):
        assert allowed_by(host, partial(host.tcp, source, destination, 22, version)) == []


@VERSIONS
def test_answers_and_errors_of_decided_flows(host: Network, version: int) -> None:
    """Resets and unreachables, sent and received, pass by the mark of their flow."""
    client = host["peer"].bound(socket.SOCK_STREAM, 0, version)
    with pytest.raises(ConnectionRefusedError):
        client.connect((host["own"].address(version), 80))
    for source, destination, port in (("peer", "own", 53), ("own", "peer", 5353)):
        datagrams = host[source].bound(socket.SOCK_DGRAM, 0, version)
        datagrams.connect((host[destination].address(version), port))
        datagrams.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            datagrams.recv(10)


@VERSIONS
def test_translation(host: Network, version: int) -> None:
    """Rules see what a packet is sent to after destination translation; to itself is not ours."""
    own, peer, internet = (host[name].address(version) for name in ("own", "peer", "internet"))
    itself = "127.0.0.1" if version == 4 else "::1"
    host.gateway.run(["nft", "-f", "-"], text_input=DNAT)
    with contextlib.ExitStack() as stack:
        stack.callback(host.gateway.run, ["nft", "delete", "table", "inet", "translated"])
        for source, asked, server, translated in (
            ("peer", (own, 8443), "own", (own, 80)),
            ("own", (internet, 4430), "peer", (peer, 443)),
            ("own", (peer, 9999), "own", (itself, 7000)),
        ):
            listener = stack.enter_context(host[server].open_socket(socket.SOCK_STREAM, version))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(translated)
            listener.listen()
            client = stack.enter_context(host[source].bound(socket.SOCK_STREAM, 0, version))
            client.connect(asked)
            stack.enter_context(listener.accept()[0])


@VERSIONS
def test_spoofed(host: Network, version: int) -> None:
    """A neighbour's address by the link of the internet; without a daemon's look at the flow."""
    before = host.denied("spoofed")
    header = IP if version == 4 else IPv6
    packet = header(src=host["peer"].address(version), dst=host["own"].address(version)) / TCP(
        dport=80
    )
    host["internet"].send_raw(bytes(packet))
    host.wait(lambda: host.denied("spoofed") == before + 1, "not counted")


def test_neighbour_discovery(host: Network) -> None:
    """A neighbour is asked for its link address anew, by the declared address itself."""
    for name in ("own", "peer"):
        host[name].namespace.run(["ip", "-6", "neigh", "flush", "all"])
    assert host.tcp("own", "peer", 443, 6)
    assert host.tcp("peer", "own", 80, 6)


@VERSIONS
def test_beside_a_gateway(both: Network, version: int) -> None:
    """Both ends are asked: the machine's own, and the one behind it, for whom nobody else asks."""
    tcp = partial(both.tcp, version=version)
    assert allowed_by(both, partial(tcp, "web", "own", 80)) == [
        ("own", "AllowIn"),
        ("two", "AllowWeb"),
        ("web", "AllowOut"),
    ]
    assert denied_by(both, partial(tcp, "web", "own", 81)) == [
        ("two", "DenyIn"),
        ("web", "AllowOut"),
    ]
    assert allowed_by(both, partial(tcp, "own", "web", 443)) == [
        ("own", "AllowTls"),
        ("two", "AllowVnetOutBound"),
        ("web", "AllowTls"),
    ]
    udp = partial(both.udp, version=version)
    assert denied_by(both, partial(udp, "own", "web", 5353)) == [
        ("own", "AllowTls"),
        ("two", "AllowVnetOutBound"),
        ("web", "DenyIn"),
    ]
    assert allowed_by(both, partial(tcp, "internet", "own", 80)) == [
        ("own", "AllowIn"),
        ("two", "AllowWeb"),
    ]
    # Forwarded as ever, and what no document declares.
    assert allowed_by(both, partial(tcp, "internet", "web", 443)) == [("web", "AllowTls")]
    assert allowed_by(both, partial(tcp, "web", "plain", 22)) == []
    assert allowed_by(both, partial(tcp, "plain", "web", 22)) == []


@VERSIONS
def test_a_link_that_leads_to_an_interface(both: Network, version: int) -> None:
    """Only the interface's own addresses come by it, also to the machine itself."""
    before = both.denied("spoofed")
    header = IP if version == 4 else IPv6
    source = ("10.0.1.77", "fd00:10:0:1::77")[version == 6]
    packet = header(src=source, dst=both["own"].address(version)) / TCP(dport=80)
    both["web"].send_raw(bytes(packet))
    both.wait(lambda: both.denied("spoofed") == before + 1, "not counted")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_link_of_the_machine_itself(net: Network, engine: str) -> None:
    """What comes and goes by it is its interface's, whatever the addresses; but for DHCP."""
    machine(net)
    document = alone(engine=engine)
    document["networkInterfaces"][0]["link"] = "veth-peer"
    net.start(document)
    for version in (4, 6):
        tcp = partial(net.tcp, version=version)
        assert allowed_by(net, partial(tcp, "peer", "own", 80)) == [
            ("one", "AllowWeb"),
            ("own", "AllowIn"),
        ]
        assert allowed_by(net, partial(tcp, "internet", "plain", 81)) == []
    assert denied_by(net, partial(net.tcp, "peer", "plain", 81)) == [("one", "DenyIn")]
    assert denied_by(net, partial(net.tcp, "plain", "peer", 444, 6)) == [("own", "DenyOut")]
    client = net["own"].open_socket(socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"veth-peer")
    client.bind(("", 68))
    server = net["peer"].open_socket(socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    server.bind(("", 67))
    client.sendto(b"discover", ("255.255.255.255", 67))
    assert server.recv(100) == b"discover"
    server.sendto(b"offer", ("255.255.255.255", 68))
    assert client.recv(100) == b"offer"
    other = net["peer"].open_socket(socket.SOCK_DGRAM)
    other.bind(("", 69))
    with contextlib.suppress(PermissionError):
        client.sendto(b"no DHCP", ("255.255.255.255", 69))
    with pytest.raises(TimeoutError):
        other.recv(100)
