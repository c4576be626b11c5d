"""Security admin rules as the tables that stand ahead of the groups of a whole virtual network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from nsgd.model.admin import (
    AdminAccess,
    AdminAddress,
    IntentPolicyNetworks,
    SecurityAdminRule,
)
from nsgd.model.network import NetworkModel, Subnet, VirtualNetwork
from nsgd.model.rule import Access, Direction
from nsgd.policy.address_set import AddressSet
from nsgd.policy.effective import (
    GO_ON,
    EffectiveSecurityRule,
    NetworkResolver,
    RuleKind,
    merged_ports,
)
from nsgd.policy.table import CompiledTable

ADMIN_PREFIX = f"{RuleKind.ADMIN.value}/"


@dataclass(frozen=True, slots=True)
class AppliedAdminRule:
    """A rule as it applies to one virtual network, with the names of what it stands in."""

    name: str  # securityAdminRules/NAME, as it is reported
    rule: SecurityAdminRule
    configuration: str
    collection: str


class AdminRules:
    """The security admin rules of a model, by virtual network; *every* has them all in order.

    Reports name a rule by its name alone. Where two of the model have one, the collection's name
    goes before it, and the configuration's where that is not enough.
    """

    def __init__(self, model: NetworkModel) -> None:
        self._by_network: dict[str, list[AppliedAdminRule]] = {}
        every: list[AppliedAdminRule] = []
        networks = {network.name: network for network in model.virtual_networks}
        names = _Names(model)
        for configuration in model.security_admin_configurations:
            for collection in configuration.rule_collections:
                applied = [
                    AppliedAdminRule(
                        ADMIN_PREFIX
                        + names.shortest(configuration.name, collection.name, rule.name),
                        rule,
                        configuration.name,
                        collection.name,
                    )
                    for rule in collection.rules
                ]
                every += applied
                for network in collection.applies_to:
                    self._by_network.setdefault(network, []).extend(
                        each
                        for each in applied
                        if _applies(
                            each.rule, networks[network], configuration.intent_policy_networks
                        )
                    )
        self.every = tuple(every)
        for found in self._by_network.values():
            # Of two rules of one priority, which agree then, the document's first is named.
            found.sort(key=lambda each: each.rule.priority)

    def of_network(
        self, network: str, direction: Direction | None = None
    ) -> tuple[AppliedAdminRule, ...]:
        """The rules of one virtual network by priority, of one direction or of both."""
        return tuple(
            each
            for each in self._by_network.get(network, ())
            if direction in (None, each.rule.direction)
        )

    def effective(
        self, resolver: NetworkResolver, network: str, direction: Direction
    ) -> tuple[EffectiveSecurityRule, ...]:
        """The rules of one direction in the order in which they are tried; empty for none.

        The last one is silent: what no rule matches goes on to the groups.

        Source:
            Azure, Security admin rules: "Security admin rules have a higher priority than NSGs and
            are evaluated before NSG rules"; "The lower the value, the higher the priority of the
            rule."
        """
        applied = self.of_network(network, direction)
        if not applied:
            return ()
        return (*(_resolve(each, resolver) for each in applied), GO_ON)


def is_exempt(subnet: Subnet) -> bool:
    """Tell whether no security admin rule is applied in a subnet, for what is in it.

    Source:
        Azure, Security admin rules, Nonapplication at subnet level.
    """
    return any(not service.exempts_network for service in subnet.services)


def is_admin_table(table: CompiledTable) -> bool:
    """Tell whether a compiled table is one of security admin rules."""
    return table.rule_names[0].startswith(ADMIN_PREFIX)


def _applies(
    rule: SecurityAdminRule, network: VirtualNetwork, with_policies: IntentPolicyNetworks
) -> bool:
    """Tell whether a rule is applied in a network at all.

    Source:
        Azure, Security admin rules, Nonapplication at virtual network level: AllowRulesOnly has
        "only Allow rules" applied, and "Deny rules aren't applied". AlwaysAllow denies nothing.
    """
    services = (service for subnet in network.subnets for service in subnet.services)
    if not any(service.exempts_network for service in services):
        return True
    match with_policies:
        case IntentPolicyNetworks.NONE:
            return False
        case IntentPolicyNetworks.ALL:
            return True
        case IntentPolicyNetworks.ALLOW_RULES_ONLY:
            return rule.access is not AdminAccess.DENY


def _resolve(applied: AppliedAdminRule, resolver: NetworkResolver) -> EffectiveSecurityRule:
    rule = applied.rule
    return EffectiveSecurityRule(
        name=applied.name,
        priority=rule.priority,
        access=Access.DENY if rule.access is AdminAccess.DENY else Access.ALLOW,
        protocol=rule.protocol,
        source=admin_addresses(rule.sources, resolver),
        source_ports=merged_ports(rule.source_ports),
        destination=admin_addresses(rule.destinations, resolver),
        destination_ports=merged_ports(rule.destination_ports),
        kind=RuleKind.ADMIN,
        is_final=rule.access is AdminAccess.ALWAYS_ALLOW,
    )


def admin_addresses(entries: tuple[AdminAddress, ...], resolver: NetworkResolver) -> AddressSet:
    """What is in any of the entries of one side."""
    if len(entries) == 1:
        return resolver.addresses(entries[0])
    return AddressSet.union(resolver.addresses(entry) for entry in entries)


class _Names:
    """Counts names, which compare without case, to find what tells each rule from all others."""

    def __init__(self, model: NetworkModel) -> None:
        self._count: Counter[str] = Counter()
        for configuration in model.security_admin_configurations:
            for collection in configuration.rule_collections:
                for rule in collection.rules:
                    self._count[rule.name.lower()] += 1
                    self._count[f"{collection.name}/{rule.name}".lower()] += 1

    def shortest(self, configuration: str, collection: str, rule: str) -> str:
        """The shortest of the three names that no other rule has."""
        for name in (rule, f"{collection}/{rule}"):
            if self._count[name.lower()] == 1:
                return name
        return f"{configuration}/{collection}/{rule}"
