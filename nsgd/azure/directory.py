"""Finds resources by id, and gives each the name that it has in native documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nsgd.azure.fields import fold
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
        azure-semantics.md 13.16: resources are named ``group/name`` where two would clash, else
        by name.
    """

    def __init__(self, resources: Sequence[Resource], findings: Findings) -> None:
        self._findings = findings
        self._by_name: dict[tuple[str, str], list[Resource]] = {}
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
        for other in same_name:
            if other.id.may_be(resource.id) and _equal(other.value, resource.value):
                self._findings.note(resource.at, "is given before, just the same")
                return
        same_name.append(resource)
        self.resources.append(resource)

    def _join(self, resource: Resource) -> None:
        parent = resource.id.parent
        found = self._find(parent)
        if found:
            key = PARTS[fold(resource.id.type)]
            found[0].parts.setdefault(key, []).append((resource.value, resource.at))
        elif self._findings.is_complete:
            self._refuse_missing(parent, resource.at, "that this is a part of")

    def _find(self, resource_id: ResourceId) -> list[Resource]:
        named = self._by_name.get((fold(resource_id.type), fold(resource_id.name)), [])
        return [resource for resource in named if resource.id.may_be(resource_id)]

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
        key = _id_key(value)
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
        found = self._find(resource_id)
        if found:
            return Reference(found[0].name, at, found[0])
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
        self._findings.refuse(at, message, f"load the {what} too, or correct the id")


def _own_name(resource: Resource) -> str:
    # As the resource spells it: ids are often upper case.
    name = resource.value.get("name")
    return name if isinstance(name, str) and name else resource.id.name


def _what(resource_type: str) -> str:
    if resource_type == SUBNET:
        return "subnet"
    return KINDS.get(fold(resource_type), resource_type)


def _id_key(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((key for key in value if fold(key) == "id"), None)


def _equal(one: object, other: object) -> bool:
    try:
        return one == other
    except RecursionError:
        return False
