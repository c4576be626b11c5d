"""What the last good load read and assembled, for the next one to take over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nsgd.config.kept import NOTHING_KEPT, Kept


class ReadDocuments:
    """Documents as they were read last time: one whose bytes are the same is not read again.

    *kept* is what they were assembled to. Only what the last good load used is remembered.
    """

    def __init__(self) -> None:
        self._by_content: dict[bytes, Mapping[str, Any]] = {}
        self.kept: Kept = NOTHING_KEPT

    def get(self, content: bytes) -> Mapping[str, Any] | None:
        """The fields that a document was read to, if it was without a mistake."""
        return self._by_content.get(content)

    def keep(
        self,
        read: Iterable[tuple[bytes, Mapping[str, Any]]],
        kept: Kept,
    ) -> None:
        """Remember these documents, which had no mistake, and what was made of them; no others."""
        self._by_content = dict(read)
        self.kept = kept
