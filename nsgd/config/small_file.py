"""A file of one shape beside the documents, YAML or JSON: what is wrong in it, as in documents."""

from __future__ import annotations

from typing import Any

from nsgd.config.compound import ObjectOf
from nsgd.config.document import Document
from nsgd.config.parse import parse_document
from nsgd.config.problem import ConfigRefused
from nsgd.config.report import Place, Report, Source
from nsgd.config.shape import Mistake
from nsgd.config.tree import Unreadable


def read_as(shape: ObjectOf, document: Document) -> tuple[dict[str, Any], Report]:
    """Read a file.

    Returns:
        Its fields, and the report: what is wrong so far, and where places stand.

    Raises:
        ConfigRefused: It cannot be read at all.
    """
    try:
        parsed = parse_document(document.content)
    except Unreadable as unreadable:
        report = Report([Source(document.name)])
        report.add(Place(0), unreadable.message, unreadable.way_out, unreadable.line)
        raise ConfigRefused(report.problems()) from unreadable
    report = Report([Source(document.name, parsed)])
    for path, line, message, way_out in parsed.mistakes:
        report.add_as_written(Place(0).at(*path), message, way_out, line)
    mistakes: list[Mistake] = []
    fields = shape.read(parsed.tree, mistakes) or {}
    for mistake in mistakes:
        report.add(Place(0).at(*reversed(mistake.path)), mistake.message, mistake.way_out)
    return fields, report
