"""Fields of flow logs' JSON, which anybody may have written: wrong ones are told and left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_MOST_KEPT = 20


@dataclass(slots=True)
class Problems:
    """What could not be read: how much, and the first of it as ``path: message``."""

    count: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, path: str, message: str) -> None:
        """Note one problem."""
        self.count += 1
        if len(self.lines) < _MOST_KEPT:
            self.lines.append(f"{path}: {message}")


def text(fields: Mapping[str, Any], key: str) -> str:
    """A field that is text; empty where it is absent or is something else."""
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def entries(fields: Mapping[str, Any], key: str, path: str, problems: Problems) -> Sequence[Any]:
    """A field that is a list; a problem and nothing where it is not."""
    value = fields.get(key)
    if isinstance(value, list):
        return value
    problems.add(f"{path}.{key}", "not a list")
    return ()


def objects(
    fields: Mapping[str, Any], key: str, path: str, problems: Problems
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The objects of a list, each with its path."""
    for index, entry in enumerate(entries(fields, key, path, problems)):
        entry_path = f"{path}.{key}[{index}]"
        if isinstance(entry, dict):
            yield entry, entry_path
        else:
            problems.add(entry_path, "not an object")


def child(fields: Mapping[str, Any], key: str, path: str, problems: Problems) -> Mapping[str, Any]:
    """A field that is an object; a problem and an empty one where it is not."""
    value = fields.get(key)
    if isinstance(value, dict):
        return value
    problems.add(f"{path}.{key}", "not an object")
    return {}
