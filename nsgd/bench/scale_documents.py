"""Large documents in a directory of several files: many NICs, network security groups and tags."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

FORMATS = ("json", "yaml")
RULES = 100  # of each group
TAGS_IN_USE = 50
_NICS_PER_SUBNET = 100
_NICS_PER_FILE = 1000
_GROUPS_PER_FILE = 20
_ASGS = 100  # as many as the rules of a group can name
_NETWORK = "scale"
_SETTINGS_FILE, _NICS_FILE, _GROUPS_FILE = "00-network", "10-interfaces", "20-groups"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is declared; half of the groups are subnets', half of them NICs'."""

    nics: int
    groups: int

    @property
    def tenth(self) -> Extent:
        """A tenth of it."""
        return Extent(self.nics // 10, self.groups // 10)

    @property
    def rules(self) -> int:
        """Security rules of all groups."""
        return self.groups * RULES


def scale_documents(extent: Extent, engine: str, tags: Sequence[str] = ()) -> dict[str, Document]:
    """Documents by the names of their files, without a suffix.

    Args:
        extent: How many NICs and groups.
        engine: Of nsgd's.
        tags: Service tags for rules to name; without any, these rules name prefixes.
    """
    subnets = -(-extent.nics // _NICS_PER_SUBNET)
    of_subnets = extent.groups // 2
    documents = {
        _SETTINGS_FILE: {
            "virtualNetworks": [
                {
                    "name": _NETWORK,
                    "addressSpace": ["10.0.0.0/8"],
                    "subnets": [
                        {
                            "name": f"subnet{index}",
                            "addressPrefixes": [f"{_subnet(index)}.0/24"],
                            "networkSecurityGroup": f"group{index % of_subnets}",
                        }
                        for index in range(subnets)
                    ],
                }
            ],
            "applicationSecurityGroups": [
                {"name": f"Application{index}", "virtualNetwork": _NETWORK}
                for index in range(_ASGS)
            ],
            "daemon": {"metricsListen": "127.0.0.1:0", "engine": engine},
        }
    }
    nics = list(_interfaces(extent))
    for number, start in enumerate(range(0, len(nics), _NICS_PER_FILE)):
        documents[f"{_NICS_FILE}-{number:02}"] = {
            "networkInterfaces": nics[start : start + _NICS_PER_FILE]
        }
    groups = [
        {"name": f"group{index}", "securityRules": list(_rules(index, tags))}
        for index in range(extent.groups)
    ]
    for number, start in enumerate(range(0, len(groups), _GROUPS_PER_FILE)):
        documents[f"{_GROUPS_FILE}-{number:02}"] = {
            "networkSecurityGroups": groups[start : start + _GROUPS_PER_FILE]
        }
    return documents


def document_text(document: Document, form: str) -> str:
    """One of them in a form of FORMATS."""
    if form == "json":
        return json.dumps(document, indent=1)
    parts = []
    for key, value in document.items():
        if isinstance(value, list):
            parts.append(f"{key}:\n")
            parts.extend(_yaml_item(json.dumps(item)) for item in value)
        else:
            parts.append(_yaml({key: value}))
    return "".join(parts)


# A change is of one group; the others of its file are not written anew: 9 ms instead of 190.
@lru_cache(maxsize=2 * _GROUPS_PER_FILE)
def _yaml_item(item: str) -> str:
    """An entry of a list, given as JSON."""
    return _yaml([json.loads(item)])


def _yaml(value: object) -> str:
    # By the C writer, as nsgd reads by the C reader: the pure one takes minutes.
    text: str = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False)
    return text


def write_whole(path: Path, text: str) -> None:
    """Write a file as editors do: another one beside it, which takes its place."""
    beside = path.with_name(f".{path.name}")
    beside.write_text(text)
    beside.replace(path)


def choose_tags(names: Sequence[str]) -> list[str]:
    """TAGS_IN_USE of a file's tags, from its whole alphabet; ValueError where it has fewer."""
    if len(names) < TAGS_IN_USE:
        raise ValueError(f"the file has {len(names)} service tags, and {TAGS_IN_USE} are needed")
    ordered = sorted(names)
    return [ordered[place * len(ordered) // TAGS_IN_USE] for place in range(TAGS_IN_USE)]


def _subnet(index: int) -> str:
    return f"10.{1 + index // 250}.{index % 250}"


def _interfaces(extent: Extent) -> Iterator[Document]:
    of_subnets = extent.groups // 2
    for index in range(extent.nics):
        subnet, place = divmod(index, _NICS_PER_SUBNET)
        yield {
            "name": f"nic{index}",
            "subnet": f"{_NETWORK}/subnet{subnet}",
            "privateIPAddresses": [f"{_subnet(subnet)}.{4 + place}"],
            "networkSecurityGroup": f"group{of_subnets + index % (extent.groups - of_subnets)}",
            "applicationSecurityGroups": [
                f"Application{index % _ASGS}",
                f"Application{(index * 7 + 3) % _ASGS}",
            ][: 1 if index % _ASGS == (index * 7 + 3) % _ASGS else 2],
        }


def _rules(group: int, tags: Sequence[str]) -> Iterator[Document]:
    """Half of them inbound and half outbound, by four ways of naming the other end in turn."""
    for index in range(RULES):
        direction = ("Inbound", "Outbound")[index % 2]
        own, other = ("destination", "source") if index % 2 == 0 else ("source", "destination")
        number = group * RULES + index
        ends: Document = {f"{own}AddressPrefix": "*"}
        match index // 2 % 4:
            case 0:
                ends[f"{other}AddressPrefix"] = f"10.{number % 200}.{number // 200 % 250}.0/24"
            case 1:
                ends[f"{other}AddressPrefixes"] = [
                    f"172.{16 + number % 16}.{number // 16 % 256}.{step * 32}/27"
                    for step in range(4)
                ]
            case 2:
                del ends[f"{own}AddressPrefix"]
                ends[f"{own}ApplicationSecurityGroups"] = [f"Application{number % _ASGS}"]
                ends[f"{other}ApplicationSecurityGroups"] = [f"Application{number // 7 % _ASGS}"]
            case _ if tags:
                # Every eighth pair of rules, so that neighbouring groups go on where one ends.
                tag = group * (RULES // 8) + index // 8
                ends[f"{other}AddressPrefix"] = tags[tag % len(tags)]
            case _:
                ends[f"{other}AddressPrefix"] = f"192.168.{number % 256}.0/24"
        first = 1024 + number * 13 % 60_000
        ports: Document = {"destinationPortRange": str(first)}
        if index % 3 == 0:
            ports = {"destinationPortRanges": [f"{first}-{first + 20}", str(first + 100), "443"]}
        yield {
            "name": f"Rule{index:03}",
            "priority": 100 + 10 * index,
            "direction": direction,
            "access": "Deny" if index % 5 == 4 else "Allow",
            "protocol": ("Tcp", "Udp", "*")[index % 3],
            "sourcePortRange": "*",
            **ports,
            **ends,
        }
