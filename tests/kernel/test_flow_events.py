"""Events of real flows, and what is made of them where most are lost."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from nsgd.flowlog.following import FlowFollower, Saying
from nsgd.flowlog.record import FlowState
from nsgd.kernel import flow_events
from nsgd.kernel.flow_events import FlowEvents, dump_flows, look_up_flows
from nsgd.kernel.netfilter import NETLINK_NETFILTER
from nsgd.model.address import IPVersion
from nsgd.runtime.flow_log.resync import Resync
from nsgd.wire import netlink
from nsgd.wire.flow_events import FLOW_TOLD, FlowSeen
from tests.kernel.documents import INTERNET_V4, INTERNET_V6, nic_addresses
from tests.kernel.network import Network
from tests.wire.flow_messages import flow_message, flow_tuple

MARK = 0x00450020
RULES = f"""
table inet probe {{
  chain forward {{
    type filter hook forward priority 0
    udp dport 53 ct state new ct mark set {MARK}
  }}
}}
"""
FIRST_PORT = 20000


class Log:
    """Follows the gateway's flows as the flow log's process does, and keeps what it says."""

    interval_s = 1.0

    def __init__(self, net: Network, receive_buffer_bytes: int) -> None:
        self._net = net
        self.follower = FlowFollower(lambda mark: mark == MARK, 1000, 10_000, 1)
        self.said: list[Saying] = []
        self.resyncs = 0
        self.now_s = time.time()  # and on, as pass_time() says: the kernel's times are real
        self.events = net.gateway.call(lambda: FlowEvents(receive_buffer_bytes))
        self.resync = Resync(self, self._dump, self._look_up)
        self.pass_time(0.0)

    def _dump(self) -> Iterator[list[FlowSeen]]:
        return iter(self._net.gateway.call(lambda: list(dump_flows())))

    def _look_up(self, keys: Iterable[tuple[bytes, IPVersion]]) -> None:
        self._net.gateway.call(lambda: look_up_flows(keys))

    def dump_begins(self) -> None:
        """All flows come now."""
        self.follower.dump_begins()

    def dumped(self, flows: list[FlowSeen], now_ms: int) -> None:
        """Some of them."""
        self.said += self.follower.dumped(flows, now_ms)

    def dump_ends(self, *, is_resync: bool) -> list[tuple[bytes, IPVersion]]:
        """That was all."""
        self.resyncs += is_resync
        return [(key, 4) for key in self.follower.dump_ends()]

    def vanished(self, flows: list[tuple[bytes, IPVersion]], now_ms: int) -> None:
        """Of these nothing was told."""
        self.said += self.follower.vanished([key for key, _ in flows], now_ms)

    def pass_time(self, seconds: float) -> None:
        """Read what has come, and do what is due then."""
        self.now_s += seconds
        for _ in range(200):
            before = self.events.overflows
            for has_ended, flow in self.events.read(512):
                hear = self.follower.ended if has_ended else self.follower.begun
                self.said += hear(flow, int(self.now_s * 1000))
            if self.events.overflows != before:
                self.resync.wanted(self.now_s)
            self.resync.step(self.now_s, int(self.now_s * 1000))

    def close(self) -> None:
        """Listen no more."""
        self.events.close()

    def states(self) -> dict[int, str]:
        """The letters of each flow, by its port."""
        found: dict[int, str] = {}
        for saying in self.said:
            port = saying.header.source_port
            found[port] = found.get(port, "") + saying.state.value
        return found

    def packets(self) -> Counter[int]:
        """Packets sent, by port."""
        found: Counter[int] = Counter()
        for saying in self.said:
            assert saying.counts is not None
            found[saying.header.source_port] += saying.counts[0]
        return found


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """What is closed in the end."""
    with contextlib.ExitStack() as made:
        yield made


@pytest.fixture
def flows(net: Network) -> Network:
    """A gateway that marks flows to a server as decided, and counts them."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.gateway.run(["nft", "-f", "-"], text_input=RULES)
    for name in ("acct", "events", "timestamp"):
        net.gateway.run(["sysctl", "-w", f"net.netfilter.nf_conntrack_{name}=1"])
    return net


