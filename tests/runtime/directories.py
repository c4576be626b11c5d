"""A policy in a directory, and its loads: with what is kept of an earlier one, or from scratch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.tag_catalogue import TagCatalogue, read_tag_file
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.load import LoadedBefore, LoadedPolicy, load_policy
from nsgd.runtime.tag_store import InstalledFile, Stamp


@dataclass
class Tags:
    """Installed tag files, by cloud; a file is another object once its content is another."""

    files: dict[str, Any]
    _read: dict[str, TagCatalogue] = field(default_factory=dict)

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """As TagSource."""
        file = self.files.get(cloud)
        if file is None:
            return None
        text = json.dumps(file)
        return self._read.setdefault(text, read_tag_file(text.encode()))

    def stamp(self, cloud: str) -> Stamp | None:
        """As InstalledTags; nobody watches."""
        return None

    def installed(self, cloud: str) -> InstalledFile | None:
        """As InstalledTags."""
        catalogue = self.catalogue(cloud)
        return None if catalogue is None else InstalledFile(Path(cloud), catalogue, 0.0)


def loaded(
    directory: Path, numbers: DecisionNumbers, tags: Tags, before: LoadedBefore | None
) -> LoadedPolicy | tuple[Problem, ...]:
    """The policy of a directory, or every problem."""
    try:
        return load_policy([directory], numbers, None, before, tags)
    except ConfigRefused as refused:
        return refused.problems


def write(directory: Path, texts: dict[str, str]) -> None:
    """Make the directory hold these files."""
    for path in directory.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (directory / name).write_text(text)


def policy(groups: int, interfaces: int) -> dict[str, Any]:
    """Documents by file name, one for each group and one for ten interfaces."""
    texts: dict[str, Any] = {
        "base.json": {
            "virtualNetworks": [
                {
                    "name": "hub",
                    "addressSpace": ["10.0.0.0/8"],
                    "subnets": [
                        {
                            "name": f"s{i}",
                            "addressPrefixes": [f"10.{i}.0.0/16"],
                            "networkSecurityGroup": f"g{i}",
                        }
                        for i in range(groups)
                    ],
                }
            ],
            "applicationSecurityGroups": [{"name": "a0"}, {"name": "a1"}],
        }
    }
    for i in range(groups):
        rules = [
            {
                "name": f"r{n}",
                "priority": 100 + n,
                "direction": "Inbound",
                "access": "Allow",
                "protocol": "Tcp",
                "sourceApplicationSecurityGroups": [f"a{i % 2}"],
                "sourcePortRange": "*",
                "destinationAddressPrefix": "*",
                "destinationPortRange": str(n),
            }
            for n in range(5)
        ]
        texts[f"g{i}.json"] = {"networkSecurityGroups": [{"name": f"g{i}", "securityRules": rules}]}
    for start in range(0, interfaces, 10):
        texts[f"nics{start}.json"] = {
            "networkInterfaces": [
                {
                    "name": f"n{i}",
                    "subnet": f"s{i % groups}",
                    "privateIPAddresses": [f"10.{i % groups}.1.{i // groups + 1}"],
                    "applicationSecurityGroups": [f"a{i % 2}"],
                }
                for i in range(start, start + 10)
            ]
        }
    return texts


def load_all(
    directory: Path, parts: dict[str, Any], numbers: DecisionNumbers, before: LoadedBefore
) -> LoadedPolicy:
    """Write and load what must be good."""
    write(directory, {name: json.dumps(part) for name, part in parts.items()})
    return load_policy([directory], numbers, None, before)
