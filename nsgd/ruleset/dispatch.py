"""The way of a first packet: by its sender to the tables that it asks, then by its receiver.

Each table returns what it allows, and the last chains count the flow and keep the decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain as joined

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.model.rule import Access, Direction
from nsgd.policy.endpoints import Endpoint, EndpointMap
from nsgd.ruleset import chains, endpoint_maps
from nsgd.ruleset.branches import BranchBy, CountBy, MatchValue
from nsgd.ruleset.chains import ASK
from nsgd.ruleset.endpoint_maps import SIDES, EndpointMaps
from nsgd.ruleset.keys import NEXT_HEADER, address_key, link_key, mark_key
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, NO_TABLE, MarkLayout
from nsgd.ruleset.matches import (
    CtState,
    MatchAddress,
    MatchCtState,
    MatchFamily,
    MatchLink,
    MatchMark,
    MatchTcpFlags,
)
from nsgd.ruleset.names import root_chain
from nsgd.ruleset.objects import AnySet, Chain, ChainGroup, NftRule, VerdictMap
from nsgd.ruleset.rule_chains import DENIED, UNTOLD, half_of, set_number
from nsgd.ruleset.save import pass_denied
from nsgd.ruleset.statements import Count, Drop, Goto, Jump, Statement
from nsgd.wire.packet import FIN_SYN_RST_ACK, SYN

DENIED_PASSES = "denied_passes"
ALLOWED_INBOUND, ALLOWED_OUTBOUND, ALLOWED_WITHOUT_GROUP = (
    "allowed_inbound",
    "allowed_outbound",
    "allowed_without_group",
)
COUNTERS = (ALLOWED_INBOUND, ALLOWED_OUTBOUND, ALLOWED_WITHOUT_GROUP, UNTOLD)
# Headers that stand before the transport header; the worker walks them.
_EXTENSION_HEADERS = (0, 43, 44, 60)


@dataclass(frozen=True, slots=True)
class KernelRuleset:
    """What the kernel engine adds to a gateway's ruleset."""

    counters: tuple[str, ...]
    sets: tuple[AnySet, ...]
    chains: tuple[Chain, ...]
    groups: tuple[ChainGroup, ...]  # of the policy's tables, under names of the kernel


@dataclass(frozen=True, slots=True)
class AskedTable:
    """What the chains that ask a table need of it."""

    label: str
    is_of_group: bool
    final_marks: tuple[int, ...]
    tree_versions: tuple[IPVersion, ...]


