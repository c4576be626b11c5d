"""Sections of several documents as one: lists are joined, and what stands once is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.report import Place, Report

Section = tuple[Place, Mapping[str, Any]]


def list_section(fields: Sequence[Mapping[str, Any]], key: str) -> list[Section]:
    """The entries of one list in all documents, each with its place."""
    return [
        (Place(document, (key, index)), entry)
        for document, of_document in enumerate(fields)
        for index, entry in enumerate(of_document.get(key) or ())
        if entry is not None
    ]


def only_section(fields: Sequence[Mapping[str, Any]], key: str, report: Report) -> Section | None:
    """The object under *key*, which one document at most may have; a second one is reported."""
    found = [
        (Place(document, (key,)), of_document[key])
        for document, of_document in enumerate(fields)
        if of_document.get(key) is not None
    ]
    for place, _ in found[1:]:
        report.add(
            place,
            f"the {key} section is already given by {report.locate(found[0][0], place)}",
            "keep it in one document",
        )
    return found[0] if found else None
