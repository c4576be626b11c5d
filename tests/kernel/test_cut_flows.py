"""Open flows listed with what decided them, and cut: with real packets, from either side."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from nsgd.runtime.control_client import ControlError, request_parts
from tests.kernel.documents import document, nic, nic_addresses, rule, subnet
from tests.kernel.network import Network
from tests.kernel.test_lifecycle import ALLOW_80, Session, web, with_hosts

ALLOW_9 = rule("AllowNine", 110, "Inbound", "Allow", "Udp", "9")


class Datagrams:
    """A UDP flow whose ends stay, and can each send."""

    def __init__(self, net: Network, source: str, destination: str, port: int) -> None:
        self.server = net[destination].bound(socket.SOCK_DGRAM, port)
        self.client = net[source].bound(socket.SOCK_DGRAM)
        self.client.connect((net[destination].address(), port))
        assert self.asks()

    def asks(self) -> bool:
        """Whether a datagram of the initiator arrives."""
        self.client.send(b"ask")
        try:
            _, self.sender = self.server.recvfrom(10)
        except TimeoutError:
            return False
        return True

    def answers(self) -> bool:
        """Whether one of the other side arrives."""
        self.server.sendto(b"answer", self.sender)
        try:
            return self.client.recv(10) == b"answer"
        except TimeoutError:
            return False


def flows(net: Network, **arguments: Any) -> list[dict[str, Any]]:
    """What ``nsgd flows`` lists, without a process each time."""
    parts = request_parts(net.directory / "run" / "nsgd.sock", "flows", **arguments)
    return [flow for part in parts for flow in part.get("flows", ())]


def cut(net: Network, *options: str) -> int:
    """How many flows ``nsgd flows cut`` ends."""
    answer = net.nsgd("flows", "cut", "-o", "json", *options)
    assert answer.returncode == 0, answer.stderr
    return int(json.loads(answer.stdout)["cut"])


def speak(first: socket.socket, then: socket.socket) -> bool:
    """Whether bytes of an open connection still arrive."""
    first.sendall(b"z")
    then.settimeout(0.3)
    try:
        return then.recv(10) != b""
    except TimeoutError:
        return False


OPENED: list[Session] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Whatever becomes of a test, its connections are closed."""
    yield
    while OPENED:
        OPENED.pop().close()


def opened(net: Network, source: str, destination: str, port: int) -> Session:
    """A connection that is closed after the test."""
    OPENED.append(Session(net, source, destination, port))
    return OPENED[-1]


def with_flows(net: Network) -> tuple[Session, Datagrams]:
    """A gateway that counts and dates flows, with one of TCP and one of UDP."""
    for name in ("acct", "timestamp"):
        net.gateway.run(["sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}=1"])
    with_hosts(net).start(web(ALLOW_80, ALLOW_9))
    return opened(net, "internet", "server", 80), Datagrams(net, "internet", "server", 9)


