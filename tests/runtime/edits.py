"""Edits of a policy that is spread over documents; each changes one thing, for better or worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.azure.resources import nsg, rule
from tests.oracle.choose import RandomChooser, Written, chance, pick
from tests.oracle.generate import Case
from tests.oracle.mistakes import spoiled

LISTS = ("networkInterfaces", "networkSecurityGroups", "applicationSecurityGroups", "scaleSets")
VIRTUAL_MACHINE = {
    "type": "Microsoft.Compute/virtualMachines",
    "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm",
    "name": "vm",
}


@dataclass
class State:
    """A policy that is being edited, and how it is spread over documents."""

    document: Written
    tag_files: dict[str, Any]
    salt: int = 0  # which document an entry is in
    azure: int = 0  # how many rules the group of a document in Azure's JSON has; 0: no document

    def texts(self) -> dict[str, str]:
        """The documents by file name."""
        parts: dict[str, Written] = {"base.json": {}}
        for key, value in self.document.items():
            if key not in LISTS:
                parts["base.json"][key] = value
                continue
            for entry in value or []:
                name = entry.get("name", "") if isinstance(entry, dict) else ""
                place = (sum(map(ord, str(name).lower())) + self.salt) % 3
                parts.setdefault(f"{key}{place}.json", {}).setdefault(key, []).append(entry)
        texts = {name: json.dumps(part) for name, part in parts.items() if part}
        if self.azure:
            rules = [rule(name=f"r{i}", priority=100 + i) for i in range(self.azure)]
            texts["azure.json"] = json.dumps([nsg(*rules, name="of-azure"), VIRTUAL_MACHINE])
        return texts


# -- edits: each changes one thing; what comes out may be a mistake ------------------------


def _entries(state: State, key: str) -> list[Any]:
    return state.document.setdefault(key, []) or []


def _rules(state: State) -> list[Written]:
    return [
        each for group in _entries(state, LISTS[1]) for each in group.get("securityRules") or []
    ]


def change_rule(chooser: RandomChooser, state: State) -> None:
    """Its priority, which may be taken, its access or only its description."""
    if rules := _rules(state):
        changed = pick(chooser, rules)
        match chooser.integer(3):
            case 0:
                changed["priority"] = 100 + chooser.integer(60)
            case 1:
                changed["access"] = pick(chooser, ("Allow", "Deny"))
            case 2:
                changed["description"] = f"changed {chooser.integer(9)}"
            case _:
                changed["direction"] = pick(chooser, ("Inbound", "Outbound"))


def remove_rule(chooser: RandomChooser, state: State) -> None:
    """Perhaps the only one that names a tag."""
    groups = [group for group in _entries(state, LISTS[1]) if group.get("securityRules")]
    if groups:
        rules = pick(chooser, groups)["securityRules"]
        rules.pop(chooser.integer(len(rules) - 1))


def rename(chooser: RandomChooser, state: State) -> None:
    """A group of either kind, everywhere or at its declaration, or in its case only."""
    entries = _entries(state, pick(chooser, LISTS[1:3]))
    if not entries:
        return
    entry = pick(chooser, entries)
    old = entry["name"]
    new = pick(chooser, (old.upper(), f"{old}x"))
    if chance(chooser, 70):
        _replace(state.document, old, new)
    entry["name"] = new


def _replace(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            value[key] = _replace(inner, old, new)
    elif isinstance(value, list):
        value[:] = [_replace(inner, old, new) for inner in value]
    elif isinstance(value, str) and value.lower() == old.lower():
        return new
    return value


def move_interface(chooser: RandomChooser, state: State) -> None:
    """Two change places, or one gets what the other has for itself: address, link or name."""
    interfaces = _entries(state, LISTS[0])
    if len(interfaces) < 2:
        return
    one = pick(chooser, interfaces)
    other = pick(chooser, [each for each in interfaces if each is not one])
    keys = pick(chooser, (("subnet", "privateIPAddresses"), ("link",), ("name",)))
    swap = chance(chooser, 80)
    for key in keys:
        first, second = one.get(key), other.get(key)
        one[key] = second
        if swap:
            other[key] = first


def change_interface(chooser: RandomChooser, state: State) -> None:
    """Its groups, or whether it is there at all."""
    interfaces = _entries(state, LISTS[0])
    if not interfaces:
        return
    changed = pick(chooser, interfaces)
    groups = [each["name"] for each in _entries(state, LISTS[1])]
    members = [each["name"] for each in _entries(state, LISTS[2])]
    match chooser.integer(3):
        case 0:
            changed["networkSecurityGroup"] = pick(chooser, [*groups, None])
        case 1:
            changed["applicationSecurityGroups"] = [pick(chooser, members)] if members else []
        case 2:
            changed.pop("applicationSecurityGroups", None)
        case _:
            interfaces.remove(changed)


def remove_entry(chooser: RandomChooser, state: State) -> None:
    """A group or a scale set, which others may refer to."""
    entries = _entries(state, pick(chooser, LISTS[1:]))
    if entries:
        entries.pop(chooser.integer(len(entries) - 1))


def change_network(chooser: RandomChooser, state: State) -> None:
    """What its tags hold, or what its subnets have."""
    network = pick(chooser, state.document["virtualNetworks"])
    subnet = pick(chooser, network["subnets"]) if network.get("subnets") else {}
    match chooser.integer(3):
        case 0:
            network["onPremises"] = [f"192.168.{chooser.integer(9)}.0/24"]
        case 1:
            subnet["routes"] = pick(chooser, ([], ["52.0.0.0/8"], ["0.0.0.0/0"]))
        case 2:
            groups = [each["name"] for each in _entries(state, LISTS[1])]
            subnet["networkSecurityGroup"] = pick(chooser, [*groups, None])
        case _:
            network.pop("peerings", None)


def change_tags(chooser: RandomChooser, state: State) -> None:
    """The prefixes of a tag, how it is spelt, or whether there is such a tag."""
    if not state.tag_files:
        return
    file = state.tag_files[pick(chooser, list(state.tag_files))]
    tag = pick(chooser, file["values"])
    file["changeNumber"] = 1 + (file.get("changeNumber") or 0) % 100
    match chooser.integer(2):
        case 0:
            tag["properties"]["addressPrefixes"] = [f"203.0.{chooser.integer(200)}.0/24"]
        case 1:
            tag["name"] = tag["id"] = tag["name"].swapcase()
        case _ if len(file["values"]) > 1:
            file["values"].remove(tag)


def change_section(chooser: RandomChooser, state: State) -> None:
    """What all depends on: limits, platform, subscription, dialect, or settings."""
    document = state.document
    match chooser.integer(5):
        case 0:
            document["limits"] = {"securityRulesPerNetworkSecurityGroup": chooser.integer(9) + 1}
        case 1:
            document["limits"] = {"addressesPerSide": 4000 + chooser.integer(5)}
        case 2:
            document["platformAddresses"] = {"metadata": ["169.254.169.254"], "host": []}
        case 3:
            document["subscription"] = {
                "kind": "payAsYouGo",
                "created": f"2019-01-0{1 + chooser.integer(3)}",
            }
        case 4:
            document["dialect"] = pick(chooser, ("now", "2017", "classic"))
        case _:
            document["daemon"] = {"adoptSeconds": chooser.integer(60)}


def spread(chooser: RandomChooser, state: State) -> None:
    """Entries change their documents, and so their order."""
    state.salt += 1


def change_azure(chooser: RandomChooser, state: State) -> None:
    """A document of Azure's JSON comes, changes or goes; its notes are told each time."""
    state.azure = chooser.integer(2)


def spoil(chooser: RandomChooser, state: State) -> None:
    """One of the oracle's mistakes."""
    _, case = spoiled(chooser, Case(state.document, state.tag_files, []))
    state.document, state.tag_files = case.document, case.tag_files


EDITS: tuple[Callable[[RandomChooser, State], None], ...] = (
    change_rule,
    change_rule,
    change_rule,
    remove_rule,
    rename,
    move_interface,
    change_interface,
    change_interface,
    remove_entry,
    change_network,
    change_tags,
    change_section,
    spread,
    change_azure,
    spoil,
)
