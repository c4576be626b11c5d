"""Finds the resources of a document: one, a list of them, or a page of a list."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nsgd.azure.fields import fold, only_spelling, spellings
from nsgd.azure.findings import Findings, shown
from nsgd.azure.origins import Written
from nsgd.azure.resource_id import ResourceId, parse_resource_id

SECURITY_GROUP = "Microsoft.Network/networkSecurityGroups"
VIRTUAL_NETWORK = "Microsoft.Network/virtualNetworks"
SUBNET = f"{VIRTUAL_NETWORK}/subnets"
INTERFACE = "Microsoft.Network/networkInterfaces"
APPLICATION_GROUP = "Microsoft.Network/applicationSecurityGroups"
ROUTE_TABLE = "Microsoft.Network/routeTables"
SCALE_SET = "Microsoft.Compute/virtualMachineScaleSets"
SCALE_SET_INTERFACE = f"{SCALE_SET}/virtualMachines/networkInterfaces"

KINDS: dict[str, str] = {
    fold(SECURITY_GROUP): "network security group",
    fold(VIRTUAL_NETWORK): "virtual network",
    fold(INTERFACE): "network interface",
    fold(APPLICATION_GROUP): "application security group",
    fold(ROUTE_TABLE): "route table",
    fold(SCALE_SET): "scale set",
}
# Parts of a resource that stand by themselves: the key of their parent that lists them.
PARTS: dict[str, str] = {
    fold(f"{SECURITY_GROUP}/securityRules"): "securityRules",
    fold(f"{SECURITY_GROUP}/defaultSecurityRules"): "defaultSecurityRules",
    fold(SUBNET): "subnets",
    fold(f"{VIRTUAL_NETWORK}/virtualNetworkPeerings"): "virtualNetworkPeerings",
    fold(f"{ROUTE_TABLE}/routes"): "routes",
}

_PEERING = fold(f"{VIRTUAL_NETWORK}/virtualNetworkPeerings")

# The keys of native documents; nsgd.config.schema says what is in each.
NATIVE_SECTIONS = frozenset(
    (
        "applicationSecurityGroups",
        "cloudServices",
        "daemon",
        "dialect",
        "limits",
        "networkInterfaces",
        "networkSecurityGroups",
        "platformAddresses",
        "scaleSets",
        "securityAdminConfigurations",
        "serviceTags",
        "subscription",
        "virtualMachines",
        "virtualNetworks",
    )
)

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9]+)+(?:/[A-Za-z0-9]+)+")
_PAGE_KEYS = frozenset(("value", "nextlink", "count"))
# What az network nsg create and its like print around the resource.
_CREATED_KEYS = frozenset(("newnsg", "newvnet", "newnic", "vmss"))
_EXPORT = "write what 'az network nsg show' or Azure's REST interface answers"


@dataclass(slots=True, eq=False)
class Resource:
    """One resource as it stands in a document, of any type.

    *name* is the name in native documents, once all are known. *parts* are resources that stand
    elsewhere and belong in a list of this one, by that list's key.
    """

    id: ResourceId
    value: dict[str, object]
    at: Written
    name: str = ""
    parts: dict[str, list[tuple[object, Written]]] = field(default_factory=dict)


def is_azure(tree: object) -> bool:
    """Tell whether a document is Azure's JSON: no native document looks like it."""
    if isinstance(tree, list):
        return True
    if not isinstance(tree, dict) or "$schema" in tree or _has_native_section(tree):
        return False
    return _is_resource(tree) or _is_page(tree) or _is_created(tree)


def _has_native_section(tree: dict[str, object]) -> bool:
    """Tell whether a document declares something by itself.

    az prints what a resource belongs to beside its own keys, such as the networkInterfaces of a
    group: lists of ids, which no native list has.
    """
    return any(
        entry not in (None, "", []) and not _has_only_ids(entry)
        for key, entry in tree.items()
        if key in NATIVE_SECTIONS
    )


def _has_only_ids(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, dict) and spellings(entry, "id") for entry in value
    )


