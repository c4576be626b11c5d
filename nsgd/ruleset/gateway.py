"""The ruleset of a gateway whose flows are decided by the worker behind a queue.

docs/packet-path.md follows a packet through these chains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.model.packet import ICMP, ICMPV6
from nsgd.model.settings import DaemonSettings, UnmanagedTraffic
from nsgd.policy.address_set import AddressSet
from nsgd.ruleset.marks import MarkLayout
from nsgd.ruleset.matches import (
    CtState,
    MatchAddress,
    MatchCtReply,
    MatchCtState,
    MatchLink,
    MatchLinkAddress,
    MatchMark,
    MatchNoReversePath,
    MatchProtocol,
    MatchTransportByte,
    Side,
)
from nsgd.ruleset.objects import (
    AddressRangeSet,
    AnySet,
    BaseChain,
    Chain,
    Hook,
    LinkAddressSet,
    LinkSet,
    NftRule,
    Ruleset,
)
from nsgd.ruleset.statements import (
    Accept,
    Count,
    Drop,
    Goto,
    Jump,
    Queue,
    Return,
    SaveMark,
    SetMark,
    Statement,
)

# Other filters run at 0: what they drop is not worth a copy to the worker. A decision is saved
# by a base chain of its own, since an accept verdict from the queue ends the one that queued.
DECIDE_PRIORITY = 10
SAVE_PRIORITY = 15
# Ahead of conntrack (-200), where packets that conntrack drops can still be counted.
PREROUTING_PRIORITY = -250

# All hooks that any role needs, from the first start on: a base chain is never deleted, since
# that drops every packet waiting in every queue of the network namespace.
BASE_CHAINS: tuple[BaseChain, ...] = (
    BaseChain("hook_prerouting", Hook.PREROUTING, PREROUTING_PRIORITY, "prerouting"),
    BaseChain("hook_input", Hook.INPUT, DECIDE_PRIORITY, "input"),
    BaseChain("hook_input_save", Hook.INPUT, SAVE_PRIORITY, "input_save"),
    BaseChain("hook_forward", Hook.FORWARD, DECIDE_PRIORITY, "gateway"),
    BaseChain("hook_forward_save", Hook.FORWARD, SAVE_PRIORITY, "save"),
    BaseChain("hook_output", Hook.OUTPUT, DECIDE_PRIORITY, "output"),
    BaseChain("hook_output_save", Hook.OUTPUT, SAVE_PRIORITY, "output_save"),
)

COUNTERS: tuple[str, ...] = (
    "queued",
    "spoofed",
    "invalid",
    "related_undecided",
    "unmanaged_accepted",
    "unmanaged_dropped",
    "foreign_mark",
)

_ICMP_ERRORS = ((ICMP, 5), (ICMPV6, 137))  # protocol and type of a redirect
_SIDES: tuple[Side, Side] = ("source", "destination")


@dataclass(frozen=True, slots=True)
class QueueRule:
    """How packets reach the worker on this kernel."""

    number: int
    native: bool


def gateway_ruleset(
    model: NetworkModel, settings: DaemonSettings, queue_rule: QueueRule
) -> Ruleset:
    """The desired ruleset for the forward hook."""
    layout = MarkLayout(settings.mark_mask)
    links = LinkSet("links", tuple(i.link for i in model.network_interfaces if i.link))
    forwarders = LinkSet(
        "forwarders",
        tuple(i.link for i in model.network_interfaces if i.link and i.enable_ip_forwarding),
    )
    managed = AddressSet.of_prefixes(
        prefix
        for network in model.virtual_networks
        for subnet in network.subnets
        for prefix in subnet.address_prefixes
    )
    declared = AddressSet.of_prefixes(
        prefix for network in model.virtual_networks for prefix in network.address_space
    )
    sets: list[AnySet] = [links, forwarders]
    for version in IP_VERSIONS:
        sets += [
            AddressRangeSet(f"managed{version}", version, managed.ranges(version)),
            AddressRangeSet(f"declared{version}", version, declared.ranges(version)),
            LinkAddressSet(f"own{version}", version, tuple(_own_addresses(model, version))),
        ]
    has_forwarders = bool(forwarders.links)
    chains = (
        Chain("prerouting"),
        Chain("input"),
        Chain("input_save"),
        Chain("output"),
        Chain("output_save"),
        Chain("gateway", tuple(_gateway(settings, bool(links.links)))),
        Chain("managed", tuple(_managed(layout, has_forwarders))),
        Chain("anti_spoofing", tuple(_anti_spoofing(bool(links.links), has_forwarders))),
        Chain("icmp_error", tuple(_icmp_error(layout))),
        Chain("decide", tuple(_decide(layout, queue_rule))),
        Chain("save", tuple(_save(layout))),
        Chain("save_bits", tuple(_save_bits(layout))),
    )
    return Ruleset(COUNTERS, tuple(sets), BASE_CHAINS, chains)


def _own_addresses(model: NetworkModel, version: IPVersion) -> Iterator[tuple[str, int]]:
    for interface in model.network_interfaces:
        if interface.link is not None:
            for address in interface.private_ip_addresses:
                if address.version == version:
                    yield interface.link, address.value


def _rule(*statements: Statement, comment: str = "") -> NftRule:
    return NftRule(statements, comment)


def _gateway(settings: DaemonSettings, has_links: bool) -> Iterator[NftRule]:
    """Tell what touches a declared resource from what does not."""
    for side in _SIDES:
        if has_links:
            yield _rule(MatchLink(side, "links"), Goto("managed"))
    for version in IP_VERSIONS:
        for side in _SIDES:
            yield _rule(MatchAddress(version, side, f"managed{version}"), Goto("managed"))
    # A source that claims an address of a declared network is ours to check, even where no
    # subnet holds it.
    yield _rule(Jump("anti_spoofing"))
    if settings.unmanaged_traffic is UnmanagedTraffic.ACCEPT:
        yield _rule(Count("unmanaged_accepted"), Accept())
    else:
        yield _rule(Count("unmanaged_dropped"), Drop())


def _managed(layout: MarkLayout, has_forwarders: bool) -> Iterator[NftRule]:
    """Pass what is decided, drop what can never be, and have the rest decided."""
    yield _rule(Jump("anti_spoofing"))
    # A decision's pattern in the packet mark can only come from another tool that uses our bits;
    # the save chain must not take it for the worker's answer.
    yield _rule(
        MatchMark("meta", layout.outbound_decided),
        MatchMark("meta", layout.inbound_decided),
        Count("foreign_mark"),
        SetMark("meta", ~layout.mask & 0xFFFFFFFF),
    )
    if has_forwarders:
        # A flow through a forwarding NIC crosses the gateway twice with the same conntrack
        # entry; a decision made on one crossing says nothing of the other's tables.
        for version in IP_VERSIONS:
            for side in _SIDES:
                yield _rule(
                    MatchCtState(CtState.NEW | CtState.ESTABLISHED),
                    MatchLink(side, "forwarders"),
                    MatchLinkAddress(version, side, f"own{version}", inverted=True),
                    Goto("decide"),
                    comment="transit of a forwarding NIC",
                )
    # A related packet carries its master's mark, so the state is part of the question.
    yield _rule(
        MatchCtState(CtState.NEW | CtState.ESTABLISHED),
        MatchMark("ct", layout.mask),
        Accept(),
        comment="decided flow",
    )
    yield _rule(MatchCtState(CtState.INVALID), Count("invalid"), Drop())
    for protocol in (ICMP, ICMPV6):
        yield _rule(MatchCtState(CtState.RELATED), MatchProtocol(protocol), Goto("icmp_error"))
    yield _rule(Goto("decide"))


def _anti_spoofing(has_links: bool, has_forwarders: bool) -> Iterator[NftRule]:
    """Drop sources that cannot be where they come from."""
    if has_forwarders:
        yield _rule(MatchLink("source", "forwarders"), Return())
    if has_links:
        for version in IP_VERSIONS:
            yield _rule(MatchLinkAddress(version, "source", f"own{version}"), Return())
        yield _rule(
            MatchLink("source", "links"),
            Count("spoofed"),
            Drop(),
            comment="not an address of the link's NIC",
        )
    for version in IP_VERSIONS:
        yield _rule(
            MatchAddress(version, "source", f"declared{version}"),
            MatchNoReversePath(),
            Count("spoofed"),
            Drop(),
            comment="the route to the source uses another link",
        )


def _icmp_error(layout: MarkLayout) -> Iterator[NftRule]:
    """Pass an ICMP error about a decided flow; conntrack shows that flow's mark."""
    for protocol, redirect in _ICMP_ERRORS:
        yield _rule(
            MatchProtocol(protocol),
            MatchTransportByte(redirect),
            Count("related_undecided"),
            Drop(),
            comment="a redirect is not an error",
        )
    yield _rule(MatchMark("ct", layout.mask), Accept(), comment="error of a decided flow")
    yield _rule(Count("related_undecided"), Drop())


