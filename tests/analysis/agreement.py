"""Confirm what diff, lint and reach find on drawn documents, each packet by the oracle.

As a script it runs until so many findings were confirmed, and says of what kinds they were::

    python -m tests.analysis.agreement --findings 20000
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from nsgd.analysis.changes import PolicyDifference, SiteDifference, Verdict
from nsgd.analysis.difference import compare
from nsgd.analysis.findings import Finding, Kind
from nsgd.analysis.lint import lint
from nsgd.model.address import Address
from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet, Subnet
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access
from nsgd.spaces.budget import Budget
from tests.analysis.admin_agreement import AdminCheck
from tests.analysis.drawn import administered, as_packet, changed
from tests.analysis.reach_agreement import ReachCheck
from tests.oracle.agreement import load_case
from tests.oracle.choose import RandomChooser
from tests.oracle.dialect_parts import FORMS
from tests.oracle.ends import EndOracle
from tests.oracle.generate import Case, random_case_of_any_form
from tests.oracle.oracle import Packet

BASE = "analysis"
PACKETS = 20
MANAGEMENT_PORTS = {22: "SSH", 80: "HTTP", 443: "HTTPS", 3389: "RDP"}  # drawn rules have these


@dataclass
class Tally:
    """What was confirmed, by kind, and what was not."""

    confirmed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    undetermined: int = 0

    def add(self, kind: str, seed: str, problem: str | None) -> None:
        if problem is None:
            self.confirmed[kind] += 1
        else:
            self.wrong.append(f"document {seed}: {kind}: {problem}")

    def __str__(self) -> str:
        lines = [
            f"findings {self.confirmed.total()}, wrong {len(self.wrong)},"
            f" undetermined {self.undetermined}",
            *self.wrong[:5],
        ]
        return "\n".join(lines + [f"  {n:<24} {c:>7}" for n, c in self.confirmed.most_common()])


def forwarding_links(*models: NetworkModel) -> dict[str, str]:
    """The links of interfaces that forward in one of the models, by name."""
    return {
        each.name: each.link
        for model in models
        for each in model.network_interfaces
        if each.enable_ip_forwarding and each.link is not None
    }


# -- differences -----------------------------------------------------------------------


def changes_of(
    difference: PolicyDifference, old: EndOracle, new: EndOracle, *models: NetworkModel
) -> Iterator[str | None]:
    """For each change what is wrong with its witness, or None."""
    links = forwarding_links(*models)
    for each in difference.differences:
        for change in each.changes:
            sides = ((old, change.before), (new, change.after))
            yield next(
                (
                    wrong
                    for side in sides
                    if (wrong := _verdict(*side, each, links, change.witness))
                ),
                None,
            )


def _verdict(
    oracle: EndOracle,
    verdict: Verdict,
    of: SiteDifference,
    links: dict[str, str],
    witness: PacketHeader,
) -> str | None:
    subject = of.sites[0].subject
    if subject.virtual_network.lower() not in oracle.networks:
        return None if verdict == Verdict(Access.ALLOW, None) else f"{verdict} of nothing"
    packet = as_packet(witness)
    answer = oracle.judge_end(
        of.direction.value, subject.virtual_network, packet, links.get(subject.name)
    )
    decision = verdict.decision
    claimed = (
        verdict.access.value,
        None if decision is None else decision.network_security_group,
        None if decision is None else decision.rule,
    )
    said = answer.access, answer.network_security_group, answer.rule
    return None if said == claimed else f"{packet}: {claimed}, and the oracle says {said}"


# -- lint ------------------------------------------------------------------------------


def _groups_of(model: NetworkModel, network: str, subnet: Subnet) -> Iterator[str]:
    """The groups of a subnet and of what is in it."""
    if subnet.network_security_group:
        yield subnet.network_security_group
    resources: tuple[NetworkInterface | ScaleSet, ...] = (
        *model.network_interfaces,
        *model.scale_sets,
    )
    for each in resources:
        is_there = (each.virtual_network, each.subnet) == (network, subnet.name)
        if is_there and each.network_security_group:
            yield each.network_security_group


class LintCheck:
    """The findings about one document, beside the oracle."""

    def __init__(self, case: Case, model: NetworkModel) -> None:
        self._model = model
        self._oracle = EndOracle(case.document, case.tag_files)
        self._packets = [packet._replace(in_link=None, out_link=None) for packet in case.packets]
        self._subnets = [
            f"{network.name}/{subnet.name}"
            for network in model.virtual_networks
            for subnet in network.subnets
        ]
        self._attached = {
            (group, network.name, subnet.name)
            for network in model.virtual_networks
            for subnet in network.subnets
            for group in _groups_of(model, network.name, subnet)
        }
        self._links = [None, *forwarding_links(model).values()]
        self._admin = AdminCheck(
            self._oracle, self._packets, self._subnets, self._links, self._is_of
        )

    def wrong(self, finding: Finding) -> str | None:
        """What is wrong with a finding; None where the oracle confirms it."""
        if not finding.group:
            return self._admin.wrong(finding)
        packet = None if finding.witness is None else as_packet(finding.witness)
        if finding.rule is None:
            is_attached = any(group == finding.group for group, *_ in self._attached)
            return "it is attached" if is_attached else None
        if packet is None or finding.subnet is None:
            return self._never(finding) if finding.kind is Kind.EMPTY_GROUP else "no witness"
        assert finding.direction is not None
        direction = finding.direction.value
        decided = self._oracle.decided_in_group(finding.group, direction, finding.subnet, packet)
        by = None if decided is None else decided.rule
        matches = self._oracle.matches(finding.group, finding.rule, finding.subnet, packet)
        if not matches:
            return f"{packet} does not match {finding.rule}"
        match finding.kind:
            case Kind.NEVER_MATCHES:
                return f"{by} decides {packet}" if by == finding.rule else self._never(finding)
            case Kind.CHANGES_NOTHING:
                return f"{by} decides" if by != finding.rule else self._changes(finding, packet)
            case Kind.CONFLICTING_RULES:
                other = self._access(finding, finding.others[0].rule)
                is_other = by == finding.others[0].rule
                return (
                    None if is_other and other != self._access(finding, finding.rule) else f"{by}"
                )
            case Kind.NEVER_ASKED | Kind.ALWAYS_ALLOWED:
                attached = {
                    f"{network}/{subnet}"
                    for group, network, subnet in self._attached
                    if group == finding.group
                }
                return self._admin.never_asked(finding, attached)
            case Kind.NO_SUCH_ADDRESS:
                return self._is_asked(finding, direction, packet)
            case Kind.WIDE_TAG:
                return None if by == finding.rule else f"{by} decides {packet}"
            case Kind.DENIED_ELSEWHERE:
                if by != finding.rule:
                    return f"{by} decides {packet}"
                others = {(name.group, name.rule) for name in finding.others}
                return self._ends(finding, direction, packet, "Deny", others)
        access = "Allow" if finding.kind is Kind.MANAGEMENT_PORT_OPEN else "Deny"
        if not any(group == finding.group for group, *_ in self._attached):
            return None if by == finding.rule else f"{by} decides {packet}"
        own = {(finding.group, finding.rule)}
        return self._ends(finding, direction, packet, access, own)

    def _ends(
        self,
        finding: Finding,
        direction: str,
        packet: Packet,
        access: str,
        by: set[tuple[str, str]],
    ) -> str | None:
        assert finding.subnet is not None
        network = finding.subnet.rpartition("/")[0]
        answers = [self._oracle.judge_end(direction, network, packet, link) for link in self._links]
        for answer in answers:
            said = answer.network_security_group or "", answer.rule or ""
            if answer.access == access and said in by:
                return None
        return f"{packet}: {answers} and not {access} by {by}"

    def _is_asked(self, finding: Finding, direction: str, packet: Packet) -> str | None:
        assert finding.subnet is not None
        answer = self._oracle.judge_end(direction, finding.subnet.rpartition("/")[0], packet)
        asked = [group for group, *_ in answer.consulted]
        return f"{packet} is asked {asked}" if finding.group in asked else None

    def _never(self, finding: Finding) -> str | None:
        """No drawn packet is decided by the rule, in the eyes of any subnet with the group."""
        return self._of_packets(finding, lambda by, _: by == finding.rule)

    def _changes(self, finding: Finding, witness: Packet) -> str | None:
        assert finding.rule is not None
        assert finding.direction is not None
        assert finding.subnet is not None
        instead = self._oracle.decided_in_group(
            finding.group, finding.direction.value, finding.subnet, witness, finding.rule
        )
        if instead is None or instead.rule != finding.others[0].rule:
            return f"without it {instead} decides {witness}"
        return self._of_packets(finding, lambda by, same: by == finding.rule and not same)

    def _of_packets(
        self, finding: Finding, is_wrong: Callable[[str | None, bool], bool]
    ) -> str | None:
        """A packet that proves it wrong, by the rule that decides it and whether it matters."""
        assert finding.rule is not None
        assert finding.direction is not None
        direction = finding.direction.value
        seen_from = [
            f"{network}/{subnet}"
            for group, network, subnet in self._attached
            if group == finding.group
        ]
        for subnet in seen_from:
            for packet in self._packets:
                local = packet.destination if direction == "Inbound" else packet.source
                if not self._is_of(subnet.rpartition("/")[0], local):
                    continue
                decided = self._oracle.decided_in_group(finding.group, direction, subnet, packet)
                without = self._oracle.decided_in_group(
                    finding.group, direction, subnet, packet, finding.rule
                )
                access, other = (None if x is None else x.access for x in (decided, without))
                if is_wrong(None if decided is None else decided.rule, access == other):
                    return f"{packet} from {subnet}: {decided}, without it {without}"
        return None

    def _is_of(self, network: str, address: str) -> bool:
        """Whether packets from or to an address may come to a network's groups."""
        (found,) = (each for each in self._model.virtual_networks if each.name == network)
        parsed = Address.parse(address)
        return any(prefix.contains(parsed) for prefix in found.address_space)

    def _access(self, finding: Finding, rule: str) -> str:
        return self._oracle.access(finding.group, rule)


