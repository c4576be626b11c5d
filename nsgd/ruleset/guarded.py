"""What a policy guards, without its rules: enough to close it where the policy cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

from nsgd.model.address import Prefix
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonRole, DaemonSettings, Failsafe


@dataclass(frozen=True, slots=True)
class Guarded:
    """Whose traffic, what passes ahead of everything, and the declared subnets and links."""

    roles: frozenset[DaemonRole] = frozenset({DaemonRole.GATEWAY})
    failsafe: tuple[Failsafe, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    links: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: NetworkModel, settings: DaemonSettings) -> Guarded:
        """Of a policy."""
        prefixes = {
            prefix
            for network in model.virtual_networks
            for subnet in network.subnets
            for prefix in subnet.address_prefixes
        }
        return cls(
            settings.roles,
            settings.failsafe,
            tuple(sorted(prefixes, key=lambda each: (each.version, each.network, each.length))),
            tuple(i.link for i in model.network_interfaces if i.link),
        )
