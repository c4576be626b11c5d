"""Whose a flow is: interfaces by address, rules by the numbers in the mark."""

from __future__ import annotations

import pytest

from nsgd.flowlog import names
from nsgd.flowlog.following import NOTHING, Saying
from nsgd.flowlog.record import FlowState
from nsgd.model.address import Address
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings, FlowLog
from nsgd.policy.compile import compile_policy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import ADOPTED, AUDIT_DENIED, FIRST_RULE_NUMBER, NO_TABLE, MarkLayout
from nsgd.runtime.flow_log import attribution
from nsgd.runtime.flow_log.attribution import Attribution
from nsgd.runtime.flow_log.handover import Handover
from tests.flowlog.entries import records_of
from tests.models import SMALL

MASK = DaemonSettings().mark_mask
LAYOUT = MarkLayout(MASK)
POLICY = compile_policy(SMALL)
NUMBERS = DecisionNumbers().extended(POLICY, FIRST_RULE_NUMBER, LAYOUT.capacity)
MADE = Attribution.build(SMALL, POLICY.endpoint_map, NUMBERS, MASK)
WEB1 = next(nic for nic in SMALL.network_interfaces if nic.name == "web1")
WEB1_ADDRESS = str(WEB1.private_ip_addresses[0])
OUTSIDE, UNDECLARED = "198.51.100.9", "10.0.1.99"
WEB1_MAC, NONE = names.mac_address("web1"), "000000000000"


def number(direction: Direction, group: str, rule: str, access: Access = Access.ALLOW) -> int:
    """A rule's."""
    return NUMBERS.by_direction[direction][group, rule, access]


def records(
    source: str, destination: str, outbound: int, inbound: int, state: FlowState = FlowState.END
) -> list[tuple[str, str, str, str, str]]:
    """Network, interface, letter of the direction, group and rule of each record."""
    one, other = Address.parse(source), Address.parse(destination)
    header = PacketHeader(one.version, 6, one.value, other.value, 40000, 80, False)
    mark = LAYOUT.outbound(outbound) | LAYOUT.inbound(inbound)
    found = []
    entry = MADE.entry(Saying(state, 5, header, mark, (1, 2, 3, 4)))
    for (place, ruling), record in zip(entry.sides, records_of(entry), strict=True):
        assert (record.source, record.destination) == (source, destination)
        assert (record.packets_sent, record.bytes_received) == (1, 4)
        numbers = {Direction.OUTBOUND: outbound, Direction.INBOUND: inbound}
        assert ruling.number == numbers[ruling.direction]
        found.append(
            (
                place.virtual_network,
                record.mac_address,
                record.direction.value[0],
                record.network_security_group,
                record.rule,
            )
        )
    return found


def test_from_outside() -> None:
    """The receiver logs it, and nobody else."""
    allowed = number(Direction.INBOUND, "web", "AllowHttp")
    assert records(OUTSIDE, WEB1_ADDRESS, NO_TABLE, allowed) == [
        ("lab", WEB1_MAC, "I", "web", "AllowHttp")
    ]


def test_between_two_of_ours() -> None:
    """Each end has a record, with the rule of its own side."""
    outbound = number(Direction.OUTBOUND, "web", "AllowVnetOutBound")
    found = records(WEB1_ADDRESS, "10.0.2.9", outbound, NO_TABLE)
    assert found == [
        ("lab", WEB1_MAC, "O", "web", "DefaultRule_AllowVnetOutBound"),
        # An undeclared resource of a subnet without a group.
        ("lab", NONE, "I", "", "PlatformRule"),
    ]


def test_an_undeclared_resource_has_no_address() -> None:
    """Its subnet's group decides; its interface is not known."""
    allowed = number(Direction.INBOUND, "web", "AllowHttp")
    assert records(OUTSIDE, UNDECLARED, NO_TABLE, allowed) == [
        ("lab", NONE, "I", "web", "AllowHttp")
    ]


