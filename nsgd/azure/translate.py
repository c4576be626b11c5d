"""Turns documents of Azure's JSON into native ones. The package's entrance for reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nsgd.azure.addresses import settle_addresses
from nsgd.azure.context import Context
from nsgd.azure.directory import Directory
from nsgd.azure.fields import fold
from nsgd.azure.findings import Findings
from nsgd.azure.interfaces import translate_interface
from nsgd.azure.networks import translate_network
from nsgd.azure.origins import Entries, Origins, Piece, Written
from nsgd.azure.other_types import what_decides
from nsgd.azure.overlay import lay_over
from nsgd.azure.recognise import (
    APPLICATION_GROUP,
    INTERFACE,
    KINDS,
    PARTS,
    SCALE_SET,
    SCALE_SET_INTERFACE,
    SECURITY_GROUP,
    VIRTUAL_NETWORK,
    Resource,
    find_resources,
    is_azure,
)
from nsgd.azure.resource_id import ResourceId
from nsgd.azure.scale_sets import translate_scale_set
from nsgd.azure.security_groups import translate_application_group, translate_security_group

_SECTIONS = {
    fold(VIRTUAL_NETWORK): ("virtualNetworks", translate_network),
    fold(INTERFACE): ("networkInterfaces", translate_interface),
    fold(SECURITY_GROUP): ("networkSecurityGroups", translate_security_group),
    fold(APPLICATION_GROUP): ("applicationSecurityGroups", translate_application_group),
}
_MACHINE = "microsoft.compute/virtualmachines"
_MACHINE_INTERFACES = "networkinterfaceconfigurations"
_GATEWAYS = ("microsoft.network/localnetworkgateways", "microsoft.network/virtualnetworkgateways")


@dataclass(frozen=True, slots=True)
class NativeDocument:
    """A document in the native format, and the way back to what the user wrote."""

    tree: Mapping[str, object]
    origins: Origins


@dataclass(slots=True)
class Translation:
    """*documents* has one entry for each document; None for one that is to be read as it is."""

    documents: list[NativeDocument | None]
    findings: Findings = field(default_factory=Findings)


def translate_documents(
    trees: Sequence[object],
    is_complete: bool = True,
    templates: Mapping[int, Sequence[Resource]] | None = None,
    ways_out: Mapping[int, str] | None = None,
) -> Translation:
    """Translate what is Azure's JSON among *trees*, which are looked at together.

    Args:
        trees: The parsed documents; None for one that could not be read.
        is_complete: Whether all could be read.
        templates: The resources of those documents that are templates, in place of their trees.
        ways_out: What to do, by document, where something that it refers to is missing.
    """
    given = templates or {}
    findings = Findings(is_complete, ways_out, given)
    azure = [document in given or is_azure(tree) for document, tree in enumerate(trees)]
    resources = [
        given[document]
        if document in given
        else find_resources(tree, document, findings)
        if azure[document]
        else []
        for document, tree in enumerate(trees)
    ]
    return _translate(trees, azure, resources, findings)


def _translate(
    trees: Sequence[object],
    azure: Sequence[bool],
    resources: Sequence[Sequence[Resource]],
    findings: Findings,
) -> Translation:
    if not any(azure):
        return Translation([None] * len(trees), findings)
    every = [resource for of_document in resources for resource in of_document]
    directory = Directory(every, findings)
    _read_over(every, directory, findings)
    context = Context(directory, findings)
    sections: list[dict[str, list[Piece]]] = [{} for _ in trees]
    for resource in directory.resources:
        for section, piece in _pieces(resource, context):
            sections[resource.at.document].setdefault(section, []).append(piece)

    overlaid = _lay_over_all(trees, azure, sections, context)
    natives: list[Mapping[str, object]] = []
    for document, tree in enumerate(trees):
        changed = overlaid.get(document)
        if azure[document]:
            natives.append(_assemble(document, sections[document]).tree)
        elif changed is not None:
            natives.append(changed.tree)
        elif isinstance(tree, dict):
            natives.append(tree)
    without_address = {id(piece) for piece in settle_addresses(context, natives)}
    for of_document in sections:
        for section, made in of_document.items():
            of_document[section] = [piece for piece in made if id(piece) not in without_address]
    documents = [
        _assemble(document, sections[document]) if azure[document] else overlaid.get(document)
        for document in range(len(trees))
    ]
    return Translation(documents, findings)


def _lay_over_all(
    trees: Sequence[object],
    azure: Sequence[bool],
    sections: Sequence[Mapping[str, Sequence[Piece]]],
    context: Context,
) -> dict[int, NativeDocument]:
    """The native documents that add to something, without what they add."""
    pieces: dict[str, dict[str, Piece]] = {}
    for of_document in sections:
        for section, made in of_document.items():
            by_name = pieces.setdefault(section, {})
            by_name.update((fold(piece.value["name"]), piece) for piece in made)
    result = {}
    for document, tree in enumerate(trees):
        if not azure[document] and isinstance(tree, dict):
            overlaid = lay_over(tree, document, pieces, context)
            if overlaid is not None:
                result[document] = NativeDocument(overlaid[0], Origins(document, overlaid[1]))
    return result


def _pieces(resource: Resource, context: Context) -> list[tuple[str, Piece]]:
    kind = fold(resource.id.type)
    if kind == fold(SCALE_SET):
        return [("scaleSets", piece) for piece in translate_scale_set(resource, context)]
    if kind not in _SECTIONS:
        return []  # a route table: the networks whose subnets use it read it
    section, translate = _SECTIONS[kind]
    piece = translate(resource, context)
    return [] if piece is None else [(section, piece)]


def _assemble(document: int, sections: Mapping[str, Sequence[Piece]]) -> NativeDocument:
    tree = {section: [piece.value for piece in pieces] for section, pieces in sections.items()}
    at = Written(document)
    entries = {section: Entries(at, pieces) for section, pieces in sections.items()}
    return NativeDocument(tree, Origins(document, entries))


def _read_over(resources: Sequence[Resource], directory: Directory, findings: Findings) -> None:
    """Count resources of other types; refuse or note those that would decide something."""
    for resource in resources:
        kind = fold(resource.id.type)
        if kind in KINDS or kind in PARTS:
            continue
        if (why := what_decides(resource.id.type)) is not None:
            findings.refuse(resource.at, *why)
            continue
        if kind == _MACHINE:
            _check_machine(resource, findings)
        if kind == fold(SCALE_SET_INTERFACE):
            _check_instance(resource, directory, findings)
        if kind in _GATEWAYS:
            findings.note(
                resource.at,
                "what is behind a gateway is not read from here: write onPremises in a native"
                " document of the virtual network",
            )
        findings.read_over[resource.id.type] += 1


def _check_machine(resource: Resource, findings: Findings) -> None:
    """A machine may bring interfaces along, with groups of their own."""
    waiting: list[object] = [resource.value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
            if any(fold(key) == _MACHINE_INTERFACES and value[key] for key in value):
                findings.refuse(
                    resource.at,
                    "network interfaces that a virtual machine's own definition makes are not read",
                    "declare them as resources of their own, or in a native document",
                )
                return
        elif isinstance(value, list):
            waiting += value


def _check_instance(resource: Resource, directory: Directory, findings: Findings) -> None:
    """An instance's interface is read with its scale set, which must then be there."""
    scale_set = ResourceId(
        resource.id.subscription, resource.id.group, SCALE_SET, resource.id.names[:1]
    )
    if resource.id.names and not directory.has(scale_set) and findings.is_complete:
        findings.refuse(
            resource.at,
            f"this is an interface of an instance of scale set {resource.id.names[0]}, which is"
            " not among the documents",
            "load the scale set, or declare the interface in a native document",
        )