class Dispatch:
    """From a packet's sender and receiver to the tables that are asked."""

    def __init__(
        self,
        endpoint_map: EndpointMap,
        model: NetworkModel,
        asked: Sequence[AskedTable],
        layout: MarkLayout,
        *,
        is_audit: bool,
    ) -> None:
        self._asked, self._layout, self._is_audit = asked, layout, is_audit
        self._has_links = bool(endpoint_map.by_link)
        self._profiles: dict[tuple[Direction, tuple[int, ...], IPVersion], str | None] = {}
        self._maps = EndpointMaps(endpoint_map, model.network_interfaces, self._profile, ASK)

    def ruleset(self) -> KernelRuleset:
        """The maps, their counters and the chains, without groups."""
        sets = {each.name: each for each in joined(self._maps.sets(), self._finals())}
        counters = (*chains.COUNTERS, *COUNTERS, *self._maps.counters())
        return KernelRuleset(counters, tuple(sets.values()), tuple(self._chains()), ())

    def _profile(self, endpoint: Endpoint, direction: Direction, version: IPVersion) -> str | None:
        """The chain that asks an endpoint's tables; None where one of them has no tree."""
        is_outbound = direction is Direction.OUTBOUND
        tables = endpoint.outbound if is_outbound else endpoint.inbound
        key = direction, tables, version
        if key not in self._profiles:
            groups = (self._asked[index].label.split("/")[1] for index in tables)
            name = "/".join((f"{'from' if is_outbound else 'to'}{version}", *groups))
            # Tables of one group in two virtual networks.
            while name in self._profiles.values():
                name += "_"
            has_trees = all(version in self._asked[index].tree_versions for index in tables)
            self._profiles[key] = name if has_trees else None
        return self._profiles[key]

    # Chains

    def _chains(self) -> Iterator[Chain]:
        """Few levels: the kernel follows 16, jumps and gotos alike, and a tree takes seven."""
        yield Chain("decide", tuple(self._decide()))
        for version in IP_VERSIONS:
            yield Chain(f"from{version}.undeclared", tuple(self._undeclared_sender(version)))
            yield Chain(f"sent{version}", tuple(self._sent(version)))
            if self._has_links:
                yield Chain(f"sent{version}.bound", tuple(self._to_receiver(version)))
            yield Chain(f"to{version}.undeclared", tuple(self._undeclared_receiver()))
            yield Chain(f"received{version}", tuple(self._received(version)))
        for (direction, tables, version), name in self._profiles.items():
            if name is not None:
                yield Chain(name, tuple(self._ask_tables(direction, tables, version)))
        yield Chain("allowed", tuple(self._allowed()))
        for direction, name in DENIED.items():
            yield Chain(name, tuple(self._denied(direction)))
        if self._is_audit:
            yield pass_denied(self._layout, DENIED_PASSES)

    def _decide(self) -> Iterator[NftRule]:
        """The beginning; all that is not a flow's plain first packet is for the worker."""
        yield _rule(MatchCtState(CtState.NEW, inverted=True), Goto(ASK))
        yield _rule(MatchTcpFlags(FIN_SYN_RST_ACK, SYN, inverted=True), Goto(ASK))
        if self._maps.has_asked_links:
            yield _rule(MatchLink("destination", endpoint_maps.ASKED_LINKS), Goto(ASK))
        for version in IP_VERSIONS:
            if version == 6:
                for number in _EXTENSION_HEADERS:
                    yield _rule(MatchValue(NEXT_HEADER, number, number), Goto(ASK))
            if self._maps.has_asked_receivers[version]:
                receivers = MatchAddress(version, "destination", endpoint_maps.asked(version))
                yield _rule(receivers, Goto(ASK))
            yield from self._go_on(Direction.OUTBOUND, version)
            yield _rule(MatchFamily(version), Goto(f"from{version}.undeclared"))

    def _go_on(self, direction: Direction, version: IPVersion) -> Iterator[NftRule]:
        """To the chain of the packet's sender or receiver."""
        side = SIDES[direction]
        if self._has_links:
            links = BranchBy(link_key(side), endpoint_maps.by_link(direction, version))
            yield _rule(MatchFamily(version), links)
        key = address_key(version, side)
        yield _rule(BranchBy(key, endpoint_maps.by_address(direction, version)))
        yield _rule(BranchBy(key, endpoint_maps.by_range(direction, version)))

    def _undeclared_sender(self, version: IPVersion) -> Iterator[NftRule]:
        yield _rule(set_number(self._layout, Direction.OUTBOUND, NO_TABLE))
        yield from self._go_on(Direction.INBOUND, version)
        # Neither end is declared: the sets of the gateway chain should have told.
        yield _rule(Goto(ASK))

    def _sent(self, version: IPVersion) -> Iterator[NftRule]:
        # Where links bind interfaces, an address counts only for what did not come by one.
        if self._has_links:
            counters = endpoint_maps.counted_by_link(Direction.OUTBOUND, Access.ALLOW)
            bound = CountBy(link_key("source"), counters)
            yield _rule(bound, Goto(f"sent{version}.bound"))
        counters = endpoint_maps.counted_by_address(Direction.OUTBOUND, Access.ALLOW, version)
        yield _rule(CountBy(address_key(version, "source"), counters))
        yield from self._to_receiver(version)

    def _to_receiver(self, version: IPVersion) -> Iterator[NftRule]:
        yield from self._go_on(Direction.INBOUND, version)
        yield _rule(Goto(f"to{version}.undeclared"))

    def _undeclared_receiver(self) -> Iterator[NftRule]:
        yield _rule(set_number(self._layout, Direction.INBOUND, NO_TABLE))
        yield _rule(Goto("allowed"))

    def _received(self, version: IPVersion) -> Iterator[NftRule]:
        return self._count(Direction.INBOUND, Access.ALLOW, (version,), Goto("allowed"))

    def _count(
        self,
        direction: Direction,
        access: Access,
        versions: Sequence[IPVersion],
        after: Goto | Drop,
    ) -> Iterator[NftRule]:
        """Count for the interface of the link, or else of the address, and go on."""
        side = SIDES[direction]
        if self._has_links:
            counters = endpoint_maps.counted_by_link(direction, access)
            yield _rule(CountBy(link_key(side), counters), after)
        for version in versions:
            counters = endpoint_maps.counted_by_address(direction, access, version)
            yield _rule(CountBy(address_key(version, side), counters))
        yield _rule(after)

    def _ask_tables(
        self, direction: Direction, tables: Sequence[int], version: IPVersion
    ) -> Iterator[NftRule]:
        asked = [(index, self._asked[index]) for index in tables]
        # A number in the mark tells what a final rule has allowed; before it none may be there.
        if not any(table.is_of_group for _, table in asked) or any(
            table.final_marks for _, table in asked
        ):
            yield _rule(set_number(self._layout, direction, NO_TABLE))
        for index, table in asked:
            yield _rule(Jump(root_chain(table.label, version)))
            if table.final_marks:
                key = mark_key(half_of(self._layout, direction))
                yield _rule(BranchBy(key, _final_map(index, version)))
        if direction is Direction.OUTBOUND:
            yield from self._sent(version)
        else:
            yield _rule(Goto(f"received{version}"))

    def _finals(self) -> Iterator[VerdictMap]:
        """For each table with final rules, by their numbers: what else is there is not asked."""
        for (direction, tables, version), name in self._profiles.items():
            if name is None:
                continue
            key = mark_key(half_of(self._layout, direction))
            done = _done(direction, version)
            for index in tables:
                marks = self._asked[index].final_marks
                if marks:
                    entries = tuple((mark, mark, done) for mark in marks)
                    yield VerdictMap(_final_map(index, version), key, entries)

    def _allowed(self) -> Iterator[NftRule]:
        """Count the flow by the last side that had rules, and keep the decision."""
        layout = self._layout
        for numbers, counter in (
            (layout.inbound, ALLOWED_INBOUND),
            (layout.outbound, ALLOWED_OUTBOUND),
        ):
            rules = numbers(layout.capacity - FIRST_RULE_NUMBER)
            yield _rule(MatchMark("meta", rules), Count(counter), Goto("save_decision"))
        yield _rule(Count(ALLOWED_WITHOUT_GROUP), Goto("save_decision"))

    def _denied(self, direction: Direction) -> Iterator[NftRule]:
        after = Goto(DENIED_PASSES) if self._is_audit else Drop()
        return self._count(direction, Access.DENY, IP_VERSIONS, after)


def _final_map(index: int, version: IPVersion) -> str:
    return f"final_{index}_{version}"


def _done(direction: Direction, version: IPVersion) -> str:
    """Where to go on when all tables of a side have allowed."""
    return f"sent{version}" if direction is Direction.OUTBOUND else f"received{version}"


def _rule(*statements: Statement) -> NftRule:
    return NftRule(statements)
