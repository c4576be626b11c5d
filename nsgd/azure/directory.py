"""Finds resources by id, and gives each the name that it has in native documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nsgd.azure.fields import fold, only_spelling, text_of
from nsgd.azure.findings import Findings, shown
from nsgd.azure.origins import Written
from nsgd.azure.recognise import KINDS, PARTS, SUBNET, VIRTUAL_NETWORK, Resource
from nsgd.azure.resource_id import ResourceId, parse_resource_id


class Reference(NamedTuple):
    """A reference in one resource to another: its native name, and the resource where loaded."""

    name: str
    at: Written
    resource: Resource | None = None


class Directory:
    """The resources of all documents; what is a part of another has joined it.

    Source:
        docs/azure-reference.md, choice 16: resources are named ``group/name`` where two would
        clash, else by name.
    """

    def __init__(self, resources: Sequence[Resource], findings: Findings) -> None:
        self._findings = findings
        self._by_name: dict[tuple[str, str], list[Resource]] = {}
        self._by_place: dict[_Place, list[Resource]] = {}
        self._texts: dict[tuple[str, str], dict[str, list[ResourceId]]] = {}
        self.resources: list[Resource] = []
        for resource in resources:
            if fold(resource.id.type) in KINDS:
                self._add(resource)
        for same_name in self._by_name.values():
            groups = {fold(resource.id.group or "") for resource in same_name}
            for resource in same_name:
                clashes = len(groups) > 1 and resource.id.group is not None
                own = _own_name(resource)
                resource.name = f"{resource.id.group}/{own}" if clashes else own
        for resource in resources:
            if fold(resource.id.type) in PARTS:
                self._join(resource)

    def _add(self, resource: Resource) -> None:
        key = (fold(resource.id.type), fold(resource.id.name))
        same_name = self._by_name.setdefault(key, [])
        if same_name and self._is_repeated(resource, key):
            self._findings.note(resource.at, "is given before, just the same")
            return
        same_name.append(resource)
        self._by_place.setdefault(_place(resource.id), []).append(resource)
        self.resources.append(resource)

    def _is_repeated(self, resource: Resource, key: tuple[str, str]) -> bool:
        # By their texts: comparing each with each would cost the square of how many there are.
        if key not in self._texts:
            self._texts[key] = {}
            for other in self._by_name[key]:
                self._texts[key].setdefault(text_of(other.value), []).append(other.id)
        same_text = self._texts[key].setdefault(text_of(resource.value), [])
        if any(other.may_be(resource.id) for other in same_text):
            return True
        same_text.append(resource.id)
        return False

    def _join(self, resource: Resource) -> None:
        parent = resource.id.parent
        found = self._find_one(parent, resource.at)
        if found is not None:
            key = PARTS[fold(resource.id.type)]
            found.parts.setdefault(key, []).append((resource.value, resource.at))
        elif self._findings.is_complete:
            self._refuse_missing(parent, resource.at, "that this is a part of")

    def _find(self, resource_id: ResourceId) -> list[Resource]:
        """That of just this id, else those that say less, or that the id says less of."""
        exact = self._by_place.get(_place(resource_id))
        if exact:
            return exact[:1]
        if resource_id.group is None or resource_id.subscription is None:
            named = self._by_name.get((fold(resource_id.type), fold(resource_id.name)), [])
            return [resource for resource in named if resource.id.may_be(resource_id)]
        less = (
            resource_id._replace(group=None),
            resource_id._replace(subscription=None),
            resource_id._replace(group=None, subscription=None),
        )
        return [self._by_place[p][0] for p in map(_place, less) if p in self._by_place]

    def _find_one(self, resource_id: ResourceId, at: Written) -> Resource | None:
        """The one that is meant; that it may be several is refused."""
        found = self._find(resource_id)
        if not found:
            return None
        # Of one native name there may be only one, which others see to.
        other = next((other for other in found if fold(other.name) != fold(found[0].name)), None)
        if other is not None:
            self._findings.refuse(
                at,
                f"{_what(resource_id.type)} {shown(resource_id.name)}, that this belongs to or"
                " refers to, may be either of",
                "give each of them its resource id",
                found[0].at,
                other.at,
            )
        return found[0]

    def has(self, resource_id: ResourceId) -> bool:
        """Tell whether a resource is among the documents."""
        return bool(self._find(resource_id))

    def resolve(
        self, value: object, resource_type: str, at: Written, *, is_azure_only: bool = False
    ) -> Reference | None:
        """Follow ``{"id": ...}``; None where it is no such reference, which is then noted.

        What no document of Azure's JSON has keeps its last name: a native document may have it,
        unless *is_azure_only*, and whoever reads the result reports it if not.
        """
        key = only_spelling(value, "id", at, self._findings) if isinstance(value, dict) else None
        if key is None:
            self._findings.refuse(
                at, f"{shown(value)} is not a reference", "write an object with the resource's id"
            )
            return None
        assert isinstance(value, dict)
        at = at.at(key)
        text = value[key]
        resource_id = parse_resource_id(text) if isinstance(text, str) else None
        if resource_id is None or not resource_id.is_type(resource_type):
            self._findings.refuse(
                at,
                f"{shown(text)} is not the id of a {_what(resource_type)}",
                f"write /subscriptions/.../providers/{resource_type}/...",
            )
            return None
        if resource_type == SUBNET:
            network = self._resolve(resource_id.parent, VIRTUAL_NETWORK, at, False)
            return Reference(f"{network.name}/{resource_id.name}", at)
        return self._resolve(resource_id, resource_type, at, is_azure_only)

    def _resolve(
        self, resource_id: ResourceId, resource_type: str, at: Written, is_azure_only: bool
    ) -> Reference:
        found = self._find_one(resource_id, at)
        if found is not None:
            return Reference(found.name, at, found)
        others = self._by_name.get((fold(resource_type), fold(resource_id.name)))
        if self._findings.is_complete and (others or is_azure_only):
            self._refuse_missing(resource_id, at, "that this refers to")
        return Reference(resource_id.name, at)

    def _refuse_missing(self, resource_id: ResourceId, at: Written, why: str) -> None:
        what = _what(resource_id.type)
        group = "" if resource_id.group is None else f" of resource group {resource_id.group}"
        message = f"{what} {shown(resource_id.name)}{group}, {why}, is not among the documents"
        others = self._by_name.get((fold(resource_id.type), fold(resource_id.name)))
        if others:
            where = others[0].id
            message += f"; there is one in group {where.group} of subscription {where.subscription}"
        way_out = f"load the {what} too, or correct the id"
        self._findings.refuse(at, message, self._findings.way_out_of_missing(at, way_out))


_Place = tuple[str, tuple[str, ...], str | None, str | None]


def _place(of: ResourceId) -> _Place:
    """All that an id says, so that ids are equal where it is."""
    group = None if of.group is None else fold(of.group)
    subscription = None if of.subscription is None else fold(of.subscription)
    return fold(of.type), tuple(map(fold, of.names)), group, subscription


def _own_name(resource: Resource) -> str:
    # As the resource spells it: ids are often upper case.
    name = resource.value.get("name")
    return name if isinstance(name, str) and name else resource.id.name


def _what(resource_type: str) -> str:
    if resource_type == SUBNET:
        return "subnet"
    return KINDS.get(fold(resource_type), resource_type)
