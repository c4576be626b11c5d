"""How subnets see their virtual networks, and what resolves rules for each view."""

from __future__ import annotations

from dataclasses import replace

from nsgd.model.address import Prefix
from nsgd.model.network import NetworkModel, NetworkSecurityGroup, VirtualNetwork
from nsgd.model.rule import (
    GroupMembers,
    PlatformTag,
    PublishedTag,
    RuleAddress,
    ServiceTag,
    TagAddress,
)
from nsgd.policy.effective import NetworkResolver, SharedAddresses

# A virtual network's name, and the routes of its own that a subnet sees it with.
View = tuple[str, tuple[Prefix, ...]]

# What of a model the addresses of rules depend on.
_DECIDING = (
    "virtual_networks",
    "network_interfaces",
    "scale_sets",
    "service_tags",
    "platform",
    "dialect",
)
_COMPUTED: frozenset[RuleAddress] = frozenset(TagAddress(tag) for tag in ServiceTag)


class Views:
    """How each subnet sees its virtual network; subnets with routes of their own see it so."""

    def __init__(self, model: NetworkModel, before: Views | None = None) -> None:
        """Prepare for the rules of *model*.

        *are_same* says whether rules stand for what they stood for in *before*, whose resolvers are
        then taken over.
        """
        # Without its rules: later models may have the same networks and others.
        self._model = replace(model, network_security_groups=(), security_admin_configurations=())
        self._shared = SharedAddresses(model)
        self._seen: dict[View, VirtualNetwork] = {}
        self._resolvers: dict[View, NetworkResolver] = {}
        self.of_subnet: dict[tuple[str, str], View] = {}
        self.are_same = before is not None and all(
            is_equal(getattr(model, name), getattr(before._model, name)) for name in _DECIDING
        )
        for network in model.virtual_networks:
            self._seen[network.name, ()] = network
            for subnet in network.subnets:
                view = network.name, subnet.routes
                self._seen.setdefault(view, network.seen_from(subnet))
                self.of_subnet[network.name, subnet.name] = view
        if before is not None and self.are_same:
            self._resolvers = {
                view: known.renewed(self._shared) for view, known in before._resolvers.items()
            }

    def resolver(self, view: View) -> NetworkResolver:
        """What resolves rules in a view."""
        found = self._resolvers.get(view)
        if found is None:
            found = self._resolvers[view] = NetworkResolver(
                self._model, self._seen[view], self._shared
            )
        return found

    def resolves_alike(self, view: View, group: NetworkSecurityGroup, other: Views) -> bool:
        """Whether all rules of a group stand for the same here and in other views."""
        before = other._resolvers.get(view)
        if before is None:
            return False
        resolver = self.resolver(view)
        sides = _COMPUTED | {
            side
            for rule in group.security_rules
            for side in (rule.source, rule.destination)
            if isinstance(side, GroupMembers | PublishedTag | PlatformTag)
        }
        return (
            is_equal(resolver.dialect, before.dialect)
            and resolver.exemptions == before.exemptions
            and all(resolver.addresses(side) == before.addresses(side) for side in sides)
        )


def is_equal(one: object, other: object) -> bool:
    """Equality that is quick for one object."""
    return one is other or one == other
