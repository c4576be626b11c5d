"""What the last good load read and assembled, for the next one to take over."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nsgd.config.document import Document, Role
from nsgd.config.json_parts import GROUPS, Known, OddError, Parts, compare, find_parts
from nsgd.config.kept import NOTHING_KEPT, Kept
from nsgd.config.parse import decode_document
from nsgd.config.schema import DOCUMENT
from nsgd.config.shape import Mistake
from nsgd.config.template_text import may_be_deployment
from nsgd.config.tree import Unreadable
from nsgd.model.address import ALL_PORTS

Fields = Mapping[str, Any]


class _Read(NamedTuple):
    content: bytes
    fields: Fields
    parts: Parts | None = None  # of JSON that has changed since the first load


class ReadDocuments:
    """Documents as they were read last time: one whose bytes are the same is not read again.

    Nor are those parts of a JSON document whose text is the same as last time in the document of
    this name. *kept* is what all were assembled to. Only what the last good load used is
    remembered.
    """

    def __init__(self) -> None:
        self._by_content: dict[bytes, _Read] = {}
        self._by_name: dict[str, _Read] = {}
        self._changed: dict[bytes, _Read] = {}  # found by the load that is under way
        self.kept: Kept = NOTHING_KEPT

    @property
    def has_any(self) -> bool:
        """Tell whether something was read."""
        return bool(self._by_content)

    def find(self, documents: Sequence[Document]) -> list[Fields | None]:
        """The fields of those documents of a policy that are known to be without a mistake.

        None for one that must be read: it is new, or has changed in a way that asks for a look at
        the whole, or has a mistake.
        """
        self._changed = {}
        return [self._get(each) if each.role is Role.POLICY else None for each in documents]

    def _get(self, document: Document) -> Fields | None:
        found = self._by_content.get(document.content)
        if found is None and (before := self._by_name.get(document.name)) is not None:
            found = _read_changed(before, document.content)
            if found is not None:
                self._changed[document.content] = found
        return None if found is None else found.fields

    def with_known_groups(
        self, content: bytes, fields: Fields, present: Container[bytes]
    ) -> Fields:
        """The fields of a changed document, with groups that are equal as the objects known.

        Args:
            content: The document's.
            fields: As read.
            present: The contents of documents of now: what changed was in another one.
        """
        sections = fields.get(GROUPS)
        if not sections or content in self._by_content:
            return fields
        known = {
            raw.get("name"): raw
            for content, read in self._by_content.items()
            if content not in present
            for raw in read.fields.get(GROUPS) or ()
            if raw
        }
        taken = []
        for raw in sections:
            before = known.get(raw.get("name")) if raw else None
            taken.append(before if before == raw and not _may_be_refused(raw) else raw)
        return {**fields, GROUPS: taken}

    def keep(self, read: Iterable[tuple[Document, Fields]], kept: Kept) -> None:
        """Remember these documents, which had no mistake, and what was made of them; no others."""
        documents = list(read)
        by_content: dict[bytes, _Read] = {}
        for document, fields in documents:
            content = document.content
            known = self._changed.get(content) or self._by_content.get(content)
            parts = None if known is None else known.parts
            by_content[content] = _Read(content, fields, parts)
        self._by_content = by_content
        self._by_name = {each.name: by_content[each.content] for each, _ in documents}
        self._changed = {}
        self.kept = kept


def _may_be_refused(group: Fields) -> bool:
    """Whether a group may have a mistake though it equals one that has none.

    '*' equals '0-65535', and of the two only this may stand in a list of several.
    """
    return any(
        len(ports) > 1 and any(each is ALL_PORTS for each in ports)
        for key in ("securityRules", "defaultSecurityRules")
        for rule in group.get(key) or ()
        for ports in (rule.get("sourcePortRanges", ()), rule.get("destinationPortRanges", ()))
    )


def _read_changed(before: _Read, content: bytes) -> _Read | None:
    """A document that was *before* before, by what has changed; None where that is not the way."""
    try:
        text, text_before = decode_document(content), decode_document(before.content)
        parts = before.parts or find_parts(text_before)
        # What calls itself a template is asked whether it is one.
        found = None if may_be_deployment(content) else compare(text, text_before, parts)
    except (OddError, Unreadable):
        return None
    if found is None:
        return None
    mistakes: list[Mistake] = []
    fields = dict(before.fields)
    for key, value in found.changed.items():
        fields.pop(key, None)  # it may be empty now, and as good as absent
        fields.update(DOCUMENT.read({key: value}, mistakes) or {})
    if found.groups is not None:
        fields.pop(GROUPS)
        known_groups = before.fields[GROUPS]
        parsed = [entry for entry in found.groups if not isinstance(entry, Known)]
        read = iter((DOCUMENT.read({GROUPS: parsed}, mistakes) or {}).get(GROUPS, ()))
        groups = [
            known_groups[entry.place] if isinstance(entry, Known) else next(read)
            for entry in found.groups
        ]
        if groups:
            fields[GROUPS] = groups
    return None if mistakes else _Read(content, fields, found.parts)