def _is_resource(value: dict[str, object]) -> bool:
    return (
        any(
            isinstance(text := value[key], str) and _TYPE.fullmatch(text)
            for key in spellings(value, "type")
        )
        or any(
            isinstance(text := value[key], str) and fold(text[:15]) == "/subscriptions/"
            for key in spellings(value, "id")
        )
        or any(isinstance(value[key], dict) for key in spellings(value, "properties"))
    )


def _is_page(value: dict[str, object]) -> bool:
    return isinstance(value.get("value"), list) and all(
        fold(key) in _PAGE_KEYS or key.startswith("@") for key in value
    )


def _is_created(value: dict[str, object]) -> bool:
    if len(value) != 1:
        return False
    key, inner = next(iter(value.items()))
    return fold(key) in _CREATED_KEYS and isinstance(inner, dict) and _is_resource(inner)


def find_resources(tree: object, document: int, findings: Findings) -> list[Resource]:
    """All resources of a document that is_azure() is true of, in order."""
    found: list[Resource] = []
    # Not recursive: lists of lists come from joining several answers, and may be deep in a file
    # that means harm.
    waiting: list[tuple[object, Written]] = [(tree, Written(document))]
    while waiting:
        value, at = waiting.pop()
        if isinstance(value, list):
            waiting.extend((entry, at.at(i)) for i, entry in reversed(list(enumerate(value))))
        elif not isinstance(value, dict):
            findings.refuse(at, f"{shown(value)} is not a resource", _EXPORT)
        elif _is_page(value):
            _check_last_page(value, at, findings)
            waiting.append((value["value"], at.at("value")))
        elif _is_created(value):
            key, inner = next(iter(value.items()))
            waiting.append((inner, at.at(key)))
        else:
            resource = _identify(value, at, findings)
            if resource is not None:
                found.append(resource)
    return found


def _check_last_page(value: dict[str, object], at: Written, findings: Findings) -> None:
    for key, entry in value.items():
        if fold(key).rpartition(".")[2] == "nextlink" and entry:
            findings.refuse(
                at.at(key),
                "the list goes on at another page",
                "fetch all pages, as 'az network nsg list' does, and remove nextLink",
            )


def _identify(value: dict[str, object], at: Written, findings: Findings) -> Resource | None:
    keys = [only_spelling(value, key, at, findings) for key in ("type", "id", "name")]
    type_text, id_text, name = (None if key is None else value[key] for key in keys)
    if isinstance(name, str) and "name" not in value:
        value = {**value, "name": name}  # where all others look for it
    resource_id = parse_resource_id(id_text) if isinstance(id_text, str) else None
    if not isinstance(type_text, str) or not type_text:
        if resource_id is None:
            findings.refuse(
                at, "it has neither a type nor a resource id: what it is cannot be told", _EXPORT
            )
            return None
        type_text = resource_id.type
    is_known = fold(type_text) in KINDS or fold(type_text) in PARTS
    if resource_id is None:
        if is_known and id_text:
            findings.refuse(
                at.at("id"), f"{shown(id_text)} is not a resource id", "correct or remove it"
            )
        names = tuple(name.split("/")) if isinstance(name, str) and name else ()
        if is_known and len(names) != type_text.count("/"):
            findings.refuse(
                at.at("name"),
                f"{shown(name)} does not name a {type_text}",
                "write a name for each part of the type, or add the resource id",
            )
            return None
        if len(names) > 1:
            value = {**value, "name": names[-1]}  # templates name a part PARENT/NAME
        return Resource(ResourceId(None, None, type_text, names), value, at)
    if is_known and not resource_id.is_type(type_text):
        findings.refuse(
            at.at("type"), f"{shown(type_text)} is not the type in its id", "correct one of them"
        )
    elif (
        is_known
        # A peering's name decides nothing, and examples of Azure's own disagree with their ids.
        and fold(type_text) != _PEERING
        and isinstance(name, str)
        and name
        and fold(name) != fold(resource_id.name)
    ):
        findings.refuse(
            at.at("name"), f"{shown(name)} is not the name in its id", "correct one of them"
        )
    return Resource(resource_id, value, at)
