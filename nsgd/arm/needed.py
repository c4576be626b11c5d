"""Which missing parameters decide something about the network, and so must be given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nsgd.arm.copies import child
from nsgd.arm.problem import Path, TemplateProblem, format_path, show
from nsgd.arm.unknown import Origin, Unknown, find_unknowns

if TYPE_CHECKING:
    from nsgd.arm.evaluate import Resource

# By type: the properties that decide, or None for all of them.
DECIDING: dict[str, tuple[Path, ...] | None] = {
    "microsoft.network/networksecuritygroups": (
        ("securityRules",),
        ("defaultSecurityRules",),
        ("flushConnection",),
    ),
    "microsoft.network/networksecuritygroups/securityrules": None,
    "microsoft.network/virtualnetworks": (
        ("addressSpace",),
        ("subnets",),
        ("virtualNetworkPeerings",),
    ),
    "microsoft.network/virtualnetworks/subnets": None,
    "microsoft.network/virtualnetworks/virtualnetworkpeerings": None,
    "microsoft.network/networkinterfaces": (
        ("ipConfigurations",),
        ("networkSecurityGroup",),
        ("enableIPForwarding",),
        ("disableTcpStateTracking",),
    ),
    "microsoft.network/applicationsecuritygroups": (),
    "microsoft.network/routetables": (("routes",),),
    "microsoft.network/routetables/routes": None,
    "microsoft.compute/virtualmachinescalesets": (("virtualMachineProfile", "networkProfile"),),
}
# Below these keys nothing decides which packets pass.
_DECIDES_NOTHING = {
    "description", "publicipaddress", "publicipaddressconfiguration", "natgateway",
    "loadbalancerbackendaddresspools", "loadbalancerinboundnatrules", "loadbalancerinboundnatpools",
    "applicationgatewaybackendaddresspools", "healthprobe", "dnssettings", "serviceendpoints",
    "serviceendpointpolicies", "flowtimeoutinminutes",
}  # fmt: skip
# A delegation says by its serviceName whether security admin rules are kept from the subnet.
_DELEGATIONS = "delegations"
_DECIDES_NOTHING_OF_A_DELEGATION = {"name", "id", "etag", "type", "actions", "provisioningstate"}


def deciding_unknowns(resource: Resource) -> Iterator[tuple[Path, Unknown]]:
    """Unknown values of a resource that decide which packets pass, with the keys to them."""
    kind = resource.type.lower()
    if kind not in DECIDING or resource.is_existing:
        return
    for key, value in (("condition", resource.uncertain), ("name", resource.name)):
        if isinstance(value, Unknown):
            yield (key,), value
    paths = DECIDING[kind]
    for path in ((),) if paths is None else paths:
        value = resource.properties
        for step in path:
            value = child(value, str(step)) if isinstance(value, dict) else value
        for inside, unknown in find_unknowns(value):
            if _decides(inside):
                yield ("properties", *path, *inside), unknown


def _decides(keys: Path) -> bool:
    folded = [str(key).lower() for key in keys]
    if not _DECIDES_NOTHING.isdisjoint(folded):
        return False
    if _DELEGATIONS not in folded:
        return True
    inside = folded[folded.index(_DELEGATIONS) :]
    return _DECIDES_NOTHING_OF_A_DELEGATION.isdisjoint(inside)


def missing_parameters(resources: Iterable[Resource]) -> list[TemplateProblem]:
    """One problem for each parameter that has no value while the network depends on it."""
    found: dict[tuple[str, Any], TemplateProblem] = {}
    for resource in resources:
        for path, unknown in deciding_unknowns(resource):
            if unknown.origin is not Origin.PARAMETER:
                continue
            place = format_path(resource.source_path(path))
            found.setdefault(
                (unknown.document, unknown.path),
                TemplateProblem(
                    unknown.path,
                    None,
                    f"{unknown.why}, and {place} of {show(resource.name)} depends on it"
                    if not isinstance(resource.name, Unknown)
                    else f"{unknown.why}, and {place} depends on it",
                    unknown.way_out,
                    unknown.document,
                ),
            )
    return list(found.values())
