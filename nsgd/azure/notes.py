"""What a user may want to know of documents of Azure's JSON, as lines of text."""

from __future__ import annotations

from collections.abc import Callable

from nsgd.azure.findings import Findings
from nsgd.azure.origins import Written


def notes_of(findings: Findings, place: Callable[[Written], str]) -> tuple[str, ...]:
    """The notes, each with its place, and then the types of resources that were read over.

    Args:
        findings: Of one translation.
        place: Writes a place with its document's name.
    """
    notes = [f"{place(at)}: {text}" for at, text in findings.notes]
    for resource_type, count in sorted(findings.read_over.items()):
        notes.append(f"read over: {count} of type {resource_type}")
    return tuple(notes)
