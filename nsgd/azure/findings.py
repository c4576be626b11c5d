"""What reading Azure's JSON finds beside its resources: mistakes, notes, and what was read over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import NamedTuple

from nsgd.azure.origins import Written

_SHOWN_CHARACTERS = 60


class Mistake(NamedTuple):
    """A problem at a place of the user's file."""

    at: Written
    message: str
    way_out: str
    others: tuple[Written, ...] = ()  # places that the message ends with


class Note(NamedTuple):
    """Something that is not as in Azure, or was left aside, and that no rule depends on."""

    at: Written
    text: str


class Findings:
    """Collects them over all documents.

    *is_complete* is False where a document could not be read at all: a resource that is nowhere
    may then be there, so references to it are not reported. *ways_out* say, by document, what to do
    where something is missing; *templates* are the documents that are some.
    """

    def __init__(
        self,
        is_complete: bool = True,
        ways_out: Mapping[int, str] | None = None,
        templates: Container[int] = (),
    ) -> None:
        self.is_complete = is_complete
        self.templates = templates
        self._ways_out = ways_out or {}
        self.mistakes: list[Mistake] = []
        self.notes: list[Note] = []
        self.read_over: Counter[str] = Counter()  # resources by type

    def way_out_of_missing(self, at: Written, usual: str) -> str:
        """What to do where a document refers to what is nowhere; some documents know better."""
        return self._ways_out.get(at.document, usual)

    def refuse(self, at: Written, message: str, way_out: str, *others: Written) -> None:
        """Note a mistake; the message ends with the places of *others*."""
        self.mistakes.append(Mistake(at, message, way_out, others))

    def note(self, at: Written, text: str) -> None:
        """Note what a user may want to know."""
        self.notes.append(Note(at, text))


def shown(value: object) -> str:
    """A value for a message: one line, printable, of bounded length."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}...")
    return repr(value)[:_SHOWN_CHARACTERS]
