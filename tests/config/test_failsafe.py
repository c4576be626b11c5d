"""Failsafe entries say their sources and ports in full, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.model.address import PortRange, Prefix
from nsgd.model.rule import Protocol
from nsgd.model.settings import Failsafe
from tests.config.documents import load, refuse

SSH = {"protocol": "Tcp", "destinationPortRange": 22, "sourceAddressPrefix": "10.9.0.0/16"}


def test_entries() -> None:
    """Singular and plural forms, one source or any."""
    plural = {
        "protocol": "udp",
        "destinationPortRanges": ["53", "1000-1001"],
        "sourceAddressPrefixes": ["10.0.0.0/8", "fd00::/8"],
    }
    anybody = SSH | {"sourceAddressPrefix": "*"}
    settings = load({"daemon": {"failsafe": [SSH, plural, anybody]}}).settings
    assert settings.failsafe == (
        Failsafe(Protocol.TCP, (PortRange(22, 22),), (Prefix.parse("10.9.0.0/16"),)),
        Failsafe(
            Protocol.UDP,
            (PortRange(53, 53), PortRange(1000, 1001)),
            (Prefix.parse("10.0.0.0/8"), Prefix.parse("fd00::/8")),
        ),
        Failsafe(Protocol.TCP, (PortRange(22, 22),)),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sourceAddressPrefix": ""}, "sourceAddressPrefix is missing"),
        ({"sourceAddressPrefix": None}, "sourceAddressPrefix is missing"),
        ({"sourceAddressPrefix": "Internet"}, "a service tag cannot be a failsafe's source"),
        ({"sourceAddressPrefix": "10.9.0.1/16"}, "has host bits set"),
        ({"destinationPortRange": "*"}, "it opens every port"),
        ({"destinationPortRange": "0-65535"}, "it opens every port"),
        ({"destinationPortRange": None}, "destinationPortRange is missing"),
        ({"destinationPortRange": 65536}, "SecurityRuleInvalidPortRange"),
        ({"protocol": "Icmp"}, "'Icmp' is not allowed"),
        ({"protocol": None}, "is missing"),
        ({"priority": 1}, "unknown key 'priority'"),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    """Exactly one problem, under the entry."""
    (problem,) = refuse({"daemon": {"failsafe": [SSH | changes]}})
    assert problem.path.startswith("daemon.failsafe[0]")
    assert message in problem.message
