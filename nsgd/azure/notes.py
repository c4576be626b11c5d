"""What a user may want to know of documents of Azure's JSON, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from nsgd.azure.findings import Findings
from nsgd.azure.origins import Written


def notes_of(findings: Findings, names: Sequence[str]) -> tuple[str, ...]:
    """The notes, each with its place, and then the types of resources that were read over.

    Args:
        findings: Of one translation.
        names: The documents' names.
    """
    notes = [f"{_place(at, names)}: {text}" for at, text in findings.notes]
    for resource_type, count in sorted(findings.read_over.items()):
        notes.append(f"read over: {count} of type {resource_type}")
    return tuple(notes)


def _place(at: Written, names: Sequence[str]) -> str:
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in at.path)
    return f"{names[at.document]}: {path.removeprefix('.')}" if path else names[at.document]
