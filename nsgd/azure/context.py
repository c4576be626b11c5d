"""What the translators of single kinds share: findings, references, and what waits for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nsgd.azure.directory import Directory
from nsgd.azure.fields import Fields, entries_of, fold, text_of
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
    # By the id() of a piece: where a native document adds to it, and those it gives addresses.
    overlaid: dict[int, Written] = field(default_factory=dict)
    addressed: set[int] = field(default_factory=set)


Translator = Callable[[object, Written, Context], Piece | None]


def translate_parts(
    resource: Resource, fields: Fields, key: str, translate: Translator, context: Context
) -> list[Piece]:
    """The entries of a list: those that the resource has, and those that stand by themselves.

    One that stands in both, and is the same, is read once. In a template the one that stands by
    itself is deployed after the resource, and takes the place of that inside.
    """
    pieces = []
    seen: set[str] = set()
    has_others = bool(resource.parts.get(key))
    later = _deployed_later(resource, key, context)
    for value, at, is_inside in _parts(resource, fields, key, context):
        if is_inside and (again := later.get(_name_of(value))) is not None:
            if not isinstance(value, dict) or value.get("properties") != again.get("properties"):
                context.findings.note(at, "is deployed again later, by itself: that counts")
            continue
        piece = translate(value, at, context)
        if piece is None:
            continue
        # What has no name is reported for that, each by itself.
        if has_others and piece.value.get("name") is not None:
            text = text_of(piece.value)
            if text in seen and not is_inside:
                continue
            seen.add(text)
        pieces.append(piece)
    return pieces


def _deployed_later(
    resource: Resource, key: str, context: Context
) -> dict[str | None, dict[str, object]]:
    """Parts by name that the resource's own template deploys by themselves."""
    if resource.at.document not in context.findings.templates:
        return {}
    return {
        _name_of(value): value
        for value, at in resource.parts.get(key, ())
        if at.document == resource.at.document and isinstance(value, dict)
    }


def _name_of(value: object) -> str | None:
    name = value.get("name") if isinstance(value, dict) else None
    return fold(name) if isinstance(name, str) else None


def _parts(
    resource: Resource, fields: Fields, key: str, context: Context
) -> Iterator[tuple[object, Written, bool]]:
    for value, at in entries_of(fields, key, context.findings):
        yield value, at, True
    for value, at in resource.parts.get(key, ()):
        yield value, at, False