def test_what_was_found_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By identity, as outputs put together what is of one place; however little is remembered."""
    allowed = number(Direction.INBOUND, "web", "AllowHttp")
    for most in (65536, 1):
        monkeypatch.setattr(attribution, "_MOST_REMEMBERED", most)
        for _ in range(3):
            for mac, address in ((WEB1_MAC, WEB1_ADDRESS), (NONE, UNDECLARED)):
                assert records(OUTSIDE, address, NO_TABLE, allowed) == [
                    ("lab", mac, "I", "web", "AllowHttp")
                ]
    mark = LAYOUT.outbound(NO_TABLE) | LAYOUT.inbound(allowed)
    sides = [
        side
        for address in (WEB1_ADDRESS, UNDECLARED, "10.0.1.98", "10.0.2.77")
        for header in [
            PacketHeader(4, 6, 1, Address.parse(address).value, 1, 80, False),
        ]
        for side in MADE.entry(Saying(FlowState.BEGIN, 5, header, mark, NOTHING)).sides
    ]
    assert len({ruling for _, ruling in sides}) == 1
    # Undeclared resources of two subnets have one file.
    assert len({place for place, _ in sides}) == 2


def test_adopted_flows() -> None:
    """No rule has decided them."""
    assert records(OUTSIDE, WEB1_ADDRESS, ADOPTED, ADOPTED) == [
        ("lab", WEB1_MAC, "I", "", "PlatformRule")
    ]


def test_a_sender_that_only_its_link_tells() -> None:
    """A NIC that forwards for others: its group says that it was one of ours."""
    outbound = number(Direction.OUTBOUND, "web", "AllowInternetOutBound")
    assert records("192.0.2.7", OUTSIDE, outbound, NO_TABLE) == [
        ("lab", NONE, "O", "web", "DefaultRule_AllowInternetOutBound")
    ]


def test_ipv6() -> None:
    """By the same interface."""
    six = next(str(address) for address in WEB1.private_ip_addresses if address.version == 6)
    allowed = number(Direction.INBOUND, "web", "AllowHttp")
    assert records("2001:db8::9", six, NO_TABLE, allowed)[0][1] == WEB1_MAC


def test_denials() -> None:
    """One record, by the side that denied, or by none where no rule did."""
    header = PacketHeader(
        4, 17, Address.parse(OUTSIDE).value, Address.parse(WEB1_ADDRESS).value, 1, 2, False
    )
    denied = number(Direction.INBOUND, "web", "DenyAllInBound", Access.DENY)
    entry = MADE.denial(7, header, Direction.INBOUND, denied)
    (record,) = records_of(entry)
    assert (record.state, record.rule, record.time_ms) == (
        FlowState.DENY,
        "DefaultRule_DenyAllInBound",
        7,
    )
    assert (record.packets_sent, entry.sides[0][1].number) == (0, denied)
    (record,) = records_of(MADE.denial(7, header, Direction.INBOUND, AUDIT_DENIED))
    assert (record.rule, record.acl_id) == ("PlatformRule", names.NO_ACL)


def test_which_marks_are_decisions() -> None:
    """Both halves have a number; a request to the worker is none, nor are others' bits."""
    assert MADE.is_decided(LAYOUT.outbound(NO_TABLE) | LAYOUT.inbound(40))
    assert not MADE.is_decided(0)
    assert not MADE.is_decided(LAYOUT.outbound(40))
    assert not MADE.is_decided(LAYOUT.outbound(15) | LAYOUT.inbound(40))
    assert not MADE.is_decided(0x4000 | 0x8000)


def test_the_hand_over() -> None:
    """What comes out attributes as what went in."""
    settings = FlowLog("/var/log/nsgd", flush_seconds=5)
    handed = Handover.from_bytes(Handover(settings, True, MADE).to_bytes())
    assert (handed.settings, handed.logs_denials) == (settings, True)
    header = PacketHeader(4, 6, 1, Address.parse(WEB1_ADDRESS).value, 1, 80, False)
    allowed = number(Direction.INBOUND, "web", "AllowHttp")
    saying = Saying(
        FlowState.BEGIN, 5, header, LAYOUT.outbound(NO_TABLE) | LAYOUT.inbound(allowed), None
    )
    made = list(records_of(MADE.entry(saying)))
    assert len(made) == 1
    assert list(records_of(handed.attribution.entry(saying))) == made