def test_flows_are_listed_with_what_decided_them(net: Network) -> None:
    """Rule, ends, state, age, life and counts; narrowed by every filter."""
    session, datagrams = with_flows(net)
    assert session.works()
    assert datagrams.answers()
    tcp, udp = sorted(flows(net), key=lambda flow: flow["protocol"])
    assert tcp["inbound"] == {
        "networkSecurityGroup": "web",
        "rule": "AllowHttp",
        "access": "Allow",
        "reason": "rule",
        "allowedBeforeBy": [],
    }
    # The internet is no NIC: nobody was asked on its side.
    assert (tcp["outbound"]["rule"], tcp["outbound"]["access"]) == (None, "Allow")
    assert tcp["outbound"]["reason"] == "noNetworkSecurityGroup"
    assert (tcp["protocol"], tcp["state"]) == ("Tcp", "ESTABLISHED")
    assert (tcp["from"], tcp["to"]) == (None, "server")
    assert tcp["destination"], tcp["destinationPort"] == (net["server"].address(), 80)
    assert tcp["source"] == net["internet"].address()
    assert 0 <= tcp["ageSeconds"] < 60
    assert 400_000 < tcp["expiresInSeconds"] <= 432_000
    assert tcp["packets"] >= 3
    assert tcp["bytes"] > 3 * 40
    assert (udp["protocol"], udp["state"], udp["inbound"]["rule"]) == (
        "Udp",
        "REPLIED",
        "AllowNine",
    )
    # Three bytes and six, with headers.
    assert (udp["packets"], udp["replyPackets"]) == (1, 1)
    assert (udp["bytes"], udp["replyBytes"]) == (31, 34)

    def meant(arguments: dict[str, Any]) -> list[str]:
        return sorted(flow["protocol"] for flow in flows(net, **arguments))

    server = net["server"].address()
    for arguments, expected in (
        ({"nsg": "WEB"}, ["Tcp", "Udp"]),
        ({"nsg": "other"}, []),
        ({"rule": "allowhttp"}, ["Tcp"]),
        ({"direction": "inbound"}, ["Tcp", "Udp"]),
        ({"direction": "Outbound"}, []),
        ({"nic": "server", "protocol": "udp"}, ["Udp"]),
        ({"nic": "internet"}, []),
        ({"destination": server}, ["Tcp", "Udp"]),
        ({"source": server}, []),
        ({"source": "203.0.113.0/24", "port": 80}, ["Tcp"]),
        ({"port": 9}, ["Udp"]),
        ({"source": "2000::/3"}, []),
        ({"protocol": "17"}, ["Udp"]),
    ):
        assert meant(arguments) == expected, arguments
    assert len(flows(net, limit=1)) == 1
    listed = net.nsgd("flows", "-o", "json", "--rule", "AllowHttp", "--limit", "5")
    assert [flow["protocol"] for flow in json.loads(listed.stdout)] == ["Tcp"]
    table = net.nsgd("flows").stdout
    assert "Allow web/AllowHttp" in table
    assert "2 decided flows" in table
    wrong = net.nsgd("flows", "--source", "10.0.0.1/8")
    assert wrong.returncode == 2
    assert "10.0.0.1/8" in wrong.stderr


def test_what_conntrack_does_not_keep_is_not_shown(net: Network) -> None:
    """Without accounting and timestamps there is neither age nor count."""
    for name in ("acct", "timestamp"):
        net.gateway.run(["sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}=0"])
    with_hosts(net).start(web(ALLOW_80))
    opened(net, "internet", "server", 80)
    (flow,) = flows(net)
    assert flow["ageSeconds"] is flow["packets"] is flow["bytes"] is None
    assert " - " in net.nsgd("flows").stdout


@pytest.mark.parametrize("side", ["initiator", "other"])
def test_a_cut_tcp_connection_does_not_go_on(net: Network, side: str) -> None:
    """Whoever speaks first, and then the other; a new connection is judged by the rules."""
    session, _ = with_flows(net)
    kept = opened(net, "internet", "server", 80)
    port = session._client.getsockname()[1]
    kept_port = kept._client.getsockname()[1]
    assert cut(net, "--rule", "AllowHttp", "--protocol", "Tcp") == 2
    for made in (session, kept):
        ends = made._client, made._accepted
        for first, then in (ends, ends[::-1]) if side == "initiator" else (ends[::-1], ends):
            assert not speak(first, then)
    assert net.denied("cut") >= 4
    assert not {flow["sourcePort"] for flow in flows(net)} & {port, kept_port}
    # Neither does it come back when all open flows are judged again.
    assert net.nsgd("reload", "--reevaluate").returncode == 0
    assert not speak(session._client, session._accepted)
    assert not speak(session._accepted, session._client)
    assert net.tcp("internet", "server", 80)
    assert net.status()["openFlows"]["cut"] == 2
    assert "2 open flows cut: rule AllowHttp, protocol Tcp" in net.log.read_text()


