"""The network interfaces of the last good load, document by document, to be taken over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nsgd.config.classic import machine_sections
from nsgd.config.groups import Group, join_group
from nsgd.config.interfaces import MOST_ADDRESSES, InterfaceReader
from nsgd.config.limits import Limits
from nsgd.config.names import Names, fold
from nsgd.config.report import Place, Report
from nsgd.config.sections import list_section
from nsgd.config.wording import show
from nsgd.model.address import Address
from nsgd.model.network import NetworkInterface

_SECTION = "networkInterfaces"
_List = tuple[int, Sequence[Any]]  # of one document, with the document's number


class ContradictionError(Exception):
    """Parts that were taken over do not go with the others: all must be assembled together."""


class Joined(NamedTuple):
    """The members of one application security group among some interfaces."""

    network: str
    first: str  # the first member's name, as messages show it
    ip_configurations: int


@dataclass(frozen=True, slots=True)
class References:
    """What some interfaces refer to, beside subnets."""

    security_groups: frozenset[str]
    joined: Mapping[str, Joined]  # by application security group, in the order of joining

    @classmethod
    def of(cls, interfaces: Iterable[NetworkInterface]) -> References:
        """The references of interfaces without a mistake."""
        security_groups = set()
        joined: dict[str, Joined] = {}
        for each in interfaces:
            if each.network_security_group is not None:
                security_groups.add(each.network_security_group)
            number = len(each.private_ip_addresses)
            for name in each.application_security_groups:
                found = joined.get(name)
                if found is None:
                    joined[name] = Joined(each.virtual_network, show(each.name), number)
                else:
                    total = found.ip_configurations + number
                    joined[name] = Joined(found.network, found.first, total)
        return cls(frozenset(security_groups), joined)


@dataclass(frozen=True, slots=True)
class DocumentInterfaces:
    """One document's interfaces, and what each has for itself alone."""

    raw: Sequence[Any]  # as the table of fields read them; this very object
    interfaces: tuple[NetworkInterface, ...]
    names: frozenset[str]  # in the form in which they compare
    addresses: frozenset[tuple[str, Address]]  # with their virtual network
    links: frozenset[str]
    references: References

    @classmethod
    def of(cls, raw: Sequence[Any], made: tuple[NetworkInterface, ...]) -> DocumentInterfaces:
        """Those of interfaces without a mistake, which *raw* was assembled to."""
        return cls(
            raw,
            made,
            frozenset(fold(each.name) for each in made),
            frozenset((nic.virtual_network, a) for nic in made for a in nic.private_ip_addresses),
            frozenset(each.link for each in made if each.link is not None),
            References.of(made),
        )


@dataclass(frozen=True, slots=True)
class KeptInterfaces:
    """The interfaces of all documents of one load."""

    context: object  # what all of them depend on: subnets, limits, dialect
    documents: tuple[DocumentInterfaces, ...]
    interfaces: Sequence[NetworkInterface]
    references: References


class InterfaceTaker:
    """Assembles interfaces, but takes over those of documents for which nothing differs."""

    def __init__(
        self,
        kept: KeptInterfaces | None,
        context: object,
        security_groups: Names[str],
        groups: Names[Group],
        limits: Limits,
        report: Report,
    ) -> None:
        """Prepare to compare *kept* with what there is in this load, which is the rest."""
        self._kept = kept if kept is not None and kept.context == context else None
        self._context = context
        self._security_groups = security_groups
        self._groups = groups
        self._limits = limits
        self._report = report

    def assemble(
        self, fields: Sequence[Mapping[str, Any]], reader: InterfaceReader
    ) -> Sequence[NetworkInterface]:
        """The interfaces and machines of all documents.

        Raises:
            ContradictionError: Several documents contradict each other, if nothing else is wrong.
        """
        kept = self._kept
        machines = machine_sections(fields)
        if kept is None or machines:
            return reader.assemble(list_section(fields, _SECTION) + machines)
        lists = _lists(fields)
        known = {id(part.raw): part for part in kept.documents}
        found = [known.get(id(raw)) for _, raw in lists]
        is_same = len(found) == len(kept.documents) and all(
            part is other for part, other in zip(found, kept.documents, strict=True)
        )
        if is_same and self._has_same(kept.references):
            self._join(kept.references)
            return kept.interfaces
        parts: list[DocumentInterfaces] = []
        for (document, raw), part in zip(lists, found, strict=True):
            if part is not None and self._has_same(part.references):
                self._join(part.references)
                parts.append(part)
            else:
                sections = [
                    (Place(document, (_SECTION, index)), entry)
                    for index, entry in enumerate(raw)
                    if entry is not None
                ]
                parts.append(DocumentInterfaces.of(raw, tuple(reader.assemble(sections))))
        if not self._are_apart(parts):
            raise ContradictionError
        return [each for part in parts for each in part.interfaces]

    def keep(
        self, fields: Sequence[Mapping[str, Any]], interfaces: Sequence[NetworkInterface]
    ) -> KeptInterfaces | None:
        """What to keep of a load without a mistake: each entry has become an interface.

        None where some are machines, which cloud services may have changed.
        """
        kept = self._kept
        if machine_sections(fields):
            return None
        if kept is not None and interfaces is kept.interfaces:
            return kept
        known = {} if kept is None else {id(part.raw): part for part in kept.documents}
        parts = []
        start = 0
        for _, raw in _lists(fields):
            made = tuple(interfaces[start : start + sum(entry is not None for entry in raw)])
            start += len(made)
            part = known.get(id(raw))
            if part is None or part.interfaces != made:
                part = DocumentInterfaces.of(raw, made)
            parts.append(part)
        return KeptInterfaces(self._context, tuple(parts), interfaces, References.of(interfaces))

    def _has_same(self, references: References) -> bool:
        """Whether each is declared, in the spelling in which interfaces have it."""
        groups = (self._groups.find(name) for name in references.joined)
        return all(
            self._security_groups.find(name) == name for name in references.security_groups
        ) and all(
            group is not None and group.name == name
            for name, group in zip(references.joined, groups, strict=True)
        )

    def _join(self, references: References) -> None:
        """Do to the groups what their members did, each in its turn."""
        for name, members in references.joined.items():
            group = self._groups.find(name)
            if group is None:
                raise ContradictionError
            join_group(group, members.first, members.network, Place(0), self._report)
            group.ip_configurations += members.ip_configurations

    def _are_apart(self, parts: Sequence[DocumentInterfaces]) -> bool:
        """Whether no name, address or link is in two documents, and no network has too many."""
        names = [part.names for part in parts]
        links = [part.links for part in parts]
        addresses: set[tuple[str, Address]] = set().union(*(part.addresses for part in parts))
        if len(addresses) != sum(len(part.addresses) for part in parts):
            return False
        most = self._limits.get(MOST_ADDRESSES)
        numbers = Counter(network for network, _ in addresses)
        return (
            _are_disjoint(names)
            and _are_disjoint(links)
            and (most is None or all(number <= most for number in numbers.values()))
        )


def _lists(fields: Sequence[Mapping[str, Any]]) -> list[_List]:
    """The lists of interfaces of those documents that have one."""
    return [
        (document, of_document[_SECTION])
        for document, of_document in enumerate(fields)
        if of_document.get(_SECTION)
    ]


def _are_disjoint(sets: Sequence[frozenset[str]]) -> bool:
    found: set[str] = set().union(*sets)
    return len(found) == sum(map(len, sets))
