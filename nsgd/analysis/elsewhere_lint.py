"""Rules that do nothing wherever their group is asked: other tables decide what they are for.

Of an Allow, another table denies the same. Of any rule, security admin rules decide before its
group is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nsgd.analysis.admin_rules import is_always_allow
from nsgd.analysis.findings import Finding, Kind, RuleName, Unfinished
from nsgd.analysis.groups import Asked, LintedRule
from nsgd.analysis.policy import Subject
from nsgd.analysis.rule_lint import RuleLint, listed
from nsgd.analysis.search_store import SearchStore
from nsgd.analysis.table_search import TableSearch, decides
from nsgd.answers.ip_flow import judge as judge_packet
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access
from nsgd.policy.admin import is_admin_table
from nsgd.policy.table import CompiledTable
from nsgd.spaces.budget import Budget
from nsgd.spaces.chain import NOBODY, Chain
from nsgd.spaces.explore import Judge


class ElsewhereLint:
    """The Allow rules of a group in one direction."""

    def __init__(self, lint: RuleLint, searches: SearchStore, budget: Budget) -> None:
        """*searches* are kept for other groups that the same resources are asked by."""
        self._lint = lint
        self._searches = searches
        self._budget = budget

    def findings(self) -> Iterator[Finding | Unfinished]:
        """What is found of each rule, by priority."""
        of_admin = self._lint.seen.is_of_admin
        for rule in self._lint.rules:
            if rule.name not in self._lint.witnesses:
                continue
            asked = self._asked(rule)
            found: list[Finding | Unfinished] = []
            # Of an administrator's rules, only AlwaysAllow says that its packets pass.
            allows = is_always_allow(rule) if of_admin else rule.access is Access.ALLOW
            # Nobody is asked by this table alone.
            if allows and asked and all(len(each.tables) > 1 for each, _ in asked):
                found += self._lint.ask(Kind.DENIED_ELSEWHERE, rule, self._denied)
            if not found and not of_admin and asked and all(_has_admin(each) for each, _ in asked):
                kind = Kind.NEVER_ASKED if rule.access is Access.ALLOW else Kind.ALWAYS_ALLOWED
                found += self._lint.ask(kind, rule, self._never_asked)
            yield from found

    def _asked(self, rule: LintedRule) -> list[tuple[Asked, CompiledTable]]:
        """Who is asked by the rule's tables, and by which."""
        return [
            (each, view.tables[self._lint.direction])
            for view in self._lint.seen.views_of(rule)
            for each in view.asked
            if each.direction is self._lint.direction
        ]

    def _denied(self, rule: LintedRule) -> Finding | None:
        for search, table, bit, _ in self._searched(rule):
            wanted = _passes(search, table, bit)
            if search.find([bit], wanted, only_local=True) is not None:
                return None
        deniers: dict[RuleName, None] = {}
        found = None
        for search, table, bit, subject in self._searched(rule):
            own = search.chain_of(search.book.add(table))
            packet = search.find([bit], decides(own, bit), only_local=True)
            if packet is not None:
                deniers |= _reported(search, packet)
                found = found or (packet, _seen_from(subject))
        if found is None:
            return None  # nothing that it is for is there
        names = [f"{name.rule} of {name.group}" if name.group else name.rule for name in deniers]
        message = f"allows what is always denied elsewhere, as by {listed(names)}"
        return self._finding(Kind.DENIED_ELSEWHERE, rule, message, deniers, *found)

    def _never_asked(self, rule: LintedRule) -> Finding | None:
        for search, table, bit, _ in self._searched(rule):
            if search.find([bit], _is_asked(search, table, bit), only_local=True) is not None:
                return None
        deciders: dict[RuleName, None] = {}
        kind, found = Kind.NEVER_ASKED, None
        for search, table, bit, subject in self._searched(rule):
            own = search.chain_of(search.book.add(table))
            passing = None
            if rule.access is Access.DENY:
                wanted = _is_let_pass(search, table, bit)
                passing = search.find([bit], wanted, only_local=True)
            packet = passing or search.find([bit], decides(own, bit), only_local=True)
            if packet is None:
                continue
            if passing is not None and kind is Kind.NEVER_ASKED:
                # What lets pass is what matters; not what denies as well.
                kind, found = Kind.ALWAYS_ALLOWED, None
                deciders.clear()
            if passing is not None or kind is Kind.NEVER_ASKED:
                deciders |= _reported(search, packet)
                found = found or (packet, _seen_from(subject))
        if found is None:
            return None  # nothing that it is for is there
        names = listed([name.rule for name in deciders])
        message = (
            f"denies nothing: its group is not asked, and what it denies passes, as by {names}"
            if kind is Kind.ALWAYS_ALLOWED
            else f"decides nothing: its group is not asked of what it is for, as by {names}"
        )
        return self._finding(kind, rule, message, deciders, *found)

    def _finding(
        self,
        kind: Kind,
        rule: LintedRule,
        message: str,
        others: Iterable[RuleName],
        packet: PacketHeader,
        subnet: str,
    ) -> Finding:
        name, direction = self._lint.seen.name, self._lint.direction
        return Finding(kind, name, rule.name, message, direction, tuple(others), packet, subnet)

    def _searched(
        self, rule: LintedRule
    ) -> Iterator[tuple[TableSearch, CompiledTable, int, Subject]]:
        """The rule in the tables of each who is asked by it: its own table, and its bit."""
        for asked, table in self._asked(rule):
            search = self._search(asked)
            yield search, table, search.bit(table, rule.name), asked.subject

    def _search(self, asked: Asked) -> TableSearch:
        def make() -> TableSearch:
            return TableSearch(asked.tables, asked.direction, asked.local, self._budget)

        return self._searches.get(asked, asked.tables, make)


