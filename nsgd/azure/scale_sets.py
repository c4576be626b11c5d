"""Virtual machine scale sets: each interface that their instances have as a scale set by itself."""

from __future__ import annotations

from nsgd.azure.context import Context, OpenScaleSet
from nsgd.azure.fields import Fields, Only, Table, entries_of, fold, read_fields
from nsgd.azure.interfaces import INTERFACE_IGNORED, TRACKED, put_common, read_configurations
from nsgd.azure.origins import Piece, Written
from nsgd.azure.recognise import Resource
from nsgd.azure.security_groups import put_security_group

_SCALE_SET = Table(
    "a scale set",
    ("name", "virtualMachineProfile", "timeCreated", "orchestrationMode"),
    # The machines, and when they come and go.
    (
        "additionalCapabilities",
        "automaticRepairsPolicy",
        "constrainedMaximumCapacity",
        "doNotRunExtensionsOnOverprovisionedVMs",
        "hostGroup",
        "largeScaleEnabled",
        "overprovision",
        "platformFaultDomainCount",
        "priorityMixPolicy",
        "proximityPlacementGroup",
        "resiliencyPolicy",
        "scaleInPolicy",
        "scheduledEventsPolicy",
        "singlePlacementGroup",
        "skuProfile",
        "spotRestorePolicy",
        "uniqueId",
        "upgradePolicy",
        "zonalPlatformFaultDomainAlignMode",
        "zoneBalance",
    ),
)
# The machines again: only their network matters.
_PROFILE = Table(
    "a virtual machine profile",
    ("networkProfile",),
    (
        "applicationProfile",
        "billingProfile",
        "capacityReservation",
        "diagnosticsProfile",
        "evictionPolicy",
        "extensionProfile",
        "hardwareProfile",
        "licenseType",
        "osProfile",
        "priority",
        "scheduledEventsProfile",
        "securityPostureReference",
        "securityProfile",
        "serviceArtifactReference",
        "storageProfile",
        "timeCreated",
        "userData",
    ),
)
_NETWORK_PROFILE = Table(
    "a network profile",
    ("networkInterfaceConfigurations",),
    ("healthProbe", "networkApiVersion"),
)
_CONFIGURATION_OF_SET = Table(
    "a network interface configuration",
    ("name", "ipConfigurations", "networkSecurityGroup"),
    INTERFACE_IGNORED,
    TRACKED
    | {
        "enableIPForwarding": Only(
            False,
            "instances would send from addresses that are not theirs",
            "declare the instances as network interfaces, each with a link",
        )
    },
)


def translate_scale_set(resource: Resource, context: Context) -> list[Piece]:
    """A scale set as entries of ``scaleSets``: one for each interface that an instance has."""
    fields = read_fields(_SCALE_SET, resource.value, resource.at, context.findings)
    if fields is None:
        return []
    found = _interface_configurations(fields, context)
    pieces = []
    for value, at in found:
        inner = read_fields(_CONFIGURATION_OF_SET, value, at, context.findings)
        if inner is None:
            continue
        piece = Piece(inner.at, inner.below)
        name = resource.name
        if len(found) > 1:
            name = f"{name}.{inner.get('name')}"
        piece.put("name", name, inner.where("name"))
        put_security_group(piece, inner, context)
        put_common(piece, inner, read_configurations(inner, context))
        created = fields.get("timeCreated")
        if isinstance(created, str):
            piece.put("created", created[:10], fields.where("timeCreated"))
        context.open_scale_sets.append(OpenScaleSet(piece, piece.find(("subnet",))))
        pieces.append(piece)
    return pieces


def _interface_configurations(fields: Fields, context: Context) -> list[tuple[object, Written]]:
    """What the machines' profile says of networks; the rest of it is about the machines."""
    mode = fields.get("orchestrationMode")
    is_flexible = isinstance(mode, str) and fold(mode) == "flexible"
    level = fields
    for key, table in (("virtualMachineProfile", _PROFILE), ("networkProfile", _NETWORK_PROFILE)):
        value, at = level.get(key), level.where(key)
        inner = None if value is None else read_fields(table, value, at, context.findings)
        if inner is None:
            if value is None:
                _check_flexible(is_flexible, at, context)
            return []
        level = inner
    key = "networkInterfaceConfigurations"
    if level.get(key) is None:
        _check_flexible(is_flexible, level.where(key), context)
    return list(entries_of(level, key, context.findings))


def _check_flexible(is_flexible: bool, at: Written, context: Context) -> None:
    """Only such instances may be network interfaces of their own."""
    if not is_flexible:
        context.findings.refuse(
            at,
            "the scale set has no network interface configurations, and its orchestration mode is"
            " not Flexible",
            "write them; or orchestrationMode, if the instances are network interfaces themselves",
        )
