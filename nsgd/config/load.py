"""Loads documents: reads each, then checks all together. The package's one entrance.

Nothing is half taken: either every document is right, or all problems of all of them are raised
at once and the caller keeps what it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from nsgd.config.declared import declare_networks
from nsgd.config.groups import assemble_groups, declare_groups
from nsgd.config.interfaces import InterfaceReader
from nsgd.config.names import Names
from nsgd.config.networks import assemble_networks
from nsgd.config.parse import ParsedDocument, parse_document
from nsgd.config.peerings import check_peer_overlaps
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.report import Place, Report, Source
from nsgd.config.rules import assemble_security_groups
from nsgd.config.schema import DOCUMENT
from nsgd.config.settings import assemble_settings
from nsgd.config.shape import Mistake
from nsgd.config.tree import Unreadable
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonSettings

_Section = list[tuple[Place, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Document:
    """A document's name, for messages, and its bytes."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What the documents declare, and how this host is to run it."""

    model: NetworkModel
    settings: DaemonSettings


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
    documents: Sequence[Document], read_before: ReadDocuments | None = None
) -> LoadedConfig:
    """Load YAML or JSON documents as one: their lists are joined in the order given.

    Args:
        documents: At least one.
        read_before: What an earlier call read; this call's documents take its place if all of
            them are right.

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
    sources = [
        Source(document.name)
        if isinstance(result, Unreadable)
        else Source(document.name, result.text, result.tree)
        for document, result in zip(documents, parsed, strict=True)
    ]
    report = Report(sources, not any(isinstance(result, Unreadable) for result in parsed))
    fields = [
        _read(Place(index), result, report) if known_document is None else known_document[1]
        for index, (result, known_document) in enumerate(zip(parsed, known, strict=True))
    ]
    loaded = _assemble(fields, report)
    problems = report.problems()
    if problems:
        raise ConfigRefused(problems)
    contents = (document.content for document in documents)
    before.keep(zip(contents, parsed, fields, strict=True))
    return loaded


def _read(place: Place, parsed: ParsedDocument | Unreadable, report: Report) -> Mapping[str, Any]:
    """One document's fields as the tables read them; what is wrong is reported."""
    if isinstance(parsed, Unreadable):
        report.add(place, parsed.message, parsed.way_out, parsed.line)
        return {}
    for path, line, message, way_out in parsed.mistakes:
        report.add(place.at(*path), message, way_out, line)
    mistakes: list[Mistake] = []
    fields = DOCUMENT.read(parsed.tree, mistakes)
    for mistake in mistakes:
        report.add(place.at(*reversed(mistake.path)), mistake.message, mistake.way_out)
    return fields or {}


def _section(fields: Sequence[Mapping[str, Any]], key: str) -> _Section:
    """The entries of one list in all documents, each with its place."""
    return [
        (Place(document, (key, index)), entry)
        for document, of_document in enumerate(fields)
        for index, entry in enumerate(of_document.get(key) or ())
        if entry is not None
    ]


def _assemble(fields: Sequence[Mapping[str, Any]], report: Report) -> LoadedConfig:
    """Build the model; it may lack what was reported, so it counts only without problems."""
    security_groups = _section(fields, "networkSecurityGroups")
    security_group_names: Names[str] = Names("network security group", report)
    for place, raw in security_groups:
        name: str | None = raw.get("name")
        if name is not None:
            security_group_names.declare(name, place, name)

    network_sections = _section(fields, "virtualNetworks")
    network_names, declared = declare_networks(network_sections, report)
    networks = assemble_networks(
        network_sections, declared, network_names, security_group_names, report
    )
    check_peer_overlaps(networks, network_names, report)

    group_sections = _section(fields, "applicationSecurityGroups")
    groups = declare_groups(group_sections, network_names, report)
    subnets = [subnet for network in declared for subnet in network.all_subnets]
    reader = InterfaceReader(network_names, security_group_names, groups, subnets, report)
    interfaces = reader.assemble(_section(fields, "networkInterfaces"))

    daemon = [
        (Place(document, ("daemon",)), of_document["daemon"])
        for document, of_document in enumerate(fields)
        if of_document.get("daemon") is not None
    ]
    return LoadedConfig(
        NetworkModel(
            tuple(networks),
            tuple(interfaces),
            tuple(assemble_security_groups(security_groups, groups, report)),
            tuple(assemble_groups(group_sections, groups)),
        ),
        assemble_settings(daemon, report),
    )
