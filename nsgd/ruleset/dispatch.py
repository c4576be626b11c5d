"""The way of a first packet: by its sender to the tables that it asks, then by its receiver.

Each table returns what it allows, and the last chains count the flow and keep the decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain as joined

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.model.rule import Direction
from nsgd.policy.endpoints import EndpointMap
from nsgd.ruleset import chains, endpoint_maps
from nsgd.ruleset.branches import RETURN, BranchBy, CountIn, MatchValue
from nsgd.ruleset.chains import ASK
from nsgd.ruleset.endpoint_maps import SIDES, EndpointMaps
from nsgd.ruleset.keys import NEXT_HEADER, address_key, link_key, mark_key
from nsgd.ruleset.marks import ALL_BITS, FIRST_RULE_NUMBER, NO_TABLE
from nsgd.ruleset.matches import (
    MatchAddress,
    MatchFamily,
    MatchLink,
    MatchMark,
    MatchTcpFlags,
    Side,
    opposite,
)
from nsgd.ruleset.names import root_chain
from nsgd.ruleset.objects import AnySet, Chain, ChainGroup, NftRule, VerdictMap, nft_rule
from nsgd.ruleset.profiles import AskedTable, Profiles, Tables
from nsgd.ruleset.rule_chains import DENIED, half_of, set_number
from nsgd.ruleset.save import pass_denied
from nsgd.ruleset.statements import Count, Drop, Goto, Jump, SetMark
from nsgd.ruleset.telling import UNTOLD, Telling, tell
from nsgd.wire.packet import FIN_SYN_RST_ACK, SYN

DENIED_PASSES = "denied_passes"
ALLOWED_INBOUND, ALLOWED_OUTBOUND, ALLOWED_WITHOUT_GROUP = (
    "allowed_inbound",
    "allowed_outbound",
    "allowed_without_group",
)
ALLOWED = {Direction.INBOUND: ALLOWED_INBOUND, Direction.OUTBOUND: ALLOWED_OUTBOUND}
COUNTERS = (ALLOWED_INBOUND, ALLOWED_OUTBOUND, ALLOWED_WITHOUT_GROUP, UNTOLD)
_COUNTERS = (*chains.COUNTERS, *COUNTERS)
# Headers that stand before the transport header; the worker walks them.
_EXTENSION_HEADERS = (0, 43, 44, 60)


@dataclass(frozen=True, slots=True)
class KernelRuleset:
    """What the kernel engine adds to a gateway's ruleset."""

    counters: tuple[str, ...]
    sets: tuple[AnySet, ...]
    first_rules: tuple[NftRule, ...]  # where a flow's first packet begins
    sent_rules: tuple[NftRule, ...]  # the same of what a machine sends that is a host only
    chains: tuple[Chain, ...]
    groups: tuple[ChainGroup, ...]  # of the policy's tables, under names of the kernel


