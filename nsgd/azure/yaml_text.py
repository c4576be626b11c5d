"""Writes plain values as YAML that reads well, and that no reader takes for other types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

_LONGEST_LINE = 100

# What no version of YAML takes for anything but text, also inside brackets.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(?:/[0-9]+)?")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def to_yaml(document: Mapping[str, object]) -> str:
    """A document as YAML: objects by lines, lists of plain values in brackets where they fit."""
    return "".join(f"{line}\n" for line in _object(document, "")) or "{}\n"


def _object(value: Mapping[str, object], indent: str) -> Iterator[str]:
    for key, entry in value.items():
        start = f"{indent}{_scalar(key)}:"
        if isinstance(entry, Mapping) and entry:
            yield start
            yield from _object(entry, f"{indent}  ")
        elif isinstance(entry, Sequence) and not isinstance(entry, str):
            inline = _inline(entry)
            if inline is not None and len(start) + 1 + len(inline) <= _LONGEST_LINE:
                yield f"{start} {inline}"
            else:
                yield start
                yield from _list(entry, f"{indent}  ")
        else:
            yield f"{start} {_scalar(entry)}"


def _list(values: Sequence[object], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping) and value:
            first, *rest = _object(value, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{indent}- {_scalar(value)}"


def _inline(values: Sequence[object]) -> str | None:
    if any(isinstance(value, Mapping) for value in values):
        return None
    return f"[{', '.join(map(_scalar, values))}]"


def _scalar(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if value.isascii() and value.isprintable():
        quoted = value.replace("'", "''")
        return f"'{quoted}'"
    # JSON's escapes are YAML's; characters beyond ASCII stand as they are, as YAML has no pairs.
    return json.dumps(value, ensure_ascii=False)
