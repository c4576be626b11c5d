"""What lint can find, as values: kinds with their severities, and findings with a packet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Direction


class Severity(Enum):
    """How much a finding matters; the values are SARIF's levels."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    IGNORE = "none"


class _Description(NamedTuple):
    identity: str
    severity: Severity
    text: str
    way_out: str


class Kind(Enum):
    """What is found; each with the severity that it has unless settings say otherwise."""

    MANAGEMENT_PORT_OPEN = _Description(
        "management-port-open",
        Severity.ERROR,
        "A rule lets the Internet reach a port that manages machines.",
        "name the addresses that administrators come from, or use a bastion",
    )
    NEVER_MATCHES = _Description(
        "never-matches",
        Severity.WARNING,
        "Rules of higher priority decide every packet that the rule matches.",
        "remove it, or give it a lower priority number than the rules that cover it",
    )
    DENIED_ELSEWHERE = _Description(
        "denied-elsewhere",
        Severity.WARNING,
        "What the rule allows is denied by another group, wherever the rule applies.",
        "allow it there too, or remove the rule",
    )
    ALWAYS_ALLOWED = _Description(
        "always-allowed",
        Severity.WARNING,
        "What the rule denies is let pass by security admin rules, before its group is asked.",
        "have an administrator narrow the AlwaysAllow, or remove the rule",
    )
    CONFLICTING_RULES = _Description(
        "conflicting-rules",
        Severity.WARNING,
        "An Allow and a Deny overlap in part, and only their order says which decides there.",
        "write ranges that do not overlap, or one that holds the other",
    )
    EMPTY_GROUP = _Description(
        "empty-group",
        Severity.WARNING,
        "The rule names application security groups without a member, so it matches nothing.",
        "add members, or remove the rule",
    )
    NO_SUCH_ADDRESS = _Description(
        "no-such-address",
        Severity.WARNING,
        "The rule is for addresses that nothing has which the group is attached to.",
        "rules see private addresses: write those of the subnet or of the interfaces",
    )
    DENIES_PROBES = _Description(
        "denies-probes",
        Severity.WARNING,
        "Health probes of Azure's load balancer are denied.",
        "allow AzureLoadBalancer by a rule of a lower priority number",
    )
    DENIES_PLATFORM = _Description(
        "denies-platform",
        Severity.WARNING,
        "A service of Azure's platform, which virtual machines need, is denied.",
        "allow it by a rule of a lower priority number, if that is not meant",
    )
    CHANGES_NOTHING = _Description(
        "changes-nothing",
        Severity.NOTE,
        "Without the rule every packet would get the same verdict by other rules.",
        "remove it, or say in its description what it is for",
    )
    NEVER_ASKED = _Description(
        "never-asked",
        Severity.NOTE,
        "Security admin rules decide all that the rule is for, before its group is asked.",
        "remove it, or say in its description what it is for",
    )
    APPLIED_NOWHERE = _Description(
        "applied-nowhere",
        Severity.NOTE,
        "The security admin rule is applied in no subnet, so it does nothing.",
        "name virtual networks in appliesTo in which Azure applies it, or remove it",
    )
    UNATTACHED_GROUP = _Description(
        "unattached-group",
        Severity.NOTE,
        "The group is attached to no subnet and to no resource, so it filters nothing.",
        "attach it, or remove it",
    )
    WIDE_TAG = _Description(
        "wide-tag",
        Severity.NOTE,
        "The rule allows a service tag of all regions, of which the policy uses one by name.",
        "name the region here too, if only that one is meant",
    )

    @property
    def identity(self) -> str:
        """The name that settings and SARIF use."""
        return self.value.identity

    @property
    def severity(self) -> Severity:
        """Unless settings say otherwise."""
        return self.value.severity


class RuleName(NamedTuple):
    """A rule by its group; security admin rules and those of the platform have none, ''."""

    group: str
    rule: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about a group or one of its rules, or about a security admin rule.

    Of the latter *group* is empty, and *rule* is the name that reports have.

    *subnet* is ``network/subnet`` from which tags are seen as *witness* has them; it is None
    where the documents declare no network that the group could be seen from.
    """

    kind: Kind
    group: str
    rule: str | None
    message: str
    direction: Direction | None = None
    others: tuple[RuleName, ...] = ()
    witness: PacketHeader | None = None
    subnet: str | None = None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A question about a group or a rule that needed more steps than there are.

    *group* is empty where it is about security admin rules.
    """

    kind: Kind
    group: str
    rule: str | None
