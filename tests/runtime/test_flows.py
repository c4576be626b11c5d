"""Which open flows a change of machines ends: those of addresses that are another one's now."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nsgd.model.address import Address
from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet, VirtualNetwork
from nsgd.model.settings import DaemonRole
from nsgd.runtime.flows import of_other_machines, of_roles
from nsgd.wire.conntrack import ConntrackEntry
from tests.policy.builders import nic, packet, prefixes, scale_set, subnet

CLIENT = "203.0.113.7"
WEB = scale_set("web", "10.0.0.32/28", "s")
DB = scale_set("db", "10.0.0.48/28,fd00:1::/80", "s")


def model(*resources: NetworkInterface | ScaleSet) -> NetworkModel:
    """These in one network."""
    return NetworkModel(
        (
            VirtualNetwork(
                "vnet",
                prefixes("10.0.0.0/16", "fd00:1::/48"),
                (subnet("s", "10.0.0.0/24,fd00:1::/64"),),
            ),
        ),
        tuple(each for each in resources if isinstance(each, NetworkInterface)),
        scale_sets=tuple(each for each in resources if isinstance(each, ScaleSet)),
    )


def ended(
    before: Sequence[NetworkInterface | ScaleSet],
    after: Sequence[NetworkInterface | ScaleSet],
    address: str,
) -> bool:
    """Whether a flow of the address is, to it and from it alike."""
    client = "2600:1::7" if ":" in address else CLIENT
    there, back = packet(client, address, 80), packet(address, client, 80)
    entries = [
        ConntrackEntry(header, 0, bytes([index])) for index, header in enumerate((there, back))
    ]
    found = list(of_other_machines(entries, model(*before), model(*after)))
    assert found in ([], entries)
    return bool(found)


NIC, OTHER = nic("vm", "10.0.0.33", "s"), nic("other", "10.0.0.33", "s")


@pytest.mark.parametrize(
    ("before", "after", "address", "is_ended"),
    [
        ((NIC,), (NIC,), "10.0.0.33", False),
        ((NIC,), (OTHER,), "10.0.0.33", True),
        ((NIC,), (), "10.0.0.33", True),
        ((NIC,), (OTHER,), "10.0.0.34", False),
        ((), (NIC,), "10.0.0.33", False),  # a resource of the subnet gets a name
        ((WEB, DB), (DB, WEB), "10.0.0.40", False),
        ((WEB,), (WEB, DB), "10.0.0.40", False),
        ((WEB,), (), "10.0.0.40", True),
        ((WEB,), (), "10.0.0.31", False),
        ((WEB,), (), "10.0.0.48", False),
        ((), (WEB,), "10.0.0.40", False),
        ((WEB,), (scale_set("db", "10.0.0.32/28", "s"),), "10.0.0.47", True),
        # Its prefix is shortened: what is cut off is nobody's instance.
        ((WEB,), (scale_set("web", "10.0.0.32/29", "s"),), "10.0.0.39", False),
        ((WEB,), (scale_set("web", "10.0.0.32/29", "s"),), "10.0.0.40", True),
        ((DB,), (), "fd00:1::9", True),
        ((DB,), (DB,), "fd00:1::9", False),
        # Between a NIC and the instances around it.
        ((WEB, NIC), (WEB,), "10.0.0.33", True),
        ((WEB,), (WEB, NIC), "10.0.0.33", True),
        ((WEB,), (WEB, NIC), "10.0.0.34", False),
        ((WEB, NIC), (NIC,), "10.0.0.33", False),
        ((WEB, NIC), (NIC,), "10.0.0.34", True),
    ],
)
def test_of_other_machines(
    before: Sequence[NetworkInterface | ScaleSet],
    after: Sequence[NetworkInterface | ScaleSet],
    address: str,
    is_ended: bool,
) -> None:
    """A flow does not outlive the machine at its end; rules that change leave it alone."""
    assert ended(before, after, address) is is_ended


def test_flows_of_a_role() -> None:
    """Those of an address of the machine are the host's, all others the gateway's."""
    own = frozenset({Address.parse("10.0.0.4"), Address.parse("fd00:1::4")})
    local = [
        packet(CLIENT, "10.0.0.4", 80),
        packet("10.0.0.4", CLIENT, 80),
        packet("2600:1::7", "fd00:1::4", 80),
    ]
    forwarded = [packet(CLIENT, "10.0.0.5", 80), packet("2600:1::7", "fd00:1::5", 80)]
    entries = [
        ConntrackEntry(header, 0, bytes([index]))
        for index, header in enumerate((*local, *forwarded))
    ]
    for roles, expected in (
        ({DaemonRole.HOST}, local),
        ({DaemonRole.GATEWAY}, forwarded),
        ({*DaemonRole}, [*local, *forwarded]),
        (set(), []),
    ):
        found = of_roles(entries, own, frozenset(roles))
        assert [entry.header for entry in found] == expected