def send(net: Network, ports: range) -> None:
    """A datagram from each port, in bursts that queues have room for."""
    server = net["server"].bound(socket.SOCK_DGRAM, 53)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    with contextlib.closing(server):
        for port in ports:
            with contextlib.closing(net["internet"].bound(socket.SOCK_DGRAM, port)) as client:
                client.sendto(b"?", (net["server"].address(), 53))
            server.recv(10)


def counted(net: Network) -> Counter[int]:
    """Packets sent by port, as conntrack has them."""
    listing = net.gateway.run(["conntrack", "-L", "-p", "udp", "--dport", "53"]).stdout
    return Counter(
        {
            int(port): int(packets)
            for port, packets in re.findall(r"sport=(\d+) dport=53 packets=(\d+)", listing)
        }
    )


def test_events_are_what_conntrack_has(flows: Network) -> None:
    """Begin with the mark, end with the counters, and the time of each."""
    with contextlib.closing(flows.gateway.call(FlowEvents)) as events:
        send(flows, range(FIRST_PORT, FIRST_PORT + 3))
        flows.gateway.run(["conntrack", "-D", "-p", "udp"])
        found = [event for event in events.read(100) if event[1].mark == MARK]
    assert [has_ended for has_ended, _ in found] == [False] * 3 + [True] * 3
    begin, end = found[0][1], found[3][1]
    assert (begin.counts, begin.header.destination_port) == (None, 53)
    for _, flow in found[3:]:
        assert flow.counts == (1, 29, 0, 0)
        assert flow.start_ms <= flow.time_ms
    assert end.start_ms > 1_600_000_000_000
    assert events.overflows == 0


def test_only_the_kernel_is_heard(flows: Network) -> None:
    """Another process's message, between two of the kernel's, is none."""
    with contextlib.closing(flows.gateway.call(FlowEvents)) as events:
        send(flows, range(FIRST_PORT, FIRST_PORT + 1))
        made_up = flow_message(
            flow_tuple(1, "192.0.2.1", "192.0.2.2", 17, 1, 2),
            flow_tuple(2, "192.0.2.2", "192.0.2.1", 17, 2, 1),
            mark=MARK,
        )
        message = netlink.message(FLOW_TOLD, 0, 0, 0, made_up[4:])
        with flows.gateway.call(
            lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        ) as other:
            port, _ = events._socket.getsockname()
            message = message[: netlink.HEADER_BYTES] + made_up
            assert other.sendto(message, (port, 0)) == len(message)
        send(flows, range(FIRST_PORT + 1, FIRST_PORT + 2))
        found = [flow.header.source_port for _, flow in events.read(100) if flow.mark == MARK]
    assert found == [FIRST_PORT, FIRST_PORT + 1]
    assert (events.overflows, len(message)) == (0, netlink.HEADER_BYTES + len(made_up))


