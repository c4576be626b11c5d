"""Everything in a policy that an engineer should look at, with a packet that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nsgd.analysis.admin_rules import seen_admin_rules
from nsgd.analysis.chain_lint import MANAGEMENT_PORTS, ChainLint
from nsgd.analysis.conflict_lint import ConflictLint
from nsgd.analysis.declared_lint import DeclaredLint
from nsgd.analysis.elsewhere_lint import ElsewhereLint
from nsgd.analysis.findings import Finding, Kind, Unfinished
from nsgd.analysis.groups import Asked, Seen, SeenGroup, asked_alike, seen_groups
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.analysis.rule_lint import RuleLint
from nsgd.analysis.search_store import SearchStore
from nsgd.model.network import NetworkModel
from nsgd.model.rule import Direction
from nsgd.spaces.budget import Budget

_DIRECTIONS = (Direction.INBOUND, Direction.OUTBOUND)


@dataclass(frozen=True, slots=True)
class LintResult:
    """All findings, and the questions that needed too many steps."""

    findings: tuple[Finding, ...]
    unfinished: tuple[Unfinished, ...]


def lint(
    model: NetworkModel, budget: Budget, management_ports: Mapping[int, str] = MANAGEMENT_PORTS
) -> LintResult:
    """Look at all groups of a model and at all resources that they judge.

    Args:
        model: The loaded networks.
        budget: Of each question.
        management_ports: TCP ports with their names that must not be open to the Internet.
    """
    findings: list[Finding] = []
    unfinished: list[Unfinished] = []
    for found in _all(model, budget, management_ports):
        if isinstance(found, Finding):
            findings.append(found)
        else:
            unfinished.append(found)
    return LintResult(tuple(findings), tuple(dict.fromkeys(unfinished)))


def _all(
    model: NetworkModel, budget: Budget, ports: Mapping[int, str]
) -> Iterator[Finding | Unfinished]:
    policy = AnalysedPolicy(model)
    asked = asked_alike(policy)
    groups = seen_groups(policy, asked)
    searches = SearchStore(budget)
    for seen in groups:
        if not seen.is_attached and model.virtual_networks:
            message = "is attached to no subnet and to no resource"
            yield Finding(Kind.UNATTACHED_GROUP, seen.name, None, message)
        yield from _of_rules(seen, model, searches, budget)
    admin = seen_admin_rules(policy, asked)
    for rule in admin.linted:
        if not admin.views_of(rule):
            message = "is applied in no subnet"
            yield Finding(Kind.APPLIED_NOWHERE, admin.name, rule.name, message)
    yield from _of_rules(admin, model, searches, budget)
    told: set[tuple[Kind, str, str | None]] = set()
    for direction, chain in _chains(policy, asked, groups, budget):
        for found in _of_chain(chain, direction, model, ports):
            # Resources differ, and the rule is the same.
            key = found.kind, found.group, found.rule
            if isinstance(found, Unfinished) or key not in told:
                yield found
            if isinstance(found, Finding):
                told.add(key)


def _of_rules(
    seen: Seen, model: NetworkModel, searches: SearchStore, budget: Budget
) -> Iterator[Finding | Unfinished]:
    for direction in _DIRECTIONS:
        rules = RuleLint(seen, direction, budget)
        yield from rules.findings()
        yield from ConflictLint(rules).findings()
        yield from ElsewhereLint(rules, searches, budget).findings()
        yield from DeclaredLint(model, rules, budget).findings()


def _chains(
    policy: AnalysedPolicy, asked: Iterable[Asked], groups: list[SeenGroup], budget: Budget
) -> Iterator[tuple[Direction, ChainLint]]:
    """All lists of tables that resources are asked by, and groups that are asked by nobody."""
    by_name = {seen.name: seen for seen in groups}
    for each in asked:
        subject = each.subject
        subnet = f"{subject.virtual_network}/{subject.subnet}"
        resolver = policy.resolver(subject)
        yield each.direction, ChainLint(each, resolver, subnet, by_name, budget)
    for seen in groups:
        if not seen.is_attached:
            view = seen.views[0]
            for each in view.asked:
                yield each.direction, ChainLint(each, view.resolver, view.subnet, by_name, budget)


def _of_chain(
    chain: ChainLint, direction: Direction, model: NetworkModel, ports: Mapping[int, str]
) -> Iterator[Finding | Unfinished]:
    if direction is Direction.INBOUND:
        yield from chain.open_ports(ports)
        yield from chain.denied_probes(ports)
    else:
        yield from chain.denied_platform(model.platform)
