"""Allow and Deny rules that overlap in part, where neither was written with the other in mind.

That rules of both kinds overlap is how groups are written: exceptions come before what they are
exceptions of, and a rule of few ports for all addresses crosses one of few addresses for all ports.
It is a mistake rather where two lists or ranges of one field overlap and neither holds the other,
such as the ports 80-100 and 90-110.
"""

from __future__ import annotations

from collections.abc import Iterator

from nsgd.analysis.findings import Finding, Kind, Unfinished
from nsgd.analysis.groups import GroupView, LintedRule
from nsgd.analysis.rule_lint import RuleLint, listed
from nsgd.analysis.table_search import TableSearch, decides
from nsgd.model.address import IP_VERSIONS
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access, GroupMembers, PrefixList
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.axis import bits_of
from nsgd.spaces.space import Space

_MOST_TRIED = 8
_PORTS = (Field.DESTINATION_PORT, Field.SOURCE_PORT)
_SIDES = {Field.SOURCE: "source", Field.DESTINATION: "destination"}


class ConflictLint:
    """The pairs of one group and direction."""

    def __init__(self, lint: RuleLint) -> None:
        """Take what is known of the rules: those that never match conflict with none."""
        self._lint = lint
        self._rules = [rule for rule in lint.rules if rule.name in lint.witnesses]
        self._masks: dict[int, tuple[int, int, dict[tuple[Field, type], int]]] = {}

    def findings(self) -> Iterator[Finding | Unfinished]:
        """One for each rule that conflicts with rules of higher priority."""
        for rule in self._rules:
            yield from self._lint.ask(Kind.CONFLICTING_RULES, rule, self._conflicts)

    def _conflicts(self, rule: LintedRule) -> Finding | None:
        found: dict[str, tuple[PacketHeader, GroupView]] = {}
        for view in self._lint.seen.views_of(rule):
            search, bit = self._lint.at(view, rule)
            candidates = 0
            for version in IP_VERSIONS:
                candidates |= self._straddling(search, search.space(version), view, rule, bit)
            for other in list(bits_of(candidates))[:_MOST_TRIED]:
                name = search.book.rules[other].name
                if name not in found:
                    witness = search.find([other, bit], decides(search.chain, other))
                    if witness is not None:
                        found[name] = witness, view
            if found and self._lint.seen.is_of_admin:
                break  # prefixes and ports are the same in every network
        if not found:
            return None
        opposite = Access.DENY if rule.access is Access.ALLOW else Access.ALLOW
        names = [*found]
        message = (
            f"is {rule.access.value} and overlaps in part with {listed(names)}, which"
            f" {'is' if len(names) == 1 else 'are'} {opposite.value}: neither holds the other, and"
            " priority alone decides where they overlap"
        )
        return self._lint.finding(Kind.CONFLICTING_RULES, rule, message, names, found[names[0]])

    def _straddling(
        self, search: TableSearch, space: Space, view: GroupView, rule: LintedRule, bit: int
    ) -> int:
        """Rules of the other access ahead of *rule* that overlap it in part in some field."""
        users, allows, by_form = self._known(search, view)
        others = users & (1 << bit) - 1
        others &= ~allows if rule.access is Access.ALLOW else allows
        box = space.of_rule(bit)
        for axis, classes in zip(space.axes, box, strict=True):
            others &= axis.spanned(classes)[0]
        if not others:
            return 0
        straddling = 0
        for field, axis, classes in zip(space.order, space.axes, box, strict=True):
            alike = others
            if field in _SIDES:
                alike &= by_form.get((field, type(getattr(rule, _SIDES[field]))), 0)
            elif field not in _PORTS:
                continue
            if alike:
                outside = axis.all & ~classes
                straddling |= alike & ~axis.spanned(classes)[1] & axis.spanned(outside)[0]
        return straddling

    def _known(
        self, search: TableSearch, view: GroupView
    ) -> tuple[int, int, dict[tuple[Field, type], int]]:
        """Of the rules that decide something: all, those that allow, and those by how written."""
        found = self._masks.get(id(view))
        if found is None:
            table = view.tables[self._lint.direction]
            users = allows = 0
            by_form: dict[tuple[Field, type], int] = {}
            for rule in self._rules:
                if not search.has(table, rule.name):
                    continue  # a security admin rule that is not applied in this network
                bit = 1 << search.bit(table, rule.name)
                users |= bit
                allows |= bit if rule.access is Access.ALLOW else 0
                for field, side in _SIDES.items():
                    written = getattr(rule, side)
                    if isinstance(written, PrefixList | GroupMembers):
                        key = field, type(written)
                        by_form[key] = by_form.get(key, 0) | bit
            found = self._masks[id(view)] = users, allows, by_form
        return found