def test_an_event_without_room_is_lost(flows: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed and counted as if the kernel had had none; those beside it are read."""
    monkeypatch.setattr(flow_events, "_EVENT_BYTES", 200)  # an end has more
    with contextlib.closing(flows.gateway.call(FlowEvents)) as events:
        send(flows, range(FIRST_PORT, FIRST_PORT + 3))
        flows.gateway.run(["conntrack", "-D", "-p", "udp"])
        send(flows, range(FIRST_PORT, FIRST_PORT + 1))
        found = [event for event in events.read(100) if event[1].mark == MARK]
        assert [has_ended for has_ended, _ in found] == [False] * 4
        assert events.overflows == events.lost >= 3


def test_as_many_as_are_asked_for(flows: Network) -> None:
    """In the order in which they came, over several calls, each once."""
    with contextlib.closing(flows.gateway.call(FlowEvents)) as events:
        ports = list(range(FIRST_PORT, FIRST_PORT + 300))
        send(flows, range(FIRST_PORT, FIRST_PORT + 300))
        found: list[tuple[bool, FlowSeen]] = []
        for most in (7, 260, 1000):
            part = events.read(most)
            assert len(part) <= most
            found += part
    assert [flow.header.source_port for _, flow in found if flow.mark == MARK] == ports


def test_nothing_twice_and_nothing_missing_though_most_events_are_lost(
    flows: Network, stack: contextlib.ExitStack
) -> None:
    """A buffer of a few events; every flow begins once and ends once, with its packets."""
    ports = range(FIRST_PORT, FIRST_PORT + 120)
    log = stack.enter_context(contextlib.closing(Log(flows, 2048)))
    send(flows, ports)
    # As many as the buffer holds have come: the rest is found.
    log.pass_time(0.1)
    assert log.events.overflows >= 1
    assert log.events.lost > 60
    assert log.resyncs >= 1
    assert log.follower.begun_unseen > 60
    assert log.states() == dict.fromkeys(ports, "B")

    send(flows, ports)
    send(flows, ports[:50])
    log.pass_time(2.0)
    assert log.states() == dict.fromkeys(ports, "BC")
    assert log.packets() == counted(flows)
    assert log.packets().total() == 290

    # The ends are lost too: what was counted when they were last seen is all that is known.
    before, unseen = log.events.lost, log.follower.ended_unseen
    flows.gateway.run(["conntrack", "-D", "-p", "udp", "--dport", "53"])
    log.pass_time(0.1)
    assert log.events.lost - before > 60
    log.pass_time(2.5)
    log.pass_time(2.5)
    assert log.states() == dict.fromkeys(ports, "BCE")
    assert log.packets().total() == 290
    assert log.follower.ended_unseen - unseen > 60
    assert log.follower.flows == {}


def test_looking_for_a_flow_that_has_run_out_ends_it(flows: Network) -> None:
    """With its counters, and without a dump, which ends some by itself."""
    flows.gateway.run(["sysctl", "-w", "net.netfilter.nf_conntrack_udp_timeout=1"])
    with contextlib.closing(flows.gateway.call(FlowEvents)) as events:
        send(flows, range(FIRST_PORT, FIRST_PORT + 1))
        ((has_ended, flow),) = [event for event in events.read(100) if event[1].mark == MARK]
        assert not has_ended
        found: list[tuple[bool, FlowSeen]] = []

        def is_told() -> bool:
            flows.gateway.call(lambda: look_up_flows([(flow.key, 4)]))
            found.extend(event for event in events.read(100) if event[1].mark == MARK)
            return bool(found)

        flows.wait(is_told, "no end is told")
    ((has_ended, ended),) = found
    assert has_ended
    assert (ended.key, ended.counts) == (flow.key, (1, 29, 0, 0))


def test_flows_that_have_run_out_are_told_of_at_once(
    flows: Network, stack: contextlib.ExitStack
) -> None:
    """A dump does not have them, and the kernel would come to them within a minute."""
    log = stack.enter_context(contextlib.closing(Log(flows, 1 << 20)))
    flows.gateway.run(["sysctl", "-w", "net.netfilter.nf_conntrack_udp_timeout=1"])
    ports = range(FIRST_PORT, FIRST_PORT + 20)
    send(flows, ports)
    log.pass_time(0.1)
    assert log.states() == dict.fromkeys(ports, "B")
    flows.wait(lambda: not counted(flows), "flows do not run out")
    log.pass_time(2.0)
    log.pass_time(2.5)
    assert log.states() == dict.fromkeys(ports, "BE")
    # Not lost: each with its own counters.
    assert log.follower.ended_unseen == 0
    assert log.packets() == Counter(dict.fromkeys(ports, 1))
    assert all(each.counts == (1, 29, 0, 0) for each in log.said if each.state is FlowState.END)
