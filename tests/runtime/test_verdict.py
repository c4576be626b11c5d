"""The verdict path: real bytes in, a mark or a drop out, and each cell counted once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

from nsgd.model.decision import Reason
from nsgd.model.packet import Unparsable
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import compile_policy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, NO_TABLE, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.models import SMALL

SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)
POLICY = compile_policy(SMALL)
NUMBERS = DecisionNumbers().extended(POLICY, FIRST_RULE_NUMBER, LAYOUT.capacity)
OUTSIDE = "198.51.100.9"


@pytest.fixture
def counters() -> Iterator[SharedCounters]:
    """Fresh counters."""
    made = SharedCounters.create(LAYOUT.capacity)
    yield made
    made.close()


@pytest.fixture
def path(counters: SharedCounters) -> VerdictPath:
    """A verdict path as a worker has it, after the hand-over."""
    built = WorkerPolicy.build(1, POLICY, NUMBERS, SETTINGS)
    return VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), counters)


def number(direction: Direction, group: str, rule: str, access: Access) -> int:
    """The decision number of a rule."""
    return NUMBERS.by_direction[direction][group, rule, access]


def hits(counters: SharedCounters, direction: Direction, of_number: int) -> int:
    """How often the rule of a decision number decided a table."""
    return counters.totals()[counters.first_hit_cell(direction) + of_number]


def http(source: str, destination: str, port: int = 80, flags: str = "S") -> Packet:
    """A TCP packet."""
    return IP(src=source, dst=destination) / TCP(sport=40000, dport=port, flags=flags)


def test_allow_carries_the_last_number_of_each_side(
    path: VerdictPath, counters: SharedCounters
) -> None:
    """Inbound the NIC's group is last; outside there is no table."""
    mark = path.judge(bytes(http(OUTSIDE, "10.0.1.4")), 0, "eth0", "veth-web1")
    assert mark is not None
    inbound = number(Direction.INBOUND, "nic", "AllowHttp", Access.ALLOW)
    assert LAYOUT.numbers(mark) == (NO_TABLE, inbound)
    subnet = number(Direction.INBOUND, "web", "AllowHttp", Access.ALLOW)
    assert hits(counters, Direction.INBOUND, inbound) == 1
    assert hits(counters, Direction.INBOUND, subnet) == 1
    assert counters.cells[cell.FLOWS[Direction.INBOUND, Access.ALLOW, Reason.RULE]] == 1
    assert counters.cells[cell.ACCEPTED] == 1
    assert sum(counters.cells) == 4


def test_deny_counts_the_first_table_only(path: VerdictPath, counters: SharedCounters) -> None:
    """The NIC's group is not consulted after the subnet's denial."""
    assert path.judge(bytes(http(OUTSIDE, "10.0.1.4", 81)), 0, "eth0", "veth-web1") is None
    deny = number(Direction.INBOUND, "web", "DenyAllInBound", Access.DENY)
    assert hits(counters, Direction.INBOUND, deny) == 1
    assert counters.cells[cell.FLOWS[Direction.INBOUND, Access.DENY, Reason.RULE]] == 1
    assert counters.cells[cell.DENIED[Reason.RULE]] == 1
    assert counters.cells[cell.DROPPED] == counters.cells[cell.DENIALS_WRITTEN] == 1
    assert sum(counters.cells) == 5


def test_other_tools_bits_survive(path: VerdictPath) -> None:
    """The answer keeps the mark's bits outside the mask."""
    mark = path.judge(bytes(http(OUTSIDE, "10.0.1.4")), 0x4000, "eth0", "veth-web1")
    assert mark is not None
    assert mark & 0xC000 == 0x4000


def test_reply_is_judged_by_the_original_direction(path: VerdictPath) -> None:
    """A reply queued first asks the same tables as the packet that it answers."""
    reply = IP(src="10.0.1.4", dst=OUTSIDE) / TCP(sport=80, dport=40000, flags="SA")
    mark = path.judge(bytes(reply), LAYOUT.is_reply | LAYOUT.is_open, "veth-web1", "eth0")
    assert mark is not None
    assert LAYOUT.numbers(mark)[1] == number(Direction.INBOUND, "nic", "AllowHttp", Access.ALLOW)
    denied = IP(src="10.0.1.4", dst=OUTSIDE) / TCP(sport=81, dport=40000, flags="SA")
    assert path.judge(bytes(denied), LAYOUT.is_reply, "veth-web1", "eth0") is None


