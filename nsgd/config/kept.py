"""The parts of the last good load, each with what it was assembled from.

A part is taken over where all that it was made from is the same: it was without a mistake then, and
is now. What is between parts is checked again. A load that finds a mistake anywhere is assembled
once more without any part, so what it reports never depends on what was loaded before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from nsgd.config.groups import Group
from nsgd.config.kept_interfaces import KeptInterfaces
from nsgd.config.names import Names
from nsgd.config.rule_tags import KeptTags, RuleTags
from nsgd.config.sections import Section
from nsgd.model.network import NetworkModel, NetworkSecurityGroup
from nsgd.model.rule import GroupMembers, PublishedTag


class KeptGroup(NamedTuple):
    """A network security group, and what its rules refer to."""

    raw: Mapping[str, Any]  # as the table of fields read it; this very object
    group: NetworkSecurityGroup
    networks: tuple[tuple[str, str | None], ...]  # of each application security group, by name
    tags: tuple[str, ...]  # of Microsoft's file, in the order of first use


@dataclass(frozen=True, slots=True)
class Kept:
    """What one load was assembled to."""

    context: object = None  # what all groups depend on: limits and dialect
    groups: Mapping[int, KeptGroup] = field(default_factory=dict)  # by identity of *raw*
    interfaces: KeptInterfaces | None = None
    tags: KeptTags | None = None
    model: NetworkModel | None = None
    networks: Mapping[str, str | None] = field(default_factory=dict)  # of application groups

    def taker(self, context: object, groups: Names[Group], tags: RuleTags) -> GroupTaker:
        """What takes groups over in a load of this context, whose interfaces have joined."""
        is_same = context == self.context
        networks = {group.name: group.virtual_network for group in groups.values()}
        known = self.groups if is_same else {}
        return GroupTaker(context, known, networks, networks == self.networks, tags)

    def unified(self, model: NetworkModel) -> NetworkModel:
        """The model, with this one's objects where they are equal: comparing them is then quick."""
        before = self.model
        if before is None:
            return model
        values = {}
        for entry in fields(NetworkModel):
            old, new = getattr(before, entry.name), getattr(model, entry.name)
            values[entry.name] = old if old is new or old == new else new
        return NetworkModel(**values)


NOTHING_KEPT = Kept()


class GroupTaker:
    """Takes over network security groups whose fields and references are the same."""

    def __init__(
        self,
        context: object,
        groups: Mapping[int, KeptGroup],
        networks: Mapping[str, str | None],
        are_networks_same: bool,
        tags: RuleTags,
    ) -> None:
        """*networks* are those of the application security groups, by name."""
        self.context, self.networks = context, networks
        self._groups = groups
        self._are_networks_same = are_networks_same
        self._tags = tags

    def take(self, raw: Mapping[str, Any]) -> NetworkSecurityGroup | None:
        """The group that the same fields were assembled to; None where it is to be assembled."""
        found = self._groups.get(id(raw))
        if found is None:
            return None
        networks = self.networks
        for name, network in () if self._are_networks_same else found.networks:
            if name not in networks or networks[name] != network:
                return None
        return found.group if self._tags.take_again(found.tags) else None

    def keep(
        self, sections: Sequence[Section], groups: Iterable[NetworkSecurityGroup]
    ) -> dict[int, KeptGroup]:
        """What to keep of a load without a mistake: each section has become a group."""
        result = {}
        for (_, raw), group in zip(sections, groups, strict=True):
            found = self._groups.get(id(raw))
            if found is None or found.group is not group:
                found = self._kept(raw, group)
            result[id(raw)] = found
        return result

    def _kept(self, raw: Mapping[str, Any], group: NetworkSecurityGroup) -> KeptGroup:
        members: dict[str, None] = {}
        tags: dict[str, None] = {}
        for rule in group.security_rules:
            for side in (rule.source, rule.destination):
                if isinstance(side, GroupMembers):
                    members.update(dict.fromkeys(side.application_security_groups))
                elif isinstance(side, PublishedTag):
                    tags[side.name] = None
        networks = tuple((name, self.networks[name]) for name in members)
        return KeptGroup(raw, group, networks, tuple(tags))
