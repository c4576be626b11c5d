"""Loads documents: reads each, then checks all together. The package's one entrance.

Nothing is half taken: either every document is right, or all problems of all of them are raised
at once and the caller keeps what it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from nsgd.azure.notes import notes_of
from nsgd.azure.translate import NativeDocument, translate_documents
from nsgd.config.declared import declare_networks
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
from nsgd.config.tree import Unreadable
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonSettings


@dataclass(frozen=True, slots=True)
class Document:
    """A document's name, for messages, and its bytes."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What the documents declare, and how this host is to run it.

    *reading* holds the sections that say how documents are read, serviceTags and limits; *notes*
    tell what was left aside in Azure's JSON.
    """

    model: NetworkModel
    settings: DaemonSettings
    reading: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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
) -> LoadedConfig:
    """Load YAML or JSON documents as one: their lists are joined in the order given.

    Args:
        documents: At least one.
        read_before: What an earlier call read; this call's documents take its place if all of
            them are right.
        tags: Where Microsoft's service tags files are; None is as good as none installed.

    Raises:
        ConfigRefused: with every problem of all documents, by document and line. No document at
            all is a problem too: it would take every rule away.
    """
    if not documents:
        raise ConfigRefused(
            (Problem("documents", "", None, "there is none", "name at least one document"),)
        )
    before = read_before or ReadDocuments()
    known = [before.get(document.content) for document in documents]
    parsed: list[ParsedDocument | Unreadable] = []
    for document, known_document in zip(documents, known, strict=True):
        if known_document is not None:
            parsed.append(known_document[0])
            continue
        try:
            parsed.append(parse_document(document.content))
        except Unreadable as unreadable:
            parsed.append(unreadable)
    is_complete = not any(isinstance(result, Unreadable) for result in parsed)
    trees = [None if isinstance(result, Unreadable) else result.tree for result in parsed]
    # What Azure's JSON becomes depends on the other documents, so it is never kept.
    translation = translate_documents(trees, is_complete)
    natives = translation.documents
    sources = [
        Source(document.name)
        if isinstance(result, Unreadable)
        else Source(document.name, result.text, result.tree, native.origins if native else None)
        for document, result, native in zip(documents, parsed, natives, strict=True)
    ]
    report = Report(sources, is_complete)
    for at, message, way_out in translation.findings.mistakes:
        report.add_as_written(Place(*at), message, way_out)
    fields = [
        known_document[1]
        if known_document is not None and native is None
        else _read(Place(index), result, native, report)
        for index, (result, known_document, native) in enumerate(
            zip(parsed, known, natives, strict=True)
        )
    ]
    loaded = _assemble(fields, tags, report)
    problems = report.problems()
    if problems:
        raise ConfigRefused(problems)
    contents = (document.content for document in documents)
    before.keep(
        (content, result, read)
        for content, result, read, native in zip(contents, parsed, fields, natives, strict=True)
        if native is None
    )
    notes = notes_of(translation.findings, [document.name for document in documents])
    return replace(loaded, notes=notes)


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
    limits = read_limits(only_section(fields, "limits", report))
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
    reader = InterfaceReader(network_names, security_group_names, groups, subnets, limits, report)
    interfaces = reader.assemble(list_section(fields, "networkInterfaces"))
    scale_sets = assemble_scale_sets(
        list_section(fields, "scaleSets"), security_group_names, reader, report
    )

    cloud_section = only_section(fields, "serviceTags", report)
    cloud = read_cloud(cloud_section)
    may_judge = report.is_complete or cloud_section is not None
    rule_tags = RuleTags(cloud, tags, report, may_judge)
    references = References(groups, rule_tags, limits, report)
    rules = assemble_security_groups(security_groups, references)

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
                only_section(fields, "subscription", report), report
            ),
        ),
        assemble_settings(daemon, report),
        {
            key: of_document[key]
            for key in ("serviceTags", "limits")
            for of_document in fields
            if of_document.get(key)
        },
    )
