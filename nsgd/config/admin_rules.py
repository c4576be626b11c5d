"""Security admin configurations: rules that whole virtual networks have ahead of every group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.addresses import RuleEntry, UnresolvedTag
from nsgd.config.admin_ties import PlacedRule, check_ties
from nsgd.config.declared import DeclaredNetwork
from nsgd.config.names import Names
from nsgd.config.portless import check_portless
from nsgd.config.report import Place, Report
from nsgd.config.rule import DESTINATION, SOURCE, read_ports
from nsgd.config.rule_tags import RuleTags
from nsgd.config.sections import Section
from nsgd.config.wording import show
from nsgd.model.address import Prefix
from nsgd.model.admin import (
    AdminAddress,
    IntentPolicyNetworks,
    RuleCollection,
    SecurityAdminConfiguration,
    SecurityAdminRule,
)
from nsgd.model.rule import AnyAddress, PlatformTag, PrefixList

_ONE_CONFIGURATION = "make them rule collections of one configuration: a region of Azure has one"


class AdminReader:
    """Reads the configurations of one set of documents."""

    def __init__(self, networks: Names[DeclaredNetwork], tags: RuleTags, report: Report) -> None:
        """Prepare for references to these networks and service tags."""
        self._networks = networks
        self._tags = tags
        self._report = report
        self._configuration_of: dict[str, tuple[int, Place]] = {}  # by virtual network
        self._of_network: dict[str, list[PlacedRule]] = {}

    def assemble(self, sections: Sequence[Section]) -> tuple[SecurityAdminConfiguration, ...]:
        """The configurations as values, after every check."""
        names: Names[None] = Names("security admin configuration", self._report)
        result = []
        for number, (place, raw) in enumerate(sections):
            name: str | None = raw.get("name")
            if name is not None:
                names.declare(name, place, None)
            collections = self._collections(raw, place, number)
            if name is not None:
                with_policies = raw.get("applyOnNetworkIntentPolicyBasedServices")
                result.append(
                    SecurityAdminConfiguration(
                        name, collections, with_policies or IntentPolicyNetworks.NONE
                    )
                )
        for network, rules in self._of_network.items():
            check_ties(network, rules, self._report)
        return tuple(result)

    def _collections(
        self, raw: Mapping[str, Any], place: Place, configuration: int
    ) -> tuple[RuleCollection, ...]:
        names: Names[None] = Names("rule collection", self._report)
        result = []
        for index, entry in enumerate(raw.get("ruleCollections") or ()):
            if entry is None:
                continue
            at = place.at("ruleCollections", index)
            name: str | None = entry.get("name")
            if name is not None:
                names.declare(name, at, None)
            rules = self._rules(entry.get("rules") or (), at.at("rules"))
            networks = self._applies_to(entry.get("appliesTo") or (), at, configuration)
            for network in networks:
                self._of_network.setdefault(network, []).extend(
                    PlacedRule(rule, where, at) for rule, where in rules
                )
            if name is not None:
                result.append(RuleCollection(name, networks, tuple(rule for rule, _ in rules)))
        return tuple(result)

    def _applies_to(
        self, entries: Sequence[str | None], place: Place, configuration: int
    ) -> tuple[str, ...]:
        """The networks of one collection.

        Source:
            Azure Virtual Network Manager FAQ: "You can deploy only one security admin configuration
            to a region." Several network managers could bring several; which of them is first
            depends on scopes that documents do not have.
        """
        found: dict[str, None] = {}
        for index, entry in enumerate(entries):
            network = self._networks.resolve(entry, place, "appliesTo", index)
            if network is None:
                continue
            at = place.at("appliesTo", index)
            other, where = self._configuration_of.setdefault(network.name, (configuration, at))
            if network.name in found:
                self._report.add(at, f"{show(network.name)} is given twice", "keep one of them")
            elif other != configuration:
                self._report.add(
                    at,
                    f"virtual network {show(network.name)} has rules of another security admin"
                    f" configuration, by {self._report.locate(where, at)}",
                    _ONE_CONFIGURATION,
                )
            found[network.name] = None
        return tuple(found)

    def _rules(
        self, raw_rules: Sequence[Mapping[str, Any] | None], place: Place
    ) -> list[tuple[SecurityAdminRule, Place]]:
        """One collection's rules.

        Source:
            Azure REST, AdminPropertiesFormat: "The priority number must be unique for each rule in
            the collection." Of security rules it says the same, and means those of one direction.
        """
        names: Names[None] = Names("security admin rule", self._report)
        by_priority: dict[tuple[object, int], Place] = {}
        result = []
        for index, raw in enumerate(raw_rules):
            if raw is None:
                continue
            at = place.at(index)
            name: str | None = raw.get("name")
            if name is not None:
                names.declare(name, at, None)
            priority: int | None = raw.get("priority")
            direction = raw.get("direction")
            if priority is not None and direction is not None:
                first = by_priority.setdefault((direction, priority), at)
                if first is not at:
                    self._report.add(
                        at.at("priority"),
                        f"{direction.value} priority {show(priority)} is already taken by"
                        f" {self._report.locate(first, at)}",
                        "give each rule of a collection and direction its own priority",
                    )
            rule = self._rule(raw, at)
            if rule is not None:
                result.append((rule, at))
        return result

    def _rule(self, raw: Mapping[str, Any], place: Place) -> SecurityAdminRule | None:
        sources = self._addresses(raw.get("sources") or (), place.at("sources"))
        destinations = self._addresses(raw.get("destinations") or (), place.at("destinations"))
        # Absent ones have been reported by the table of fields.
        source_ports = destination_ports = None
        if "sourcePortRanges" in raw:
            source_ports = read_ports(raw, SOURCE, place, self._report)
        if "destinationPortRanges" in raw:
            destination_ports = read_ports(raw, DESTINATION, place, self._report)
        check_portless(raw, place, self._report)
        name, priority, direction = raw.get("name"), raw.get("priority"), raw.get("direction")
        access, protocol = raw.get("access"), raw.get("protocol")
        if (
            name is None
            or priority is None
            or direction is None
            or access is None
            or protocol is None
            or sources is None
            or destinations is None
            or source_ports is None
            or destination_ports is None
        ):
            return None
        return SecurityAdminRule(
            name,
            priority,
            direction,
            access,
            protocol,
            sources,
            source_ports,
            destinations,
            destination_ports,
            raw.get("description") or "",
        )

    def _addresses(
        self, entries: Sequence[RuleEntry | None], place: Place
    ) -> tuple[AdminAddress, ...] | None:
        """One side; prefixes and tags may stand together, each adds to what is matched.

        Source:
            Azure, Security admin rules: "security admin rules currently don't support the
            AzurePlatformDNS, AzurePlatformIMDS, and AzurePlatformLKM service tags."
        """
        found: list[AdminAddress] = []
        for index, entry in enumerate(entries):
            at = place.at(index)
            match entry:
                case None:
                    continue
                case Prefix():
                    found.append(PrefixList((entry,)))
                case UnresolvedTag():
                    tag = self._tags.resolve(entry, at)
                    if tag is not None:
                        found.append(tag)
                case PlatformTag(service):
                    self._report.add(
                        at,
                        f"security admin rules do not support {service.value}",
                        "write its addresses, or deny it in a network security group",
                    )
                case AnyAddress() if len(entries) > 1:
                    self._report.add(at, "'*' in a list of several", "write '*' alone")
                case _:
                    found.append(entry)
        return tuple(found) if found and len(found) == len(entries) else None