def test_only_the_flows_that_are_meant_are_cut(net: Network) -> None:
    """By port here; the others go on, also by other filters' flows."""
    with_hosts(net).start(web(rule("AllowAll", 100, "Inbound", "Allow", "Tcp", "80-81")))
    kept = opened(net, "internet", "server", 80)
    ended = opened(net, "internet", "server", 81)
    assert cut(net, "--port", "81", "--nsg", "web", "--destination", "10.0.1.0/24") == 1
    assert kept.works()
    assert not speak(ended._client, ended._accepted)
    assert cut(net, "--all") == 1
    assert not speak(kept._client, kept._accepted)


def test_the_port_of_a_cut_connection_can_be_used_again(net: Network) -> None:
    """A new SYN under the same ports is judged, and passes where a rule allows it."""
    session, _ = with_flows(net)
    port = session._client.getsockname()[1]
    assert cut(net, "--protocol", "Tcp") == 1
    # An end that has gone says so to nobody: its last words do not pass.
    for end in (session._client, session._accepted):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    session.close()
    assert net.tcp("internet", "server", 80, source_port=port)
    assert [flow["inbound"]["rule"] for flow in flows(net, protocol="Tcp")] == ["AllowHttp"]


def test_answers_of_a_cut_udp_flow_wait_for_the_initiator(net: Network) -> None:
    """The other side cannot go on by itself; the initiator's next datagram opens a flow anew."""
    _, datagrams = with_flows(net)
    assert datagrams.answers()
    hits = net.hits()["web", "Inbound", "AllowNine"]
    assert cut(net, "--protocol", "Udp") == 1
    assert not datagrams.answers()
    assert not datagrams.answers()
    assert datagrams.asks()
    assert datagrams.answers()
    assert net.hits()["web", "Inbound", "AllowNine"] == hits + 1


def test_an_unanswered_udp_flow_is_judged_anew(net: Network) -> None:
    """Of a flow that conntrack still calls new; here its rule has gone meanwhile."""
    _, datagrams = with_flows(net)
    net.reload(web(ALLOW_80))
    assert datagrams.asks()
    assert cut(net, "--protocol", "Udp") == 1
    assert not datagrams.asks()
    assert not datagrams.answers()


def test_a_flow_that_rules_no_longer_allow_is_over_for_good(net: Network) -> None:
    """An answered UDP flow too: the initiator's next datagram is denied."""
    _, datagrams = with_flows(net)
    assert datagrams.answers()
    net.reload(web(ALLOW_80))
    assert datagrams.asks()
    assert cut(net, "--protocol", "Udp") == 1
    assert not datagrams.asks()
    assert not datagrams.answers()


SYN, ACK = 2, 16


@pytest.mark.parametrize(
    ("first", "then", "who"),
    [
        # Nobody answers, so that conntrack still calls the flow new: seen from its middle, and
        # opened from both sides at once. The latter would be judged by the initiator's direction.
        (ACK, ACK, "internet"),
        (SYN, SYN, "server"),
    ],
)
def test_a_connection_without_an_answer_is_cut_too(
    net: Network, first: int, then: int, who: str
) -> None:
    """Its segments do not bring it back, nor does a SYN of the other side."""
    with_hosts(net).start(web(ALLOW_80))
    ends = {"internet": (net["internet"].address(), 4000), "server": (net["server"].address(), 80)}

    def arrives(flags: int, sender: str, receiver: str) -> bool:
        sniffer = net[receiver].sniffer()
        sniffer.settimeout(0.3)
        segment = tcp_segment(ends[sender], ends[receiver], flags)
        net[sender].send_raw(segment)
        with contextlib.suppress(TimeoutError):
            # An end that knows no such connection says so, in the other direction.
            while sniffer.recv(200)[20:24] != segment[20:24]:
                pass
            return True
        return False

    other = {"internet": "server", "server": "internet"}
    # A host that answers would change conntrack's mind.
    net["server"].namespace.run(["nft", "-f", "-"], text_input=NO_RESETS)
    assert arrives(first, "internet", "server")
    assert len(flows(net)) == 1
    assert cut(net, "--all") == 1
    assert not arrives(then, who, other[who])
    assert flows(net) == []


