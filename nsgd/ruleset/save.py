"""The chains that move the worker's decision from the packet mark to the conntrack mark.

They run in a base chain of their own: an accept verdict from the queue continues there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nsgd.model.address import IP_VERSIONS
from nsgd.ruleset.host_chains import OwnEnd
from nsgd.ruleset.marks import ALL_BITS, NO_TABLE, MarkLayout
from nsgd.ruleset.matches import MatchAddress, MatchLink, MatchMark, Side
from nsgd.ruleset.objects import Chain, NftRule, nft_rule
from nsgd.ruleset.statements import (
    Accept,
    Count,
    Goto,
    Jump,
    Return,
    SaveMark,
    SetMark,
    Statement,
)

_SIDES: tuple[Side, Side] = ("source", "destination")


def save_chains(
    layout: MarkLayout,
    *,
    forwards: bool,
    has_links: bool,
    own_ends: Iterable[tuple[str, OwnEnd]] = (),
    is_fail_open: bool,
    noting: tuple[NftRule, ...] = (),
) -> Iterator[Chain]:
    """All of them, the entries first: of the forward hook, and of others with the machine's end.

    *noting* are rules for packets with a decision of the worker's.
    """
    if forwards:
        ours = tuple(_touches_declared(has_links))
        yield Chain("hook_forward_save", tuple(_save(layout, ours, is_fail_open, noting)))
    for hook, end in own_ends:
        itself = nft_rule(end.loopback(), Return())
        own = tuple(end.is_own())
        yield Chain(f"{hook}_save", (itself, *_save(layout, own, is_fail_open, noting)))
    yield Chain("save_decision", tuple(_save_decision(layout)))
    yield Chain("save_bits", tuple(_save_bits(layout)))


def _touches_declared(has_links: bool) -> Iterator[Statement]:
    for side in _SIDES:
        if has_links:
            yield MatchLink(side, "links")
    for version in IP_VERSIONS:
        for side in _SIDES:
            yield MatchAddress(version, side, f"managed{version}")


def _save(
    layout: MarkLayout,
    ours: Iterable[Statement],
    is_fail_open: bool,
    noting: tuple[NftRule, ...],
) -> Iterator[NftRule]:
    """Tell a decision from other marks."""
    if is_fail_open:
        # Nobody answered: the flow stays undecided, and its next packet is queued again.
        yield nft_rule(
            MatchMark("meta", layout.requests),
            MatchMark("meta", layout.inbound_decided, is_set=False),
            Count("undecided_passed"),
            _clean(layout),
            Return(),
        )
    yield nft_rule(MatchMark("meta", layout.outbound_decided, is_set=False), Return())
    yield nft_rule(MatchMark("meta", layout.inbound_decided, is_set=False), Return())
    yield from noting
    # Unmanaged traffic comes by here too, with whatever marks others gave it.
    for match in ours:
        yield nft_rule(match, Goto("save_decision"))


def _save_decision(layout: MarkLayout) -> Iterator[NftRule]:
    """Other tools' bits of the conntrack mark stay."""
    others = ~layout.mask & ALL_BITS
    # Nobody else's bits to keep: the usual case.
    yield nft_rule(
        MatchMark("ct", others, is_set=False), SaveMark(layout.mask), _clean(layout), Return()
    )
    yield nft_rule(Jump("save_bits"))
    yield nft_rule(_clean(layout))


def _save_bits(layout: MarkLayout) -> Iterator[NftRule]:
    """Copy bit by bit: nftables 1.0.6 cannot list an OR of two marks."""
    # An untracked packet has no conntrack mark; each rule then ends at its first step.
    yield nft_rule(SetMark("ct", ~layout.mask & ALL_BITS))
    for position in (*layout.outbound_positions, *layout.inbound_positions):
        bit = 1 << position
        yield nft_rule(MatchMark("meta", bit), SetMark("ct", ~bit & ALL_BITS, bit))


def pass_denied(layout: MarkLayout, name: str) -> Chain:
    """Audit mode's chain for a flow that the kernel engine denies: keep the decision, let pass."""
    others = ~layout.mask & ALL_BITS
    # A sender that is not declared was asked nothing.
    unasked = MatchMark("meta", layout.outbound_decided, is_set=False)
    complete = nft_rule(unasked, SetMark("meta", ALL_BITS, layout.outbound(NO_TABLE)))
    usual = nft_rule(
        MatchMark("ct", others, is_set=False), SaveMark(layout.mask), _clean(layout), Accept()
    )
    rest = (*_save_bits(layout), nft_rule(_clean(layout)), nft_rule(Accept()))
    return Chain(name, (complete, usual, *rest))


def _clean(layout: MarkLayout) -> SetMark:
    return SetMark("meta", ~layout.mask & ALL_BITS)
