"""Recorded answers of Azure, where the corpus is at hand, and the policies that they are about."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
CORPUS = Path(os.environ.get("NSGD_CORPUS", REPOSITORY.parent / "shared" / "corpus"))
RECORDINGS = CORPUS / "recordings"

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason=f"no recorded answers in {RECORDINGS}; NSGD_CORPUS names them"
)


def recorded(name: str) -> list[dict[str, Any]]:
    """The calls of one recording."""
    found: list[dict[str, Any]] = json.loads((RECORDINGS / f"{name}.json").read_bytes())
    return found


def last_name(resource_id: str) -> str:
    """A resource's own name."""
    return resource_id.rpartition("/")[2]


def one_interface(
    interface: str,
    group: str,
    address: str,
    *,
    network: str = "vnet",
    subnet: str = "subnet",
    space: str = "10.0.0.0/16",
    subnet_group: str | None = None,
) -> dict[str, Any]:
    """A document of one network interface with a group that has no rules of a user's."""
    subnet_fields: dict[str, Any] = {"name": subnet, "addressPrefix": "10.0.0.0/24"}
    if subnet_group is not None:
        subnet_fields["networkSecurityGroup"] = subnet_group
    return {
        "virtualNetworks": [{"name": network, "addressSpace": [space], "subnets": [subnet_fields]}],
        "networkInterfaces": [
            {
                "name": interface,
                "subnet": f"{network}/{subnet}",
                "privateIPAddresses": [address],
                "networkSecurityGroup": group,
            }
        ],
        "networkSecurityGroups": [{"name": group, "securityRules": []}],
    }