def _passes(search: TableSearch, table: CompiledTable, bit: int) -> Judge[bool]:
    """Whether a rule decides in its table, and no other table denies."""
    own = search.chain_of(search.book.add(table))
    chain = search.chain

    def judge(candidates: int, sure: int) -> tuple[int, bool | None]:
        in_table, in_all = own.stand(candidates, sure), chain.stand(candidates, sure)
        if not in_table.kept >> bit & 1 or not in_all.may_allow:
            return 0, False
        if in_table.rule is not None and in_all.is_settled:
            return 0, in_table.rule == bit
        return in_table.kept | in_all.kept, None

    return judge


def _is_asked(search: TableSearch, table: CompiledTable, bit: int) -> Judge[bool]:
    """Whether a rule decides in its table, and nothing ahead of the groups decides."""
    own, ahead = search.chain_of(search.book.add(table)), _ahead(search)
    rules = enumerate(search.book.rules)
    decisive = sum(1 << i for i, each in rules if each.is_final or each.access is Access.DENY)

    def judge(candidates: int, sure: int) -> tuple[int, bool | None]:
        in_table, before = own.stand(candidates, sure), ahead.stand(candidates, sure)
        if not in_table.kept >> bit & 1:
            return 0, False
        if before.rule is not None:
            if before.rule != NOBODY and decisive >> before.rule & 1:
                return 0, False
            if in_table.rule is not None:
                return 0, in_table.rule == bit
        return in_table.kept | before.kept, None

    return judge


def _is_let_pass(search: TableSearch, table: CompiledTable, bit: int) -> Judge[bool]:
    """Whether a rule decides in its table, and an AlwaysAllow ahead of the groups lets pass."""
    own, ahead = search.chain_of(search.book.add(table)), _ahead(search)

    def judge(candidates: int, sure: int) -> tuple[int, bool | None]:
        in_table, before = own.stand(candidates, sure), ahead.stand(candidates, sure)
        if not in_table.kept >> bit & 1 or not before.kept & search.book.final:
            return 0, False
        if in_table.rule is not None and before.rule is not None:
            lets_pass = before.rule != NOBODY and bool(search.book.final >> before.rule & 1)
            return 0, lets_pass and in_table.rule == bit
        return in_table.kept | before.kept, None

    return judge


def _ahead(search: TableSearch) -> Chain:
    """The tables that stand ahead of those of groups."""
    masks = zip(search.tables, search.masks, strict=True)
    return search.chain_of(*(mask for table, mask in masks if not table.network_security_group))


def _has_admin(asked: Asked) -> bool:
    return any(is_admin_table(table) for table in asked.tables)


def _reported(search: TableSearch, packet: PacketHeader) -> dict[RuleName, None]:
    found = judge_packet(search.tables, packet).reported
    return {} if found is None else {RuleName(found.network_security_group, found.rule): None}


def _seen_from(subject: Subject) -> str:
    return f"{subject.virtual_network}/{subject.subnet}"
