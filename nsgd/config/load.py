"""Loads documents: reads each, then checks all together. The package's one entrance.

Nothing is half taken: either every document is right, or all problems of all of them are raised
at once and the caller keeps what it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from nsgd.azure.notes import notes_of
from nsgd.azure.translate import NativeDocument, translate_documents
from nsgd.config.admin_rules import AdminReader
from nsgd.config.classic import CloudServiceReader, machine_sections
from nsgd.config.declared import declare_networks
from nsgd.config.dialect import check_sections, read_dialect
from nsgd.config.document import Document, ReadLinked, Role
from nsgd.config.emptiness import nothing_declared
from nsgd.config.groups import assemble_groups, declare_groups
from nsgd.config.interfaces import InterfaceReader
from nsgd.config.limits import check_numbers, read_limits
from nsgd.config.names import Names
from nsgd.config.networks import assemble_networks
from nsgd.config.parse import ParsedDocument, parse_document
from nsgd.config.peerings import check_peer_overlaps
from nsgd.config.platform import assemble_platform
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.report import Place, Report, Source
from nsgd.config.rule import References
from nsgd.config.rule_tags import RuleTags, read_cloud
from nsgd.config.rules import assemble_security_groups
from nsgd.config.scale_sets import assemble_scale_sets
from nsgd.config.schema import DOCUMENT
from nsgd.config.sections import list_section, only_section
from nsgd.config.settings import assemble_settings
from nsgd.config.shape import Mistake
from nsgd.config.subscription import assemble_subscription
from nsgd.config.tag_catalogue import TagSource
from nsgd.config.templates import read_templates
from nsgd.config.tree import Unreadable
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonSettings

__all__ = ["Document", "LoadedConfig", "ReadDocuments", "Role", "load_documents"]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What the documents declare, and how this host is to run it.

    *reading* holds the sections that say how documents are read, serviceTags and limits; *notes*
    tell what was left aside in Azure's JSON. *linked* are templates that others linked to, as they
    were read.
    """

    model: NetworkModel
    settings: DaemonSettings
    reading: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    linked: tuple[Document, ...] = ()


class ReadDocuments:
    """Documents as they were read last time: one whose bytes are the same is not read again."""

    def __init__(self) -> None:
        self._by_content: dict[bytes, tuple[ParsedDocument, Mapping[str, Any]]] = {}

    def get(self, content: bytes) -> tuple[ParsedDocument, Mapping[str, Any]] | None:
        """What a document was read as, if it was without a mistake."""
        return self._by_content.get(sha256(content).digest())

    def keep(
        self, read: Iterable[tuple[bytes, ParsedDocument | Unreadable, Mapping[str, Any]]]
    ) -> None:
        """Remember these documents, which had no mistake, and no others."""
        self._by_content = {
            sha256(content).digest(): (parsed, fields)
            for content, parsed, fields in read
            if not isinstance(parsed, Unreadable)
        }


def load_documents(
    documents: Sequence[Document],
    read_before: ReadDocuments | None = None,
    tags: TagSource | None = None,
    read_linked: ReadLinked | None = None,
) -> LoadedConfig:
    """Load YAML or JSON documents as one: their lists are joined in the order given.

    Templates of Azure Resource Manager are evaluated, with the parameter files among the documents.

    Args:
        documents: At least one.
        read_before: What an earlier call read; this call's documents take its place if all of
            them are right.
        tags: Where Microsoft's service tags files are; None is as good as none installed.
        read_linked: Reads what templates link to, but for what is among the documents; None is as
            good as no such file.

    Raises:
        ConfigRefused: with every problem of all documents, by document and line. No document at
            all is a problem too: it would take every rule away.
    """
    if not any(document.role is Role.POLICY for document in documents):
        raise ConfigRefused(
            (Problem("documents", "", None, "there is none", "name at least one document"),)
        )
    before = read_before or ReadDocuments()
    known = [
        before.get(document.content) if document.role is Role.POLICY else None
        for document in documents
    ]
    read_already = {index for index, document in enumerate(known) if document is not None}
    templates = read_templates(documents, read_already, read_linked)
    parsed: list[ParsedDocument | Unreadable] = []
    for index, (document, known_document) in enumerate(zip(documents, known, strict=True)):
        if known_document is not None:
            parsed.append(known_document[0])
            continue
        if index in templates.taken:
            parsed.append(ParsedDocument("", templates.tree(index), []))
            continue
        try:
            parsed.append(parse_document(document.content))
        except Unreadable as unreadable:
            parsed.append(unreadable)
    is_complete = templates.is_complete and not any(
        isinstance(result, Unreadable) for result in parsed
    )
    trees = [None if isinstance(result, Unreadable) else result.tree for result in parsed]
    # What Azure's JSON becomes depends on the other documents, so it is never kept.
    translation = translate_documents(
        trees, is_complete, templates.resources(), templates.ways_out()
    )
    natives = translation.documents
    sources = [
        Source(document.name)
        if isinstance(result, Unreadable)
        else templates.source(index, document.name, native)
        if index in templates.taken
        else Source(document.name, result.text, result.tree, native.origins if native else None)
        for index, (document, result, native) in enumerate(
            zip(documents, parsed, natives, strict=True)
        )
    ]
    report = Report(sources, is_complete)
    for document_index, problem in templates.problems:
        report.add_problem(document_index, problem)
    for at, message, way_out, others in translation.findings.mistakes:
        places = " and ".join(report.locate_as_written(Place(*o), Place(*at)) for o in others)
        report.add_as_written(Place(*at), f"{message} {places}" if places else message, way_out)
    fields = [
        known_document[1]
        if known_document is not None and native is None
        else {}
        if index in templates.taken and native is None
        else _read(Place(index), result, native, report)
        for index, (result, known_document, native) in enumerate(
            zip(parsed, known, natives, strict=True)
        )
    ]
    loaded = _assemble(fields, tags, report)
    problems = report.problems() or nothing_declared(documents, fields, [*_native(trees, natives)])
    if problems:
        raise ConfigRefused(problems)
    before.keep(
        (documents[index].content, result, read)
        for index, (result, read, native) in enumerate(zip(parsed, fields, natives, strict=True))
        if native is None and index not in templates.taken
    )
    notes = notes_of(translation.findings, lambda at: report.describe(at.document, at.path))
    return replace(loaded, notes=(*templates.notes, *notes), linked=tuple(templates.linked))


