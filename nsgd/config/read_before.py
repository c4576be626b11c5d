"""What the last good load read and assembled, for the next one to take over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nsgd.config.kept import NOTHING_KEPT, Kept
from nsgd.config.parse import ParsedDocument
from nsgd.config.tree import Unreadable


class ReadDocuments:
    """Documents as they were read last time: one whose bytes are the same is not read again.

    *kept* is what they were assembled to. Only what the last good load used is remembered.
    """

    def __init__(self) -> None:
        self._by_content: dict[bytes, tuple[ParsedDocument, Mapping[str, Any]]] = {}
        self.kept: Kept = NOTHING_KEPT

    def get(self, content: bytes) -> tuple[ParsedDocument, Mapping[str, Any]] | None:
        """What a document was read as, if it was without a mistake."""
        return self._by_content.get(content)

    def keep(
        self,
        read: Iterable[tuple[bytes, ParsedDocument | Unreadable, Mapping[str, Any]]],
        kept: Kept,
    ) -> None:
        """Remember these documents, which had no mistake, and what was made of them; no others."""
        self._by_content = {
            content: (parsed, fields)
            for content, parsed, fields in read
            if not isinstance(parsed, Unreadable)
        }
        self.kept = kept
