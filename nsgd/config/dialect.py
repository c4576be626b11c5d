"""The ``dialect`` key, and the refusal of sections and rules that the dialect in force lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nsgd.config.problem import Refusal, format_path
from nsgd.config.report import Place, Report
from nsgd.config.shape import Mistake, Parsed
from nsgd.config.wording import show
from nsgd.model.admin import AzureService
from nsgd.model.dialect import DIALECTS, NOW, Dialect
from nsgd.model.rule import Protocol

KEY = "dialect"
_NAMES = ", ".join(DIALECTS)


def parse_dialect(value: object) -> Dialect:
    """Read a dialect's name; 2017 may be a number, as YAML has it. Raises Refusal."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = DIALECTS.get(text.lower()) if isinstance(text, str) and text.isascii() else None
    if found is None:
        raise Refusal(f"{show(value)} is not a dialect", f"write one of {_NAMES}")
    return found


DIALECT = Parsed(f"one of {_NAMES}", parse_dialect)


@dataclass(frozen=True, slots=True)
class DialectInForce:
    """The dialect of all loaded documents.

    *is_known* is False where an unreadable document may name another one, or two contradict one
    another: nothing is then refused for lack of it in the dialect.
    """

    dialect: Dialect = NOW
    is_known: bool = True
    restricts_rules: bool = field(init=False)  # whether rules need a second look for its sake

    def __post_init__(self) -> None:
        object.__setattr__(self, "restricts_rules", self.dialect != NOW)

    def lacks(self, what: str, way_out: str, place: Place, report: Report) -> None:
        """Report that the dialect has no *what*."""
        if self.is_known:
            report.add(place, self.lack_of(what), way_out)

    def refuses(self, protocol: Protocol | None) -> bool:
        """Tell whether the dialect has no such protocol, so that nothing else is said of it."""
        return self.is_known and protocol is not None and protocol not in self.dialect.protocols

    def lack_of(self, what: str) -> str:
        """The message that the dialect has no *what*."""
        return f"the dialect {self.dialect.name} has no {what}"


NOW_IN_FORCE = DialectInForce()


def read_dialect(fields: Sequence[Mapping[str, Any]], report: Report) -> DialectInForce:
    """The one dialect that documents name, any number of them; ``now`` where none does."""
    named: list[tuple[Place, Dialect | None]] = [
        (Place(document, (KEY,)), of_document[KEY])
        for document, of_document in enumerate(fields)
        if KEY in of_document
    ]
    known = [(place, dialect) for place, dialect in named if dialect is not None]
    if not known:
        return DialectInForce(is_known=report.is_complete and not named)
    first_place, first = known[0]
    is_known = len(known) == len(named)
    for place, dialect in known[1:]:
        if dialect is not first:
            is_known = False
            report.add(
                place,
                f"the dialect {dialect.name} is named, and {first.name} by "
                f"{report.locate(first_place, place)}",
                "documents that are loaded together have one dialect: name it in one of them",
            )
    return DialectInForce(first, is_known)


def _sections_lacking(dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Keys of a document that the dialect has not, with the way out."""
    if dialect.attaches_to_machines:
        yield "networkInterfaces", "groups attach to machines: write virtualMachines"
        yield "scaleSets", "declare each machine in virtualMachines"
    else:
        classic = "or write dialect: classic"
        yield "virtualMachines", f"groups attach to network interfaces: write those, {classic}"
        yield "cloudServices", f"attach groups to network interfaces and subnets, {classic}"
    if not dialect.has_application_security_groups:
        yield "applicationSecurityGroups", "write prefixes in the rules"
    if not dialect.has_admin_rules:
        yield "securityAdminConfigurations", "write the rules into network security groups"


def check_sections(
    fields: Sequence[Mapping[str, Any]], in_force: DialectInForce, report: Report
) -> None:
    """Report sections that the dialect has not, in every document."""
    for key, way_out in _sections_lacking(in_force.dialect):
        for document, of_document in enumerate(fields):
            if of_document.get(key):
                in_force.lacks(key, way_out, Place(document, (key,)), report)


def reword(mistake: Mistake, in_force: DialectInForce) -> Mistake:
    """A mistake in a document's field, its way out without what the dialect has not.

    Fields are read by one table, before it is known which dialect is in force.
    """
    dialect = in_force.dialect
    is_of_rule = mistake.path[2:3] in (["securityRules"], ["defaultSecurityRules"])
    if not is_of_rule or mistake.path[0] != "protocol" or dialect.protocols == NOW.protocols:
        return mistake
    return replace(mistake, way_out=_instead_of(dialect)) if in_force.is_known else mistake


def check_services(
    services: Sequence[AzureService | None],
    place: Place,
    in_force: DialectInForce,
    report: Report,
) -> tuple[AzureService, ...]:
    """What keeps security admin rules from a subnet; none where the dialect has no such rules.

    Written in a native document they are then reported. Azure's JSON does not say them: they are
    made of its subnets' names and delegations, which are as good there as ever.
    """
    if in_force.dialect.has_admin_rules:
        return tuple(service for service in services if service is not None)
    if services and report.locate(place, place) == format_path(place.path):
        way_out = "remove it: there are no security admin rules to keep from the subnet"
        in_force.lacks("services of a subnet", way_out, place, report)
    return ()


# What a list of several is of, by its key without the side.
_LISTS = {"AddressPrefixes": "prefixes", "PortRanges": "ports"}


def check_rule(
    raw: Mapping[str, Any], place: Place, in_force: DialectInForce, report: Report
) -> None:
    """Report what of a rule the dialect has not; its tags are for RuleTags to look up."""
    dialect = in_force.dialect
    protocol: Protocol | None = raw.get("protocol")
    if protocol is not None and protocol not in dialect.protocols:
        what = f"protocol {protocol.value}"
        in_force.lacks(what, _instead_of(dialect), place.at("protocol"), report)
    for side in ("source", "destination"):
        if not dialect.has_lists:
            for ending, what in _LISTS.items():
                key = f"{side}{ending}"
                if len(raw.get(key) or ()) > 1:
                    message = f"lists of {what} in a rule"
                    in_force.lacks(message, "write a rule for each", place.at(key), report)
        groups = f"{side}ApplicationSecurityGroups"
        if not dialect.has_application_security_groups and groups in raw:
            way_out = f"write {side}AddressPrefix"
            in_force.lacks("application security groups", way_out, place.at(groups), report)


def _instead_of(dialect: Dialect) -> str:
    words = ", ".join(
        show(each.value) if each is Protocol.ANY else each.value for each in dialect.protocols
    )
    meant = ", ".join(each.value for each in dialect.any_protocol)
    return f"write one of {words}; '*' is {meant}"
