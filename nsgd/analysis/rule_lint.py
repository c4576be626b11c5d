"""Rules of one group beside each other: which never match, and which change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from nsgd.analysis.findings import Finding, Kind, RuleName, Unfinished
from nsgd.analysis.groups import GroupView, LintedRule, Seen
from nsgd.analysis.search_store import SearchStore
from nsgd.analysis.table_search import TableSearch, decides
from nsgd.model.address import IP_VERSIONS
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access, Direction, ServiceTag, TagAddress
from nsgd.policy.effective import GO_ON, EffectiveSecurityRule, RuleKind
from nsgd.spaces.axis import bits_of
from nsgd.spaces.budget import Budget, OverBudget
from nsgd.spaces.explore import Judge

_MOST_NAMED = 12  # of rules that cover another together, superfluous ones are looked for


class RuleLint:
    """The rules of a group in one direction, in all views of the group; or security admin rules.

    Attributes:
        seen: The group.
        direction: The direction.
        witnesses: Of each rule that decides something, a packet and the view in which it does.
    """

    def __init__(self, seen: Seen, direction: Direction, budget: Budget) -> None:
        self.seen = seen
        self.direction = direction
        self.witnesses: dict[str, tuple[PacketHeader, GroupView]] = {}
        self.rules = [*seen.rules(direction)]
        self._budget = budget
        self._searches = SearchStore(budget)

    def at(self, view: GroupView, rule: LintedRule) -> tuple[TableSearch, int]:
        """The space of the group's table in a view, and the bit of a rule there."""
        table = view.tables[self.direction]

        def make() -> TableSearch:
            tables, local, domain = (table,), view.local, view.domain
            return TableSearch(tables, self.direction, local, self._budget, domain=domain)

        search = self._searches.get(view, (table,), make)
        return search, search.bit(table, rule.name)

    def ask(
        self, kind: Kind, rule: LintedRule, question: Callable[[LintedRule], Finding | None]
    ) -> Iterator[Finding | Unfinished]:
        """Ask within the budget of one question."""
        try:
            with self._budget.question():
                found = question(rule)
        except OverBudget:
            yield Unfinished(kind, self.seen.name, rule.name)
            return
        if found is not None:
            yield found

    def finding(
        self,
        kind: Kind,
        rule: LintedRule,
        message: str,
        others: Iterable[str],
        witness: tuple[PacketHeader, GroupView],
    ) -> Finding:
        """A finding about a rule, with others of its group."""
        group = self.seen.name
        names = tuple(RuleName(group, other) for other in others)
        header, view = witness
        return Finding(kind, group, rule.name, message, self.direction, names, header, view.subnet)

    def findings(self) -> Iterator[Finding | Unfinished]:
        """What is found of each rule, by priority; nothing of a deliberate last denial."""
        backstops = self.seen.backstops(self.direction)
        rules = [rule for rule in self.rules if rule not in backstops]
        for rule in rules:
            yield from self.ask(Kind.NEVER_MATCHES, rule, self._never_matches)
        for rule in rules:
            if rule.name in self.witnesses:
                yield from self.ask(Kind.CHANGES_NOTHING, rule, self._changes_nothing)

    # -- rules that never match --------------------------------------------------------

    def _never_matches(self, rule: LintedRule) -> Finding | None:
        for view in self.seen.views_of(rule):
            search, bit = self.at(view, rule)
            found = search.find([bit], decides(search.chain, bit))
            if found is not None:
                self.witnesses[rule.name] = found, view
                return None
        for view in self.seen.views_of(rule):
            search, bit = self.at(view, rule)
            witness = search.find([bit], lambda candidates, sure: (0, True))
            if witness is not None:
                names = self._covering(rule)
                decide = "decides" if len(names) == 1 else "together decide"
                message = f"can never match: {listed(names)} {decide} all that it matches"
                return self.finding(Kind.NEVER_MATCHES, rule, message, names, (witness, view))
        return None  # it matches nothing by itself

    def _covering(self, rule: LintedRule) -> list[str]:
        """Rules of higher priority that match all that the rule matches: one, or few together."""
        deciders: set[str] = set()
        alone: set[str] | None = None
        for view in self.seen.views_of(rule):
            search, bit = self.at(view, rule)
            rules = search.book.rules
            for version in IP_VERSIONS:
                box = search.of_rule(version, bit)
                if box is not None:
                    ahead = search.space(version).scope(box).sure[0] & (1 << bit) - 1
                    names = {rules[each].name for each in bits_of(ahead)}
                    alone = names if alone is None else alone & names
                    deciders |= {rules[each].name for _, each in search.ends(version, box)}
        order = self._order(rule)
        if alone:
            return [min(alone, key=order.__getitem__)]
        kept = sorted(deciders, key=order.__getitem__)
        if len(kept) <= _MOST_NAMED:
            for name in tuple(kept):
                fewer = [each for each in kept if each != name]
                if all(self._is_covered(view, rule, fewer) for view in self.seen.views_of(rule)):
                    kept = fewer
        return kept

    def _order(self, rule: LintedRule) -> dict[str, tuple[int, str]]:
        """What to sort names of rules by that decide before a rule in some view."""
        if self.seen.is_of_admin:
            # Each network has some of them, so that places in tables are no order.
            names = [each.name for each in self.rules]
            return {name: (number, name) for number, name in enumerate(names)}
        order: dict[str, tuple[int, str]] = {}
        for view in self.seen.views_of(rule):
            for number, name in enumerate(view.tables[self.direction].rule_names):
                order.setdefault(name, (number, name))
        return order

    def _is_covered(self, view: GroupView, rule: LintedRule, names: Iterable[str]) -> bool:
        search, bit = self.at(view, rule)
        table = view.tables[self.direction]
        there = [name for name in names if search.has(table, name)]
        mask = sum(1 << search.bit(table, name) for name in there)
        return search.find([bit], decides(search.chain_of(mask | 1 << bit), bit)) is None

    # -- rules that change nothing -----------------------------------------------------

    def _changes_nothing(self, rule: LintedRule) -> Finding | None:
        for view in self.seen.views_of(rule):
            search, bit = self.at(view, rule)
            if search.find([bit], _changes(search, bit)) is not None:
                return None
        if self._spells_out_a_default(rule):
            return None
        witness, view = self.witnesses[rule.name]
        search, bit = self.at(view, rule)
        other = decider_without(search, bit, witness)
        others = [] if other == GO_ON.name else [other]
        if self.seen.is_of_admin and _follows(search.book.rules[bit]) == (Access.ALLOW, False):
            message = "changes nothing: without it, groups are asked of all that it decides too"
        else:
            is_always = self.seen.is_of_admin and rule.access is Access.ALLOW
            access = "AlwaysAllow" if is_always else rule.access.value
            others_do = f"{access} by others too, as by {other}"
            message = f"changes nothing: without it, all that it decides gets {others_do}"
        return self.finding(Kind.CHANGES_NOTHING, rule, message, others, (witness, view))

    def _spells_out_a_default(self, rule: LintedRule) -> bool:
        """Whether a rule names what may leave, or health probes, and default rules let it anyway.

        So it is if no Allow of users had to be there, whether or not others overlap. That is how
        the services that a subnet depends on are written down, and kept if a later Deny takes the
        rest. What else may come in by default is another matter: who allows a part of it may
        think that the rest is denied.
        """
        if self.seen.is_of_admin:
            return False
        is_of_probes = rule.source == TagAddress(ServiceTag.AZURE_LOAD_BALANCER)
        is_named = self.direction is Direction.OUTBOUND or is_of_probes
        if rule.access is not Access.ALLOW or not is_named:
            return False
        for view in self.seen.views_of(rule):
            search, bit = self.at(view, rule)
            if search.find([bit], _needs_an_allow(search, bit)) is not None:
                return False
        return True


