"""Which flows two policies judge differently: all of them, and no others."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import islice

from nsgd.analysis.changes import (
    MOST_BOXES,
    Change,
    PolicyDifference,
    Site,
    SiteDifference,
    Undetermined,
    Values,
    Verdict,
)
from nsgd.analysis.pairs import Pair, pair_resources
from nsgd.analysis.policy import AnalysedPolicy, Subject
from nsgd.answers.resources import Kind
from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.admin import is_admin_table
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.book import RuleBook
from nsgd.spaces.budget import Budget, OverBudget
from nsgd.spaces.chain import NOBODY, Chain
from nsgd.spaces.diagram import Diagrams, merge_boxes
from nsgd.spaces.explore import explore
from nsgd.spaces.ranges import Ranges, common, minus, union
from nsgd.spaces.space import Box, Space
from nsgd.spaces.witness import ranges_of, witness

Tables = tuple[CompiledTable, ...]
# The rules that report both verdicts, as bits or NOBODY; None where the verdict is the same.
_Rules = tuple[int, int] | None


def compare(before: NetworkModel, after: NetworkModel, budget: Budget) -> PolicyDifference:
    """Compare what two models decide at every resource, in each direction by itself."""
    old = AnalysedPolicy(before)
    return compare_policies(old, AnalysedPolicy(after, old.compiled), budget)


def compare_policies(old: AnalysedPolicy, new: AnalysedPolicy, budget: Budget) -> PolicyDifference:
    """As compare(); tables that both have in common are one object."""
    pairs = pair_resources(old, new)
    nobodys = {v: union([old.nobodys(v), new.nobodys(v)]) for v in IP_VERSIONS}
    differences: list[SiteDifference] = []
    undetermined: list[Undetermined] = []
    for direction in (Direction.INBOUND, Direction.OUTBOUND):
        alike: dict[Hashable, tuple[Tables, Tables, list[Pair]]] = {}
        for pair in pairs:
            tables = old.tables(pair.before, direction), new.tables(pair.after, direction)
            same_tables = tuple(tuple(map(id, each)) for each in tables)
            if same_tables[0] != same_tables[1]:
                subject = _site(old, new, pair).subject
                # Two networks may use the same addresses for different resources.
                key = same_tables, subject.virtual_network, subject.has_every_address
                alike.setdefault(key, (*tables, []))[2].append(pair)
        for before, after, of_tables in alike.values():
            comparison = _Comparison(before, after, direction, budget, nobodys)
            for version in IP_VERSIONS:
                sites = [
                    (_site(old, new, pair), addresses)
                    for pair in of_tables
                    if (addresses := pair.addresses(version))
                ]
                sites.sort(key=lambda site: _KINDS.index(site[0].subject.kind))
                if not sites:
                    continue
                try:
                    with budget.question():
                        differences += comparison.of(sites, version)
                except OverBudget:
                    named = tuple(site for site, _ in sites)
                    undetermined.append(Undetermined(named, direction, version))
    all_sites = [_site(old, new, pair) for pair in pairs]
    return PolicyDifference(
        tuple(differences),
        tuple(undetermined),
        _unique(site.before for site in all_sites if site.after is None),
        _unique(site.after for site in all_sites if site.before is None),
    )


def _unique(subjects: Iterable[Subject | None]) -> tuple[Subject, ...]:
    return tuple(dict.fromkeys(subject for subject in subjects if subject is not None))


def _site(old: AnalysedPolicy, new: AnalysedPolicy, pair: Pair) -> Site:
    return Site(
        None if pair.before is None else old.subjects[pair.before],
        None if pair.after is None else new.subjects[pair.after],
    )


class _Comparison:
    """Compares two lists of tables, for the resources that have them."""

    def __init__(
        self,
        before: Tables,
        after: Tables,
        direction: Direction,
        budget: Budget,
        nobodys: Mapping[IPVersion, Ranges],
    ) -> None:
        self._direction = direction
        self._budget = budget
        self._nobodys = nobodys
        self._book = book = RuleBook()
        partners = _partners(before, after)
        old_masks: list[int] = []
        new_masks = [0] * len(after)
        for index, table in enumerate(before):
            partner = partners[index]
            if partner is None:
                old_masks.append(book.add(table))
            else:
                old, new_masks[partner] = book.add_pair(table, after[partner])
                old_masks.append(old)
        for index, table in enumerate(after):
            if not new_masks[index]:
                new_masks[index] = book.add(table)
        self._before = Chain.of(book, old_masks)
        self._after = Chain.of(book, new_masks)
        # The rules that are left decide alike then, if they are the same ones.
        self._is_parallel = partners == list(range(len(after)))

    def of(self, sites: Sequence[tuple[Site, Ranges]], version: IPVersion) -> list[SiteDifference]:
        """What changes at sites, given with their addresses."""
        is_inbound = self._direction is Direction.INBOUND
        local, remote = Field.DESTINATION, Field.SOURCE
        if not is_inbound:
            local, remote = remote, local
        order = local, Field.PROTOCOL, Field.DESTINATION_PORT, remote, Field.SOURCE_PORT
        domain = union(addresses for _, addresses in sites)
        space = Space(self._book, version, order, {local: [domain]})
        axis = space.axis(local)
        inside = space.box({local: axis.of_ranges(domain)})
        diagrams: Diagrams[_Rules | str] = Diagrams(inside, self._budget)
        root = explore(space, space.scope(inside), self._judge, diagrams, self._budget)
        if diagrams.value(root) == _SAME:
            return []
        by_result: dict[tuple[tuple[int, int], ...], list[tuple[Site, Ranges]]] = {}
        for site, addresses in sites:
            touched = axis.of_ranges(addresses)
            result = tuple(
                (0 if touched & ~classes == 0 else touched & classes, child)
                for classes, child in diagrams.children(root, 0)
                if touched & classes and diagrams.value(child) != _SAME
            )
            if result:
                by_result.setdefault(result, []).append((site, addresses))
        found = []
        for result, alike in by_result.items():
            own = union(addresses for _, addresses in alike)
            changes = self._changes(space, diagrams, result, own, alike[0][1])
            named = tuple(site for site, _ in alike)
            found.append(SiteDifference(named, self._direction, version, own, changes))
        return found

    def _judge(self, candidates: int, sure: int) -> tuple[int, _Rules | str | None]:
        before = self._before.stand(candidates, sure)
        after = self._after.stand(candidates, sure)
        if self._is_parallel and before.kept == after.kept:
            return 0, _SAME
        if before.is_settled and after.is_settled:
            if before.may_allow is after.may_allow:
                return 0, _SAME
            if before.rule is not None and after.rule is not None:
                return 0, (before.rule, after.rule)
        return before.kept | after.kept, None

    def _changes(
        self,
        space: Space,
        diagrams: Diagrams[_Rules | str],
        result: Iterable[tuple[int, int]],
        own: Ranges,
        shown: Ranges,
    ) -> tuple[Change, ...]:
        local = space.order[0]
        own_classes = space.axes[0].of_ranges(own)
        found: dict[tuple[int, int], list[Box]] = {}
        cut: set[tuple[int, int]] = set()
        for classes, child in result:
            for rules in diagrams.values(child):
                if not isinstance(rules, tuple):
                    continue
                boxes = list(islice(diagrams.boxes(child, rules), MOST_BOXES + 1))
                if len(boxes) > MOST_BOXES:
                    cut.add(rules)
                known = found.setdefault(rules, [])
                known += [(classes or own_classes, *box[1:]) for box in boxes[:MOST_BOXES]]
        changes = []
        for rules, boxes in sorted(found.items()):
            values = []
            for box in merge_boxes(boxes):
                of_box = ranges_of(space, box)
                of_box[local] = common(of_box[local], own)
                values.append(of_box)
            changes.append(
                Change(
                    self._verdict(rules[0], is_before=True),
                    self._verdict(rules[1], is_before=False),
                    tuple(values),
                    _witness(space, values, local, shown, self._nobodys[space.version]),
                    rules in cut,
                )
            )
        return tuple(changes)

    def _verdict(self, rule: int, *, is_before: bool) -> Verdict:
        if rule == NOBODY:
            return Verdict(Access.ALLOW, None)
        reference = self._book.before(rule) if is_before else self._book.after(rule)
        decision = reference.decision
        return Verdict(decision.access, decision)


_SAME = "same"
_KINDS = (Kind.NETWORK_INTERFACE, Kind.SCALE_SET, Kind.SUBNET)  # as they are told


def _witness(
    space: Space, boxes: Sequence[Values], local: Field, shown: Ranges, nobodys: Ranges
) -> PacketHeader:
    """A packet of the first box that has some at the addresses that are *shown* first.

    Its other end is an address that somebody may have, if there is one.
    """
    remote = Field.SOURCE if local is Field.DESTINATION else Field.DESTINATION
    box = next((each for each in boxes if common(each[local], shown)), boxes[0])
    own = common(box[local], shown) or box[local]
    others = minus(box[remote], nobodys) or box[remote]
    return witness(space.version, {**box, local: own, remote: others})


def _partners(before: Tables, after: Tables) -> list[int | None]:
    """By index before, the table after that is another version of it, or in its place."""
    left = dict.fromkeys(range(len(after)))
    found: list[int | None] = []
    for table in before:
        same = [index for index in left if _kind(after[index]) == _kind(table)]
        partner = same[0] if same else None
        if partner is not None:
            del left[partner]
        found.append(partner)
    for index, table in enumerate(before):
        if found[index] is None and table.network_security_group:
            fits = [other for other in left if after[other].network_security_group]
            if fits:
                found[index] = fits[0]
                del left[fits[0]]
    return found


def _kind(table: CompiledTable) -> tuple[str, bool]:
    return table.network_security_group, is_admin_table(table)