NO_RESETS = (
    "table ip silent {\n chain out {\n type filter hook output priority 0;\n"
    " tcp flags & (rst | syn) != 0 drop\n }\n}\n"
)


def test_transit_of_a_forwarding_nic_is_cut_too(net: Network) -> None:
    """Each of its packets is judged, and none of them revives the connection."""
    session = with_transit(net)
    assert session.works()
    assert cut(net, "--port", "80") >= 1
    assert not speak(session._client, session._accepted)
    assert not speak(session._accepted, session._client)


def test_a_cut_must_say_what(net: Network) -> None:
    """No filter and a filter that cannot be one cut nothing."""
    with_hosts(net).start(web(ALLOW_80))
    session = opened(net, "internet", "server", 80)
    for options, text in (
        ((), "name flows, or --all"),
        (("--all", "--port", "80"), "no filter"),
        (("--port", "80000"), "not a port"),
        (("--protocol", "Tpc"), "not a protocol"),
        (("--direction", "in"), "not a direction"),
        (("--nsg", ""), "empty"),
    ):
        answer = net.nsgd("flows", "cut", *options)
        assert answer.returncode == 2, options
        assert text in answer.stderr
    # The daemon does not rely on the command.
    for arguments in ({}, {"all": False}, {"all": True, "port": 80}):
        with pytest.raises(ControlError, match="all"):
            list(request_parts(net.directory / "run" / "nsgd.sock", "cutFlows", **arguments))
    assert session.works()


def test_audit_mode_cuts_nothing(net: Network) -> None:
    """It drops nothing; what was cut before passes too."""
    with_hosts(net).start(web(ALLOW_80))
    session = opened(net, "internet", "server", 80)
    assert cut(net, "--all") == 1
    net.reload(web(ALLOW_80, mode="audit"))
    assert session.works()
    answer = net.nsgd("flows", "cut", "--all")
    assert (answer.returncode, "audit drops nothing" in answer.stderr) == (1, True)


def tcp_segment(source: tuple[str, int], destination: tuple[str, int], flags: int) -> bytes:
    """An IPv4 packet with a TCP header and nothing in it."""
    from scapy.layers.inet import IP, TCP

    packet = IP(src=source[0], dst=destination[0]) / TCP(
        sport=source[1], dport=destination[1], flags=flags, seq=1
    )
    return bytes(packet)


def with_transit(net: Network) -> Session:
    """A client whose traffic to the server, and back, goes through a router with a NIC."""
    for name, number in (("client", 1), ("server", 2), ("router", 3)):
        net.host(name, *nic_addresses(number, 4))
    net["router"].namespace.sysctl([("net.ipv4.ip_forward", "1")])
    router = net["router"].address()
    net.gateway.run(f"ip route add default via {router} dev veth-router table 77".split())
    for name, to in (("client", "server"), ("server", "client")):
        command = f"ip rule add iif veth-{name} to {net[to].address()} lookup 77 priority 10"
        net.gateway.run(command.split())
    both = [
        rule(f"Allow{direction}", 100, direction, "Allow", "Tcp", "80")
        for direction in ("Inbound", "Outbound")
    ]
    net.start(
        document(
            [subnet("one", 1, "g"), subnet("two", 2, "g"), subnet("three", 3)],
            [
                nic("client", "one", 4, 1),
                nic("server", "two", 4, 2),
                nic("router", "three", 4, 3, enableIPForwarding=True),
            ],
            {"g": both},
        )
    )
    return opened(net, "client", "server", 80)