def _needs_an_allow(search: TableSearch, bit: int) -> Judge[bool]:
    """Whether a packet that a rule decides would be denied without all Allow rules of users."""
    book = search.book
    allows = sum(
        1 << each
        for each, rule in enumerate(book.rules)
        if rule.kind is RuleKind.USER and rule.access is Access.ALLOW
    )
    chain, without = search.chain, search.chain_of(search.masks[0] & ~allows)

    def judge(candidates: int, sure: int) -> tuple[int, bool | None]:
        standing, other = chain.stand(candidates, sure), without.stand(candidates, sure)
        if not standing.kept >> bit & 1 or not other.may_deny:
            return 0, False
        if standing.rule is not None and other.is_settled:
            return 0, standing.rule == bit
        return standing.kept | other.kept, None

    return judge


def _changes(search: TableSearch, bit: int) -> Judge[bool]:
    """Whether without a rule something else would follow for a packet that it decides."""
    chain, without = search.chain, search.chain_of(search.masks[0] & ~(1 << bit))
    rules = search.book.rules
    alike = sum(1 << i for i, rule in enumerate(rules) if _follows(rule) == _follows(rules[bit]))

    def judge(candidates: int, sure: int) -> tuple[int, bool | None]:
        standing, other = chain.stand(candidates, sure), without.stand(candidates, sure)
        if not standing.kept >> bit & 1 or not other.kept & ~alike:
            return 0, False
        if not other.kept & alike and standing.rule is not None:
            return 0, standing.rule == bit
        return standing.kept | other.kept, None

    return judge


def _follows(rule: EffectiveSecurityRule) -> tuple[Access, bool]:
    """What follows where a rule decides; of a silent one as of an Allow that is not final."""
    return rule.access, rule.is_final


def decider_without(search: TableSearch, bit: int, packet: PacketHeader) -> str:
    """The rule that decides a packet in the table of a search, without one of its rules."""
    space = search.space(packet.version)
    left = search.masks[0] & ~(1 << bit)
    for axis, value in zip(space.axes, space.values(packet), strict=True):
        left &= axis.rules[axis.class_of(value)]
    return search.book.rules[(left & -left).bit_length() - 1].name


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; of many the first."""
    most = 6
    if len(names) == 1:
        return names[0]
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} others"
    return f"{', '.join(names[:-1])} and {names[-1]}"
