"""Reads one object of Azure's JSON: fields under ``properties`` or beside it, keys in any case.

What a table does not know is refused, unless it is empty: a field that nsgd never heard of could
decide something.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nsgd.azure.findings import Findings, shown
from nsgd.azure.origins import Leaf, Piece, Written
from nsgd.model.spelling import fold as fold

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


def text_of(value: object) -> str:
    """A text that equal values of JSON share, and no others."""
    try:
        return json.dumps(value, sort_keys=True)
    except RecursionError:
        return f"at {id(value)}"


def read_fields(table: Table, value: object, at: Written, findings: Findings) -> Fields | None:
    """The fields of one object, or None where it is none, which is then noted."""
    if not isinstance(value, dict):
        findings.refuse(at, f"{shown(value)} is not {table.what}", "write an object")
        return None
    below = next(iter(spellings(value, "properties")), None)
    inner = None if below is None else value[below]
    has_inner = below is not None and isinstance(inner, dict)
    fields = Fields(at, at.at(below) if below is not None and has_inner else at)
    _take(table, value, at, fields, findings, below)
    if isinstance(inner, dict):
        _take(table, inner, fields.below, fields, findings)
    elif inner is not None:
        where = at.at(below or "properties")
        findings.refuse(where, f"{shown(inner)} is not an object", "write an object")
    return fields


def spellings(value: Mapping[str, object], key: str) -> list[str]:
    """The keys of an object that are *key*, which is in lower case, in any case; *key* first."""
    length = len(key)
    found = [k for k in value if len(k) == length and k != key and fold(k) == key]
    return [key, *found] if key in value else found


def only_spelling(
    value: Mapping[str, object], key: str, at: Written, findings: Findings
) -> str | None:
    """The key as an object has it, or None; a second one is refused."""
    found = spellings(value, key)
    for other in found[1:]:
        findings.refuse(
            at.at(other),
            f"{shown(other)} is given twice, as keys compare without case: also by",
            "keep one of them",
            at.at(found[0]),
        )
    return found[0] if found else None


def _take(
    table: Table,
    value: dict[str, object],
    base: Written,
    fields: Fields,
    findings: Findings,
    below: str | None = None,
) -> None:
    """Take the fields of one level; *below* is the key of the other one."""
    keys = table.keys
    for key, entry in value.items():
        if entry is None or (not entry and entry in ("", [])) or key == below:
            continue
        known = keys.get(key, False)
        if known is False:
            known = keys.get(fold(key), False)
        if known is None:
            continue
        if entry == {}:
            # Azure leaves out what there is nothing of: this is somebody's mistake.
            if isinstance(known, str):
                findings.refuse(base.at(key), "an empty object says nothing", "fill or remove it")
        elif isinstance(known, str):
            if not fields.set(known, entry, base, key) and fields.get(known) != entry:
                findings.refuse(
                    base.at(key),
                    f"{known} is given twice, also by",
                    "keep one of them",
                    fields.where(known),
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
