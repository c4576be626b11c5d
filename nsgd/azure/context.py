"""What the translators of single kinds share: findings, references, and what waits for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nsgd.azure.directory import Directory
from nsgd.azure.fields import Fields, entries_of, fold
from nsgd.azure.findings import Findings
from nsgd.azure.origins import Piece, Written
from nsgd.azure.recognise import Resource


class DynamicAddress(NamedTuple):
    """An address that Azure would choose: one entry of a NIC's ``privateIPAddresses``."""

    interface: Piece
    position: int
    version: int
    at: Written


class OpenScaleSet(NamedTuple):
    """A scale set whose addresses are those of its whole subnet, unless a document says which."""

    scale_set: Piece
    at: Written


@dataclass(slots=True)
class Context:
    """One translation of all documents."""

    directory: Directory
    findings: Findings
    dynamic: list[DynamicAddress] = field(default_factory=list)
    open_scale_sets: list[OpenScaleSet] = field(default_factory=list)


Translator = Callable[[object, Written, Context], Piece | None]


def translate_parts(
    resource: Resource, fields: Fields, key: str, translate: Translator, context: Context
) -> list[Piece]:
    """The entries of a list: those that the resource has, and those that stand by themselves.

    One that stands in both, and is the same, is read once.
    """
    pieces = []
    by_name: dict[str, list[Piece]] = {}
    for value, at, is_inside in _parts(resource, fields, key, context):
        piece = translate(value, at, context)
        if piece is None:
            continue
        name = piece.value.get("name")
        same_name = by_name.setdefault(fold(name), []) if isinstance(name, str) else []
        if is_inside or not any(other.value == piece.value for other in same_name):
            same_name.append(piece)
            pieces.append(piece)
    return pieces


def _parts(
    resource: Resource, fields: Fields, key: str, context: Context
) -> Iterator[tuple[object, Written, bool]]:
    for value, at in entries_of(fields, key, context.findings):
        yield value, at, True
    for value, at in resource.parts.get(key, ()):
        yield value, at, False
