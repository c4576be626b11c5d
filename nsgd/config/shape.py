"""Shapes: what one field of a document may hold, as values that a reader walks.

A shape reads a value of the parsed tree into a Python value. What is wrong is appended to a list
and the rest is still read, so that one pass finds everything. Paths are put together from the
inside out, by whoever holds the field: a document without mistakes builds none.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nsgd.config.problem import Key, Refusal
from nsgd.config.wording import closest, show

# A document repeats few texts many times: each is read once, and its value is one object then.
_MOST_KNOWN = 4096

# The integers of JSON, as far as a message about quotes may help.
_INTEGER = re.compile("-?(?:0|[1-9][0-9]{0,18})")


@dataclass(slots=True)
class Mistake:
    """A problem whose place is still being put together; *path* is innermost first."""

    message: str
    way_out: str
    path: list[Key] = field(default_factory=list)


class Shape(ABC):
    """What a value must look like."""

    @abstractmethod
    def read(self, value: object, mistakes: list[Mistake]) -> Any:
        """Return the value read, or note what is wrong and return None or what comes nearest."""


class Known(dict[str, Any]):
    """What texts were read to by one shape, without a mistake; bounded.

    For whoever holds a field: a look into it costs a tenth of the reading. The keys are texts and
    nothing else, as 1, 1.0 and true would be one key.
    """

    def keep(self, text: str, value: Any) -> None:
        """Remember one text."""
        if len(self) >= _MOST_KNOWN:
            self.clear()  # what occurs often is soon here again
        self[text] = value


@dataclass(frozen=True, slots=True)
class OfText(Shape):
    """A shape that reads a text to the same value whenever it comes; nobody changes that value."""

    known: Known = field(default_factory=Known, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Text(OfText):
    """Printable text of at most *longest* characters that *pattern* matches whole.

    *allowed* says in words what the pattern says.
    """

    allowed: str
    pattern: re.Pattern[str] | None = None
    longest: int | None = None
    is_multiline: bool = False

    def read(self, value: object, mistakes: list[Mistake]) -> str | None:
        """Text that is refused is still returned: references to it can then be followed."""
        if not isinstance(value, str):
            mistakes.append(not_text(value, self.allowed))
            return None
        if self.longest is not None and len(value) > self.longest:
            mistakes.append(
                Mistake(
                    f"text of {len(value)} characters, where at most {self.longest} are allowed",
                    "shorten it",
                )
            )
        elif self.pattern is not None:
            if not self.pattern.fullmatch(value):
                mistakes.append(Mistake(f"{show(value)} is not allowed", f"write {self.allowed}"))
        elif not value.isprintable():
            rest = value.replace("\n", "").replace("\t", "") if self.is_multiline else value
            if not rest.isprintable():
                mistakes.append(
                    Mistake(f"{show(value)} has characters that cannot be shown", "remove them")
                )
        return value


@dataclass(frozen=True, slots=True)
class Integer(Shape):
    """An integer from *smallest* to *largest*."""

    smallest: int
    largest: int

    def read(self, value: object, mistakes: list[Mistake]) -> int | None:
        """Numbers in quotes are text, and refused."""
        if type(value) is int and self.smallest <= value <= self.largest:
            return value
        allowed = (
            f"write {self.smallest}"
            if self.smallest == self.largest
            else f"write a number from {self.smallest} to {self.largest}"
        )
        if isinstance(value, bool) or not isinstance(value, int):
            is_quoted = isinstance(value, str) and _INTEGER.fullmatch(value)
            mistakes.append(
                Mistake(
                    f"{show(value)} is {'text, not' if is_quoted else 'not'} an integer",
                    f"{allowed}, without quotes" if is_quoted else allowed,
                )
            )
            return None
        if not self.smallest <= value <= self.largest:
            bounds = f"{self.smallest}-{self.largest}"
            mistakes.append(Mistake(f"{show(value)} is outside {bounds}", allowed))
        return value


@dataclass(frozen=True, slots=True)
class Boolean(Shape):
    """true or false."""

    def read(self, value: object, mistakes: list[Mistake]) -> bool | None:
        """Words such as yes and on are text, and refused."""
        if isinstance(value, bool):
            return value
        mistakes.append(
            Mistake(f"{show(value)} is not true or false", "write true or false, without quotes")
        )
        return None


@dataclass(frozen=True, slots=True)
class Choice(OfText):
    """One of a few words, without regard to case, and what each stands for.

    *hints* leads from a frequent mistake to the word that is meant.
    """

    choices: Mapping[str, object]
    hints: Mapping[str, str] = field(default_factory=dict)
    _by_word: dict[str, object] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_word", dict(self.choices))
        self._by_word.update((word.lower(), value) for word, value in self.choices.items())

    def read(self, value: object, mistakes: list[Mistake]) -> Any:
        """Return what the word stands for."""
        if isinstance(value, str):
            found = self._by_word.get(value)
            if found is None and value.isascii():
                # Only ASCII: lower() makes a k of the Kelvin sign.
                found = self._by_word.get(value.lower())
            if found is not None:
                return found
        mistakes.append(self._mistake(value))
        return None

    def _mistake(self, value: object) -> Mistake:
        words = ", ".join(show(word) if word == "*" else word for word in self.choices)
        allowed = f"write {words}" if len(self.choices) == 1 else f"write one of {words}"
        if isinstance(value, str):
            meant = self.hints.get(value.lower()) or closest(value, tuple(self.choices))
            if meant:
                allowed = f"did you mean {show(meant)}? One of {words} is allowed"
        return Mistake(f"{show(value)} is not allowed", allowed)


@dataclass(frozen=True, slots=True)
class Parsed(OfText):
    """A value that *parse* reads, raising Refusal; *allowed* says in words what it takes."""

    allowed: str
    parse: Callable[[object], object]

    def read(self, value: object, mistakes: list[Mistake]) -> Any:
        """Return what *parse* returns."""
        try:
            return self.parse(value)
        except Refusal as refusal:
            mistakes.append(Mistake(refusal.message, refusal.way_out))
            return None


def not_text(value: object, allowed: str) -> Mistake:
    if isinstance(value, (int, float)):
        return Mistake(f"{show(value)} is not text", f"write {allowed}, in quotes")
    return Mistake(f"{show(value)} is not text", f"write {allowed}")