def _native(
    trees: Sequence[object], natives: Sequence[NativeDocument | None]
) -> Iterator[Mapping[str, object] | None]:
    """The documents that were native as they were written; None for others."""
    for tree, native in zip(trees, natives, strict=True):
        yield tree if native is None and isinstance(tree, dict) else None


def _read(
    place: Place,
    parsed: ParsedDocument | Unreadable,
    native: NativeDocument | None,
    report: Report,
) -> Mapping[str, Any]:
    """One document's fields as the tables read them; what is wrong is reported."""
    if isinstance(parsed, Unreadable):
        report.add(place, parsed.message, parsed.way_out, parsed.line)
        return {}
    for path, line, message, way_out in parsed.mistakes:
        report.add_as_written(place.at(*path), message, way_out, line)
    mistakes: list[Mistake] = []
    fields = DOCUMENT.read(parsed.tree if native is None else native.tree, mistakes)
    for mistake in mistakes:
        report.add(place.at(*reversed(mistake.path)), mistake.message, mistake.way_out)
    return fields or {}


def _assemble(
    fields: Sequence[Mapping[str, Any]], tags: TagSource | None, report: Report
) -> LoadedConfig:
    """Build the model; it may lack what was reported, so it counts only without problems."""
    in_force = read_dialect(fields, report)
    check_sections(fields, in_force, report)
    limits = read_limits(only_section(fields, "limits", report), in_force, report)
    security_groups = list_section(fields, "networkSecurityGroups")
    check_numbers("networkSecurityGroups", security_groups, limits, report)
    security_group_names: Names[str] = Names("network security group", report)
    for place, raw in security_groups:
        name: str | None = raw.get("name")
        if name is not None:
            security_group_names.declare(name, place, name)

    network_sections = list_section(fields, "virtualNetworks")
    network_names, declared = declare_networks(network_sections, report)
    networks = assemble_networks(
        network_sections, declared, network_names, security_group_names, limits, report
    )
    check_peer_overlaps(networks, network_names, report)

    group_sections = list_section(fields, "applicationSecurityGroups")
    check_numbers("applicationSecurityGroups", group_sections, limits, report)
    groups = declare_groups(group_sections, network_names, report)
    subnets = [subnet for network in declared for subnet in network.all_subnets]
    kind = "virtual machine" if in_force.dialect.attaches_to_machines else "network interface"
    reader = InterfaceReader(
        network_names, security_group_names, groups, subnets, limits, report, kind
    )
    interfaces, cloud_services = CloudServiceReader(
        reader.names, security_group_names, report
    ).assemble(
        list_section(fields, "cloudServices"),
        reader.assemble(list_section(fields, "networkInterfaces") + machine_sections(fields)),
    )
    scale_sets = assemble_scale_sets(
        list_section(fields, "scaleSets"), security_group_names, reader, report
    )

    cloud_section = only_section(fields, "serviceTags", report)
    cloud = read_cloud(cloud_section)
    may_judge = report.is_complete or cloud_section is not None
    rule_tags = RuleTags(cloud, tags, report, may_judge, in_force)
    references = References(groups, rule_tags, limits, report, in_force)
    rules = assemble_security_groups(security_groups, references)
    admin_configurations = AdminReader(network_names, rule_tags, report).assemble(
        list_section(fields, "securityAdminConfigurations")
    )

    daemon = [
        (Place(document, ("daemon",)), of_document["daemon"])
        for document, of_document in enumerate(fields)
        if of_document.get("daemon") is not None
    ]
    return LoadedConfig(
        NetworkModel(
            tuple(networks),
            tuple(interfaces),
            tuple(rules),
            tuple(assemble_groups(group_sections, groups, limits, report)),
            scale_sets=tuple(scale_sets),
            service_tags=rule_tags.in_use(),
            platform=assemble_platform(only_section(fields, "platformAddresses", report), report),
            subscription=assemble_subscription(
                only_section(fields, "subscription", report), report, in_force
            ),
            dialect=in_force.dialect,
            cloud_services=cloud_services,
            security_admin_configurations=admin_configurations,
        ),
        assemble_settings(daemon, report),
        {
            key: of_document[key]
            for key in ("serviceTags", "limits")
            for of_document in fields
            if of_document.get(key)
        },
    )
