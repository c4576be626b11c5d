"""Findings about security admin rules, and of rules that they leave without effect, by the oracle.

The oracle names a rule by its own name; drawn documents have no two of one name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from nsgd.analysis.findings import Finding, Kind
from tests.analysis.drawn import as_packet
from tests.oracle.ends import EndOracle, Named
from tests.oracle.oracle import Packet

PREFIX = "securityAdminRules/"
IsLocal = Callable[[str, str], bool]  # of a network's name and an address


class AdminCheck:
    """The findings of one document that security admin rules are the cause of."""

    def __init__(
        self,
        oracle: EndOracle,
        packets: Sequence[Packet],
        subnets: Sequence[str],
        links: Sequence[str | None],
        is_local: IsLocal,
    ) -> None:
        self._oracle = oracle
        self._packets = packets
        self._subnets = subnets
        self._links = links
        self._is_local = is_local

    def wrong(self, finding: Finding) -> str | None:
        """What is wrong with a finding about a security admin rule itself."""
        rule = _own_name(finding.rule)
        applied = [each for each in self._subnets if rule in self._oracle.admin_rules(each)]
        if finding.kind is Kind.APPLIED_NOWHERE:
            return f"it is applied in {applied}" if applied else None
        if finding.witness is None or finding.subnet is None or finding.direction is None:
            return "no witness"
        if finding.subnet not in applied:
            return f"it is not applied in {finding.subnet}"
        packet, direction = as_packet(finding.witness), finding.direction.value
        if not self._oracle.admin_matches(rule, direction, finding.subnet, packet):
            return f"{packet} does not match {rule}"
        decided = self._oracle.decided_by_admin(direction, finding.subnet, packet)
        by = None if decided is None else decided.rule
        others = [_own_name(other.rule) for other in finding.others]
        match finding.kind:
            case Kind.NEVER_MATCHES:
                return f"{by} decides {packet}" if by == rule else self._never(rule, finding)
            case Kind.CHANGES_NOTHING:
                if by != rule:
                    return f"{by} decides {packet}"
                instead = self._oracle.decided_by_admin(direction, finding.subnet, packet, rule)
                if others != ([] if instead is None else [instead.rule]):
                    return f"without it {instead} decides {packet}, and not {others}"
                return self._changes(rule, finding)
            case Kind.CONFLICTING_RULES:
                said = self._oracle.admin_rules(finding.subnet)
                differ = (said[rule] == "deny") is not (said[others[0]] == "deny")
                return None if by == others[0] and differ else f"{by} decides {packet}"
            case Kind.NO_SUCH_ADDRESS:
                return self._is_asked(finding, packet)
            case Kind.WIDE_TAG:
                return None if by == rule else f"{by} decides {packet}"
        if by != rule:
            return f"{by} decides {packet}"
        access = "Allow" if finding.kind is Kind.MANAGEMENT_PORT_OPEN else "Deny"
        is_elsewhere = finding.kind is Kind.DENIED_ELSEWHERE
        names = [each.rule for each in finding.others] if is_elsewhere else [finding.rule or ""]
        return self._ends(finding, packet, access, {("", name) for name in names})

    def never_asked(self, finding: Finding, attached: Collection[str]) -> str | None:
        """What is wrong with a rule of a group, seen from subnets, that is never asked."""
        if finding.witness is None or finding.subnet is None or finding.direction is None:
            return "no witness"
        packet, direction = as_packet(finding.witness), finding.direction.value
        by = self._oracle.decided_in_group(finding.group, direction, finding.subnet, packet)
        if by is None or by.rule != finding.rule:
            return f"{by} decides {packet}"
        others = {tuple(other) for other in finding.others}
        accesses = ["Allow"] if finding.kind is Kind.ALWAYS_ALLOWED else [by.access]
        if by.access == "Allow":
            accesses = ["Allow", "Deny"]
        wrong = [self._ends(finding, packet, access, others) for access in accesses]
        if all(wrong):
            return wrong[0]
        for network in {subnet.rpartition("/")[0] for subnet in attached}:
            for each in self._packets:
                for link in self._links:
                    answer = self._oracle.judge_end(direction, network, each, link)
                    if (finding.group, direction, finding.rule) in [
                        asked[:3] for asked in answer.consulted
                    ]:
                        return f"it is asked of {each}"
        return None

    def _ends(
        self, finding: Finding, packet: Packet, access: str, by: Collection[tuple[str, ...]]
    ) -> str | None:
        assert finding.subnet is not None
        assert finding.direction is not None
        network = finding.subnet.rpartition("/")[0]
        answers = [
            self._oracle.judge_end(finding.direction.value, network, packet, link)
            for link in self._links
        ]
        for answer in answers:
            said = answer.network_security_group or "", answer.rule or ""
            if answer.access == access and said in by:
                return None
        return f"{packet}: {answers} and not {access} by {by}"

    def _is_asked(self, finding: Finding, packet: Packet) -> str | None:
        assert finding.subnet is not None
        assert finding.direction is not None
        network = finding.subnet.rpartition("/")[0]
        answer = self._oracle.judge_end(finding.direction.value, network, packet)
        asked = [rule for _, _, rule, _ in answer.consulted if rule.startswith(PREFIX)]
        return f"{packet} is decided by {asked}" if asked else None

    def _never(self, rule: str, finding: Finding) -> str | None:
        return self._of_packets(finding, rule, lambda by, _: by is not None and by.rule == rule)

    def _changes(self, rule: str, finding: Finding) -> str | None:
        def differs(by: Named | None, without: Named | None) -> bool:
            return by is not None and by.rule == rule and _follows(by) != _follows(without)

        return self._of_packets(finding, rule, differs)

    def _of_packets(
        self, finding: Finding, rule: str, is_wrong: Callable[[Named | None, Named | None], bool]
    ) -> str | None:
        assert finding.direction is not None
        direction = finding.direction.value
        for subnet in self._subnets:
            for packet in self._packets:
                local = packet.destination if direction == "Inbound" else packet.source
                if not self._is_local(subnet.rpartition("/")[0], local):
                    continue
                by = self._oracle.decided_by_admin(direction, subnet, packet)
                without = self._oracle.decided_by_admin(direction, subnet, packet, rule)
                if is_wrong(by, without):
                    return f"{packet} in {subnet}: {by}, without it {without}"
        return None


def _follows(decided: Named | None) -> str:
    """What follows: where no rule matches, what follows an Allow."""
    return "allow" if decided is None else decided.access


def _own_name(reported: str | None) -> str:
    assert reported is not None
    return reported.removeprefix(PREFIX).rpartition("/")[2]