class Dispatch:
    """From a packet's sender and receiver to the tables that are asked."""

    def __init__(
        self,
        endpoint_map: EndpointMap,
        model: NetworkModel,
        asked: Sequence[AskedTable],
        telling: Telling,
        *,
        is_audit: bool,
        is_host_only: bool,
    ) -> None:
        # On such a machine one end alone is asked, and its link is on the other side of a packet.
        self._is_host_only = is_host_only
        self._asked, self._telling, self._is_audit = asked, telling, is_audit
        self._layout = telling.layout
        self._has_links = bool(endpoint_map.by_link)
        self._profiles = Profiles(asked)
        ways = self._profiles.ways(endpoint_map.endpoints)
        self._maps = EndpointMaps(endpoint_map, model.network_interfaces, ways)

    def ruleset(self) -> KernelRuleset:
        """The maps, the counters and the chains, without groups."""
        filled = joined(self._maps.sets(), self._finals(), self._telling.sets())
        sets = {each.name: each for each in filled}
        if self._is_host_only:
            first, sent = (
                tuple(self._first_rules_of_one_end(direction))
                for direction in (Direction.INBOUND, Direction.OUTBOUND)
            )
        else:
            first, sent = tuple(self._first_rules()), ()
        chains_made = tuple(self._chains())
        return KernelRuleset(_COUNTERS, tuple(sets.values()), first, sent, chains_made, ())

    # Chains

    def _chains(self) -> Iterator[Chain]:
        """Few levels: the kernel follows 16, jumps and gotos alike, and a tree takes seven."""
        if self._is_host_only:
            for direction in SIDES:
                yield Chain(_first6(direction), tuple(self._first_of_one_end(direction, 6)))
        else:
            yield Chain("first6", tuple(self._first_of(6)))
        for (direction, tables, version), name in self._profiles.chains():
            yield Chain(name, tuple(self._ask_tables(direction, tables, version)))
        for direction, name in DENIED.items():
            after = Goto(DENIED_PASSES) if self._is_audit else Drop()
            counted = self._count_denied(direction, after)
            yield Chain(name, (tell(direction), *counted))
        yield from self._telling.chains()
        if self._is_audit:
            yield pass_denied(self._layout, DENIED_PASSES)

    def _first_rules(self) -> Iterator[NftRule]:
        """For what conntrack calls new; what is not a plain first packet is for the worker."""
        yield nft_rule(MatchTcpFlags(FIN_SYN_RST_ACK, SYN, inverted=True), Goto(ASK))
        if self._maps.has_asked_links:
            yield nft_rule(MatchLink("destination", endpoint_maps.ASKED_LINKS), Goto(ASK))
        yield nft_rule(SetMark("meta", ~self._layout.mask & ALL_BITS))
        yield nft_rule(MatchFamily(6), Goto("first6"))
        yield from self._first_of(4)

    def _first_rules_of_one_end(self, direction: Direction) -> Iterator[NftRule]:
        yield nft_rule(MatchTcpFlags(FIN_SYN_RST_ACK, SYN, inverted=True), Goto(ASK))
        yield nft_rule(SetMark("meta", ~self._layout.mask & ALL_BITS))
        yield nft_rule(MatchFamily(6), Goto(_first6(direction)))
        yield from self._first_of_one_end(direction, 4)

    def _first_of_one_end(self, direction: Direction, version: IPVersion) -> Iterator[NftRule]:
        """Ask the tables of the machine's own interface; nothing is asked at the other end."""
        if version == 6:
            yield from self._with_extension_headers()
        yield from self._ask_endpoint(direction, version)
        yield nft_rule(self._unasked(direction), Goto(ASK))
        (other,) = SIDES.keys() - {direction}
        yield nft_rule(set_number(self._layout, other, NO_TABLE))
        yield nft_rule(self._by_rule(direction), Count(ALLOWED[direction]), Goto("save_decision"))
        yield nft_rule(Count(ALLOWED_WITHOUT_GROUP), Goto("save_decision"))

    @staticmethod
    def _with_extension_headers() -> Iterator[NftRule]:
        for number in _EXTENSION_HEADERS:
            yield nft_rule(MatchValue(NEXT_HEADER, number, number), Goto(ASK))

    def _by_rule(self, direction: Direction) -> MatchMark:
        """A rule has allowed the flow, and left its number."""
        number = self._layout.capacity - FIRST_RULE_NUMBER
        inbound = direction is Direction.INBOUND
        return MatchMark(
            "meta", self._layout.inbound(number) if inbound else self._layout.outbound(number)
        )

    def _first_of(self, version: IPVersion) -> Iterator[NftRule]:
        """Ask the sender's tables, then the receiver's; what they allow comes back here.

        Whoever has asked leaves a number in its half of the packet mark.
        """
        if version == 6:
            yield from self._with_extension_headers()
        if self._maps.has_asked_receivers[version]:
            receivers = MatchAddress(version, "destination", endpoint_maps.asked(version))
            yield nft_rule(receivers, Goto(ASK))
        for direction in SIDES:
            yield from self._ask_endpoint(direction, version)
        layout = self._layout
        no_outbound, no_inbound = (self._unasked(direction) for direction in SIDES)
        # Neither end is declared: the sets of the first chain should have told.
        yield nft_rule(no_outbound, no_inbound, Goto(ASK))
        for direction, unasked in zip(SIDES, (no_outbound, no_inbound), strict=True):
            yield nft_rule(unasked, set_number(layout, direction, NO_TABLE))
        for direction in (Direction.INBOUND, Direction.OUTBOUND):
            counted = Count(ALLOWED[direction])
            yield nft_rule(self._by_rule(direction), counted, Goto("save_decision"))
        yield nft_rule(Count(ALLOWED_WITHOUT_GROUP), Goto("save_decision"))

    def _unasked(self, direction: Direction) -> MatchMark:
        return MatchMark("meta", half_of(self._layout, direction), is_set=False)

    def _link_side(self, direction: Direction) -> Side:
        """Where the link of what sends or receives is: towards it, or its own."""
        side = SIDES[direction]
        return opposite(side) if self._is_host_only else side

    def _ask_endpoint(self, direction: Direction, version: IPVersion) -> Iterator[NftRule]:
        """By link, where one binds an interface, or else by address."""
        side = SIDES[direction]
        unasked = self._unasked(direction)
        key = address_key(version, side)
        addresses = BranchBy(key, endpoint_maps.by_address(direction, version))
        if self._has_links:
            link = link_key(self._link_side(direction))
            yield nft_rule(BranchBy(link, endpoint_maps.by_link(direction, version)))
            yield nft_rule(unasked, addresses)
        else:
            yield nft_rule(addresses)
        yield nft_rule(unasked, BranchBy(key, endpoint_maps.by_range(direction, version)))

    def _count_denied(self, direction: Direction, after: Goto | Drop) -> Iterator[NftRule]:
        """Count for the interface of the link, or else of the address, and go on."""
        side = SIDES[direction]
        if self._has_links:
            counting = endpoint_maps.denied_by_link(direction)
            yield nft_rule(CountIn(link_key(self._link_side(direction)), counting), after)
        for version in IP_VERSIONS:
            counting = endpoint_maps.denied_by_address(direction, version)
            yield nft_rule(CountIn(address_key(version, side), counting), after)
        yield nft_rule(after)

    def _ask_tables(
        self, direction: Direction, tables: Tables, version: IPVersion
    ) -> Iterator[NftRule]:
        asked = [self._asked[index] for index in tables if index is not None]
        # A number in the mark tells what a final rule has allowed; no table may leave none.
        if not any(table.is_of_group for table in asked) or any(
            table.final_marks for table in asked
        ):
            yield nft_rule(set_number(self._layout, direction, NO_TABLE))
        for index in tables:
            if index is None:
                key = address_key(version, SIDES[direction])
                yield nft_rule(BranchBy(key, endpoint_maps.by_subnet(direction, version)))
                continue
            table = self._asked[index]
            yield nft_rule(Jump(root_chain(table.label, version)))
            if table.final_marks:
                key = mark_key(half_of(self._layout, direction))
                yield nft_rule(BranchBy(key, _final_map(index, version)))

    def _finals(self) -> Iterator[VerdictMap]:
        """For each table with final rules, by their numbers: what else is there is not asked."""
        for (direction, tables, version), _ in self._profiles.chains():
            for index in tables:
                if index is not None and (marks := self._asked[index].final_marks):
                    key = mark_key(half_of(self._layout, direction))
                    entries = tuple((mark, mark, RETURN) for mark in marks)
                    yield VerdictMap(_final_map(index, version), key, entries)


def _final_map(index: int, version: IPVersion) -> str:
    return f"final_{index}_{version}"


def _first6(direction: Direction) -> str:
    return f"first6_{endpoint_maps.DIRECTION_NAMES[direction]}"