def _decide(layout: MarkLayout, queue_rule: QueueRule) -> Iterator[NftRule]:
    """Tell the worker what conntrack knows, in packet mark bits, and queue."""
    everything_else = ~layout.mask & 0xFFFFFFFF
    yield _rule(SetMark("meta", everything_else))
    yield _rule(MatchCtReply(), _request(layout.is_reply))
    yield _rule(MatchCtState(CtState.ESTABLISHED), _request(layout.is_open))
    # A helper's expected flow inherits its master's mark, which decides nothing about it.
    yield _rule(MatchCtState(CtState.RELATED), SetMark("ct", everything_else))
    yield _rule(MatchMark("ct", layout.mask), _request(layout.is_decided))
    yield _rule(MatchCtState(CtState.UNTRACKED), _request(layout.is_untracked))
    yield _rule(Count("queued"), Queue(queue_rule.number, queue_rule.native))


def _request(bits: int) -> SetMark:
    return SetMark("meta", ~bits & 0xFFFFFFFF, bits)


def _save(layout: MarkLayout) -> Iterator[NftRule]:
    """Move a decision from the packet mark to the conntrack mark."""
    clean = SetMark("meta", ~layout.mask & 0xFFFFFFFF)
    yield _rule(MatchMark("meta", layout.outbound_decided, is_set=False), Return())
    yield _rule(MatchMark("meta", layout.inbound_decided, is_set=False), Return())
    # Nobody else's bits to keep: the usual case.
    yield _rule(
        MatchMark("ct", ~layout.mask & 0xFFFFFFFF, is_set=False),
        SaveMark(layout.mask),
        clean,
        Return(),
    )
    yield _rule(Jump("save_bits"))
    yield _rule(clean)


def _save_bits(layout: MarkLayout) -> Iterator[NftRule]:
    """Copy bit by bit: nftables 1.0.6 cannot list an OR of two marks."""
    # An untracked packet has no conntrack mark; each of these rules then ends at its first step.
    yield _rule(SetMark("ct", ~layout.mask & 0xFFFFFFFF))
    for position in (*layout.outbound_positions, *layout.inbound_positions):
        bit = 1 << position
        yield _rule(MatchMark("meta", bit), SetMark("ct", ~bit & 0xFFFFFFFF, bit))