@pytest.mark.parametrize(
    ("request_bits", "flows"),
    [
        (LAYOUT.is_decided, 1),  # the first packet's second crossing
        (LAYOUT.is_open, 1),  # open before nsgd came
        (LAYOUT.is_decided | LAYOUT.is_open, 0),  # a later packet in transit
    ],
)
def test_transit_is_counted_once_a_crossing(
    path: VerdictPath, counters: SharedCounters, request_bits: int, flows: int
) -> None:
    """Each packet in transit of a forwarding NIC is judged; not each is a flow."""
    packet = bytes(http(OUTSIDE, "10.0.1.4"))
    assert path.judge(packet, request_bits, "veth-router", "veth-web1") is not None
    assert counters.cells[cell.FLOWS[Direction.INBOUND, Access.ALLOW, Reason.RULE]] == flows
    counted = hits(
        counters, Direction.INBOUND, number(Direction.INBOUND, "nic", "AllowHttp", Access.ALLOW)
    )
    assert counted == flows
    denied = bytes(http(OUTSIDE, "10.0.1.4", 81))
    assert path.judge(denied, request_bits, "veth-router", "veth-web1") is None
    assert counters.cells[cell.FLOWS[Direction.INBOUND, Access.DENY, Reason.RULE]] == 1


@pytest.mark.parametrize(
    ("flags", "request_bits", "midstream"),
    [("S", 0, 0), ("A", 0, 1), ("SA", 0, 1), ("A", LAYOUT.is_open, 0)],
)
def test_midstream_is_counted_apart(
    path: VerdictPath, counters: SharedCounters, flags: str, request_bits: int, midstream: int
) -> None:
    """TCP that does not open a connection and belongs to none is judged, and told."""
    packet = bytes(http(OUTSIDE, "10.0.1.4", flags=flags))
    assert path.judge(packet, request_bits, "eth0", "veth-web1") is not None
    assert counters.cells[cell.MIDSTREAM] == midstream


def test_no_group_at_all_is_allowed(path: VerdictPath, counters: SharedCounters) -> None:
    """A subnet without a group: allowed, with a decision that says so."""
    mark = path.judge(bytes(IP(src=OUTSIDE, dst="10.0.2.9") / ICMP()), 0, "eth0", "veth-open")
    assert mark is not None
    assert LAYOUT.numbers(mark) == (NO_TABLE, NO_TABLE)
    assert counters.cells[cell.FLOWS[Direction.INBOUND, Access.ALLOW, Reason.NO_NSG]] == 1


def test_unmanaged_leaves_no_decision(path: VerdictPath, counters: SharedCounters) -> None:
    """A packet that a policy change left in the queue passes without a mark."""
    packet = bytes(IP(src=OUTSIDE, dst="192.0.2.1") / UDP())
    assert path.judge(packet, LAYOUT.is_each | 0x8000, "eth0", "eth1") == 0x8000
    assert counters.cells[cell.UNMANAGED_ACCEPTED] == 1


def test_unparsable_is_denied_and_named(path: VerdictPath, counters: SharedCounters) -> None:
    """A cut header cannot be judged."""
    assert path.judge(bytes(http(OUTSIDE, "10.0.1.4"))[:30], 0, "eth0", "veth-web1") is None
    assert counters.cells[cell.UNPARSABLE[Unparsable.TRANSPORT_HEADER]] == 1
    assert counters.cells[cell.DENIED[Reason.UNPARSABLE]] == 1


def test_ipv6_twin(path: VerdictPath) -> None:
    """The same rules, the other family."""
    allowed = IPv6(src="2600::1", dst="fd00:10:0:1::4") / TCP(dport=443)
    denied = IPv6(src="2600::1", dst="fd00:10:0:1::4") / TCP(dport=444)
    assert path.judge(bytes(allowed), 0, "eth0", "veth-web1") is not None
    assert path.judge(bytes(denied), 0, "eth0", "veth-web1") is None
