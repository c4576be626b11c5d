"""Reads one object of Azure's JSON: fields under ``properties`` or beside it, keys in any case.

What a table does not know is refused, unless it is empty: a field that nsgd never heard of could
decide something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nsgd.azure.findings import Findings, shown
from nsgd.azure.origins import Leaf, Piece, Written

# In any resource, and in what is inside one: these say who, where and when, and decide nothing.
_ANYWHERE = (
    "apiVersion",
    "comments",
    "dependsOn",
    "etag",
    "extendedLocation",
    "id",
    "identity",
    "kind",
    "location",
    "managedBy",
    "name",
    "plan",
    "provisioningState",
    "resourceGroup",
    "resourceGuid",
    "sku",
    "systemData",
    "tags",
    "type",
    "zones",
)


class Only(NamedTuple):
    """The only value of a field that can be expressed; *meaning* says what another would mean."""

    value: object
    meaning: str
    way_out: str


class Table:
    """The keys of one kind of object: those that are *used*, and those that decide nothing."""

    def __init__(
        self,
        what: str,
        used: Sequence[str],
        ignored: Sequence[str] = (),
        only: Mapping[str, Only] | None = None,
    ) -> None:
        self.what = what
        # By the usual spelling too, which is nearly always the one that is met.
        self.keys: dict[str, str | Only | None] = {}
        for key in (*_ANYWHERE, *ignored):
            self.keys[key] = self.keys[fold(key)] = None
        for key in used:
            self.keys[key] = self.keys[fold(key)] = key
        for key, value in (only or {}).items():
            self.keys[key] = self.keys[fold(key)] = value


class Fields:
    """The used fields of one object, with their places; a field that is empty is absent."""

    __slots__ = ("_fields", "at", "below")

    def __init__(self, at: Written, below: Written) -> None:
        self.at = at
        self.below = below
        self._fields: dict[str, tuple[object, tuple[Written, str]]] = {}

    def set(self, key: str, value: object, base: Written, written_key: str) -> bool:
        """Keep a field; False if it is there already."""
        return self._fields.setdefault(key, (value, (base, written_key)))[0] is value

    def copy_to(self, piece: Piece, keys: Sequence[str]) -> None:
        """Take these fields over as they are, those that are there."""
        for key in keys:
            found = self._fields.get(key)
            if found is not None:
                value, (base, written_key) = found
                piece.value[key] = value
                if base is not piece.below or written_key != key:
                    piece.parts[key] = Leaf(base.at(written_key))

    def get(self, key: str) -> object:
        """The value, or None where it is absent."""
        found = self._fields.get(key)
        return None if found is None else found[0]

    def where(self, key: str) -> Written:
        """Where the field stands, or would stand."""
        found = self._fields.get(key)
        return self.below.at(key) if found is None else found[1][0].at(found[1][1])


def fold(text: str) -> str:
    """The form in which names and keys are compared: only ASCII letters have two cases."""
    return text.lower() if text.isascii() else text


def read_fields(table: Table, value: object, at: Written, findings: Findings) -> Fields | None:
    """The fields of one object, or None where it is none, which is then noted."""
    if not isinstance(value, dict):
        findings.refuse(at, f"{shown(value)} is not {table.what}", "write an object")
        return None
    inner = value.get("properties")
    has_inner = isinstance(inner, dict)
    fields = Fields(at, at.at("properties") if has_inner else at)
    _take(table, value, at, fields, findings)
    if has_inner:
        assert isinstance(inner, dict)
        _take(table, inner, fields.below, fields, findings)
    elif inner is not None:
        findings.refuse(at.at("properties"), f"{shown(inner)} is not an object", "write an object")
    return fields


def _take(
    table: Table, value: dict[str, object], base: Written, fields: Fields, findings: Findings
) -> None:
    keys = table.keys
    for key, entry in value.items():
        if entry is None or (not entry and entry in ("", [], {})):
            continue
        known = keys.get(key, False)
        if known is False:
            known = keys.get(fold(key), False)
        if known is None or (key == "properties" and base is fields.at):
            continue
        if isinstance(known, str):
            if not fields.set(known, entry, base, key) and fields.get(known) != entry:
                findings.refuse(
                    base.at(key),
                    f"{known} is given twice, also as {_last(fields.where(known))}",
                    "keep one of them",
                )
        elif isinstance(known, Only):
            # Not ==: 1 is not true.
            if entry is not known.value:
                findings.refuse(
                    base.at(key),
                    f"{shown(entry)} cannot be expressed: {known.meaning}",
                    known.way_out,
                )
        else:
            findings.refuse(
                base.at(key),
                f"key {shown(key)} of {table.what} is not known, and may decide something",
                "remove it if nothing depends on it",
            )


def entries_of(fields: Fields, key: str, findings: Findings) -> Iterator[tuple[object, Written]]:
    """The entries of a list with their places; nothing where it is absent."""
    value = fields.get(key)
    where = fields.where(key)
    if isinstance(value, list):
        for index, entry in enumerate(value):
            yield entry, where.at(index)
    elif value is not None:
        findings.refuse(where, f"{shown(value)} is not a list", "write a list")


def _last(where: Written) -> str:
    return ".".join(str(key) for key in where.path[-2:])
