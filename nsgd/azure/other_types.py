"""Types of resources that are not read: which of them decide something, and are refused for it."""

from __future__ import annotations

from nsgd.azure.fields import fold
from nsgd.azure.findings import shown
from nsgd.azure.recognise import (
    INTERFACE,
    KINDS,
    PARTS,
    SCALE_SET,
    SCALE_SET_INTERFACE,
    SUBNET,
    VIRTUAL_NETWORK,
)

_ADMIN_RULES = "microsoft.network/networkmanagers/securityadminconfigurations"
_CLASSIC = "microsoft.classicnetwork/"

# Of the types below those that are read, the ones that decide nothing: the machines of a scale set,
# who else uses a network or an interface, and what any resource may have (locks, assignments of
# roles and policies, diagnostic settings).
_DECIDE_NOTHING = tuple(
    map(
        fold,
        (
            f"{INTERFACE}/tapConfigurations",
            f"{SCALE_SET}/extensions",
            f"{SCALE_SET}/publicIPAddresses",
            f"{SCALE_SET}/rollingUpgrades",
            f"{SCALE_SET}/skus",
            f"{SCALE_SET_INTERFACE}/ipConfigurations/publicIPAddresses",
            f"{SCALE_SET}/virtualMachines",
            f"{SCALE_SET}/virtualMachines/extensions",
            f"{SCALE_SET}/virtualMachines/runCommands",
            f"{SUBNET}/resourceNavigationLinks",
            f"{SUBNET}/serviceAssociationLinks",
            f"{VIRTUAL_NETWORK}/remoteVirtualNetworkPeeringProxies",
            f"{VIRTUAL_NETWORK}/taggedTrafficConsumers",
        ),
    )
)
_EXTENSION = "providers/"


def what_decides(resource_type: str) -> tuple[str, str] | None:
    """Why a resource of a type that is not read cannot be passed over, and the way out."""
    kind = fold(resource_type)
    if kind.startswith(_ADMIN_RULES):
        return (
            "security admin rules are not read from here: neither which virtual networks they"
            " apply to nor whether they are deployed is known",
            "write securityAdminConfigurations in a native document, and remove them here",
        )
    if kind.startswith(_CLASSIC):
        return (
            f"resources of type {shown(resource_type)}, of the classic deployment model, are not"
            " read from here",
            "declare what they do in a native document, and remove them here",
        )
    if kind == fold(SCALE_SET_INTERFACE) or kind in _DECIDE_NOTHING:
        return None
    # A name that lacks its plural is nearly always meant for one of these.
    meant = next((known for known in (*KINDS, *PARTS) if kind == known[:-1]), None)
    parent = next((known for known in KINDS if kind.startswith(f"{known}/")), None)
    if meant is None and (parent is None or f"/{_EXTENSION}" in kind):
        return None
    return (
        f"type {shown(resource_type)} is not known, and may decide something",
        "correct the type and the id, or remove the resource if nothing depends on it",
    )