def administered_case(seed: str) -> Case:
    """A document with security admin rules, many of which are like rules of groups."""
    case = random_case_of_any_form(seed, PACKETS, "admin")
    return administered(RandomChooser(f"{seed}-administered"), case)


def check_lint(case: Case, seed: str, tally: Tally) -> NetworkModel:
    """Confirm what lint finds in a document; the document's model."""
    model = load_case(case).model
    result = lint(model, Budget(), MANAGEMENT_PORTS)
    tally.undetermined += len(result.unfinished)
    confirm = LintCheck(case, model)
    for finding in result.findings:
        kind = finding.kind.identity if finding.group else f"admin {finding.kind.identity}"
        tally.add(kind, seed, confirm.wrong(finding))
    return model


def check(seed: str, tally: Tally, form: str | None = None) -> None:
    """Draw a document, change it, and confirm what is found of both."""
    is_admin = form == "admin"
    case = administered_case(seed) if is_admin else random_case_of_any_form(seed, PACKETS, form)
    after = changed(RandomChooser(f"{seed}-change"), case)
    models = []
    cases = (case,) if after is None else (case, after)
    for each in cases:
        model = check_lint(each, seed, tally)
        models.append(model)
        reached = ReachCheck(model, EndOracle(each.document, each.tag_files))
        packets = [packet._replace(in_link=None, out_link=None) for packet in each.packets]
        for kind, problem in reached.problems(packets, RandomChooser(f"{seed}-reach")):
            tally.add(kind, seed, problem)
        tally.undetermined += reached.undetermined
    if after is None:
        return
    difference = compare(models[0], models[1], Budget())
    tally.undetermined += len(difference.undetermined)
    old, new = (EndOracle(each.document, each.tag_files) for each in cases)
    for problem in changes_of(difference, old, new, *models):
        tally.add("difference", seed, problem)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until there are enough findings; 1 if one was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--findings", type=int, default=20_000)
    parser.add_argument("--base", default=BASE, help="name of the series of documents")
    parser.add_argument("--form", choices=[form for _, form in FORMS], help="of documents; all")
    options = parser.parse_args(arguments)
    started_s = time.monotonic()
    tally = Tally()
    number = 0
    while tally.confirmed.total() < options.findings and len(tally.wrong) < 20:
        check(f"{options.base}-{number}", tally, options.form)
        number += 1
    print(tally)
    print(f"documents {number}, seconds {time.monotonic() - started_s:.1f}")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
