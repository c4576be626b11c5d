"""Loads documents: reads each, then checks all together. The package's one entrance.

Nothing is half taken: either every document is right, or all problems of all of them are raised
at once and the caller keeps what it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nsgd.azure.notes import notes_of
from nsgd.azure.recognise import is_azure
from nsgd.azure.translate import NativeDocument, translate_documents
from nsgd.config.assemble import LoadedConfig, assemble_after
from nsgd.config.dialect import read_dialect, reword
from nsgd.config.document import Document, ReadLinked, Role
from nsgd.config.emptiness import nothing_declared
from nsgd.config.parse import ParsedDocument, ReadAgain, parse_document
from nsgd.config.places import Places
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.read_before import ReadDocuments
from nsgd.config.report import Place, Report, Source
from nsgd.config.schema import DOCUMENT
from nsgd.config.shape import Mistake
from nsgd.config.tag_catalogue import TagSource
from nsgd.config.templates import read_templates
from nsgd.config.tree import Unreadable

__all__ = ["Document", "LoadedConfig", "ReadDocuments", "Role", "load_documents"]


def load_documents(
    documents: Sequence[Document],
    read_before: ReadDocuments | None = None,
    tags: TagSource | None = None,
    read_linked: ReadLinked | None = None,
    *,
    keep_places: bool = False,
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
        keep_places: Keep the text of the documents, to find rules in it later.

    Raises:
        ConfigRefused: with every problem of all documents, by document and line. No document at
            all is a problem too: it would take every rule away.
    """
    if not any(document.role is Role.POLICY for document in documents):
        raise ConfigRefused(
            (Problem("documents", "", None, "there is none", "name at least one document"),)
        )
    before = read_before or ReadDocuments()
    known = before.find(documents)
    read_already = {index for index, document in enumerate(known) if document is not None}
    templates = read_templates(documents, read_already, read_linked)
    parsed: list[ParsedDocument | ReadAgain | Unreadable] = []
    for index, document in enumerate(documents):
        if index in read_already:
            parsed.append(ReadAgain(document.content))
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
    # What Azure's JSON becomes depends on the other documents, so it is never kept; where there is
    # none, nobody asks for the trees of what is known.
    has_azure = bool(templates.evaluated) or any(
        is_azure(result.tree) for result in parsed if isinstance(result, ParsedDocument)
    )
    trees = [
        result.tree
        if isinstance(result, ParsedDocument) or (isinstance(result, ReadAgain) and has_azure)
        else None
        for result in parsed
    ]
    translation = translate_documents(
        trees, is_complete, templates.resources(), templates.ways_out()
    )
    natives = translation.documents
    sources = [
        Source(document.name)
        if isinstance(result, Unreadable)
        else templates.source(index, document.name, native)
        if index in templates.taken
        else Source(document.name, result, native.origins if native else None)
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
    mistakes: list[tuple[Place, Mistake]] = []
    fields = [
        known_document
        if known_document is not None and native is None
        else {}
        if index in templates.taken and native is None
        else _read(Place(index), result, native, report, mistakes)
        for index, (result, known_document, native) in enumerate(
            zip(parsed, known, natives, strict=True)
        )
    ]
    if before.has_any:
        present = {document.content for document in documents}
        fields = [
            before.with_known_groups(document.content, of_document, present)
            for document, of_document in zip(documents, fields, strict=True)
        ]
    in_force = read_dialect(fields, report)
    for place, mistake in mistakes:
        report.add(place, mistake.message, reword(mistake, in_force).way_out)
    loaded, to_keep = assemble_after(before.kept, fields, in_force, tags, report, sources)
    problems = report.problems() or nothing_declared(documents, fields, _native(parsed, natives))
    if problems:
        raise ConfigRefused(problems)
    read = (
        (documents[index], of_document)
        for index, (of_document, native) in enumerate(zip(fields, natives, strict=True))
        if native is None and index not in templates.taken
    )
    before.keep(read, to_keep())
    notes = notes_of(translation.findings, lambda at: report.describe(at.document, at.path))
    return replace(
        loaded,
        notes=(*templates.notes, *notes),
        linked=tuple(templates.linked),
        warnings=tuple(templates.warnings),
        places=Places(report, fields) if keep_places else None,
    )


def _native(
    parsed: Sequence[ParsedDocument | ReadAgain | Unreadable],
    natives: Sequence[NativeDocument | None],
) -> Iterator[Mapping[str, object] | None]:
    """The documents that were native as they were written; None for others."""
    for result, native in zip(parsed, natives, strict=True):
        tree = None if isinstance(result, Unreadable) or native is not None else result.tree
        yield tree if isinstance(tree, dict) else None


def _read(
    place: Place,
    parsed: ParsedDocument | ReadAgain | Unreadable,
    native: NativeDocument | None,
    report: Report,
    mistakes: list[tuple[Place, Mistake]],
) -> Mapping[str, Any]:
    """One document's fields as the tables read them; what is wrong with its text is reported.

    What is wrong with the fields goes to *mistakes*, until the dialect of all documents is known.
    """
    if isinstance(parsed, Unreadable):
        report.add(place, parsed.message, parsed.way_out, parsed.line)
        return {}
    for path, line, message, way_out in parsed.mistakes:
        report.add_as_written(place.at(*path), message, way_out, line)
    found: list[Mistake] = []
    fields = DOCUMENT.read(parsed.tree if native is None else native.tree, found)
    mistakes += [(place.at(*reversed(mistake.path)), mistake) for mistake in found]
    return fields or {}
