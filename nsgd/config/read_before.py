"""What the last good load read and assembled, for the next one to take over."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from nsgd.config.kept import NOTHING_KEPT, Kept

_GROUPS = "networkSecurityGroups"


class ReadDocuments:
    """Documents as they were read last time: one whose bytes are the same is not read again.

    *kept* is what they were assembled to. Only what the last good load used is remembered.
    """

    def __init__(self) -> None:
        self._by_content: dict[bytes, Mapping[str, Any]] = {}
        self.kept: Kept = NOTHING_KEPT

    @property
    def has_any(self) -> bool:
        """Tell whether something was read."""
        return bool(self._by_content)

    def get(self, content: bytes) -> Mapping[str, Any] | None:
        """The fields that a document was read to, if it was without a mistake."""
        return self._by_content.get(content)

    def with_known_groups(
        self, fields: Mapping[str, Any], present: Container[bytes]
    ) -> Mapping[str, Any]:
        """The fields of a changed document, with groups that are equal as the objects known.

        Args:
            fields: As read.
            present: The contents of documents of now: what changed was in another one.
        """
        sections = fields.get(_GROUPS)
        if not sections:
            return fields
        known = {
            raw.get("name"): raw
            for content, of_document in self._by_content.items()
            if content not in present
            for raw in of_document.get(_GROUPS) or ()
            if raw
        }
        taken = []
        for raw in sections:
            before = known.get(raw.get("name")) if raw else None
            taken.append(before if before == raw else raw)
        return {**fields, _GROUPS: taken}

    def keep(
        self,
        read: Iterable[tuple[bytes, Mapping[str, Any]]],
        kept: Kept,
    ) -> None:
        """Remember these documents, which had no mistake, and what was made of them; no others."""
        self._by_content = dict(read)
        self.kept = kept
