"""Allow rules that help nobody: wherever their group is asked, another table denies the same."""

from __future__ import annotations

from collections.abc import Iterator

from nsgd.analysis.findings import Finding, Kind, RuleName, Unfinished
from nsgd.analysis.groups import Asked
from nsgd.analysis.rule_lint import RuleLint, listed
from nsgd.analysis.table_search import TableSearch, decides
from nsgd.answers.ip_flow import judge as judge_packet
from nsgd.model.rule import Access, SecurityRule
from nsgd.policy.table import CompiledTable
from nsgd.spaces.budget import Budget
from nsgd.spaces.explore import Judge


class ElsewhereLint:
    """The Allow rules of a group in one direction."""

    def __init__(self, lint: RuleLint, searches: dict[int, TableSearch], budget: Budget) -> None:
        """*searches* are kept for other groups that the same resources are asked by."""
        self._lint = lint
        self._searches = searches
        self._budget = budget
        self._asked = [
            (each, view.tables[lint.direction])
            for view in lint.seen.views
            for each in view.asked
            if each.direction is lint.direction
        ]

    def findings(self) -> Iterator[Finding | Unfinished]:
        """What is found of each rule, by priority."""
        if not self._asked or any(len(asked.tables) == 1 for asked, _ in self._asked):
            return  # somebody is asked by this table alone
        for rule in self._lint.seen.rules(self._lint.direction):
            if rule.access is Access.ALLOW and rule.name in self._lint.witnesses:
                yield from self._lint.ask(Kind.DENIED_ELSEWHERE, rule, self._denied)

    def _denied(self, rule: SecurityRule) -> Finding | None:
        for asked, table in self._asked:
            search = self._search(asked)
            bit = search.bit(table, rule.name)
            wanted = _passes(search, table, bit)
            if search.find([bit], wanted, only_local=True) is not None:
                return None
        deniers: dict[RuleName, None] = {}
        found = None
        for asked, table in self._asked:
            search = self._search(asked)
            bit = search.bit(table, rule.name)
            own = search.chain_of(search.book.add(table))
            packet = search.find([bit], decides(own, bit), only_local=True)
            if packet is not None:
                reported = judge_packet(asked.tables, packet).reported
                if reported is not None:
                    deniers[RuleName(reported.network_security_group, reported.rule)] = None
                subject = asked.subject
                found = found or (packet, f"{subject.virtual_network}/{subject.subnet}")
        if found is None:
            return None  # nothing that it is for is there
        names = [f"{name.rule} of {name.group}" if name.group else name.rule for name in deniers]
        return Finding(
            Kind.DENIED_ELSEWHERE,
            self._lint.seen.group.name,
            rule.name,
            f"allows what is always denied elsewhere, as by {listed(names)}",
            self._lint.direction,
            tuple(deniers),
            *found,
        )

    def _search(self, asked: Asked) -> TableSearch:
        found = self._searches.get(id(asked))
        if found is None:
            found = TableSearch(asked.tables, asked.direction, asked.local, self._budget)
            self._searches[id(asked)] = found
        return found


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
