"""Shapes: what each field of a document may hold, as values that one reader walks.

A shape reads a value of the parsed tree into a Python value. What is wrong is appended to a list
and the rest is still read, so that one pass finds everything. Paths are put together from the
inside out, by whoever holds the field: a document without mistakes builds none.
"""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nsgd.config.problem import Key, Refusal, show

_ABSENT: tuple[object, ...] = (None, "", [])


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


@dataclass(frozen=True, slots=True)
class Text(Shape):
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
            mistakes.append(_not_text(value, self.allowed))
            return None
        if self.longest is not None and len(value) > self.longest:
            mistakes.append(
                Mistake(
                    f"has {len(value)} characters, and at most {self.longest} are allowed",
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
    """An integer from *smallest* to *largest*; *is_later* if a later release takes larger ones."""

    smallest: int
    largest: int
    is_later: bool = False

    def read(self, value: object, mistakes: list[Mistake]) -> int | None:
        """Numbers in quotes are text, and refused."""
        allowed = (
            f"write {self.smallest}"
            if self.smallest == self.largest
            else f"write a number from {self.smallest} to {self.largest}"
        )
        if isinstance(value, bool) or not isinstance(value, int):
            is_quoted = isinstance(value, str) and re.fullmatch("-?[0-9]+", value)
            mistakes.append(
                Mistake(
                    f"{show(value)} is {'text, not' if is_quoted else 'not'} an integer",
                    f"{allowed}, without quotes" if is_quoted else allowed,
                )
            )
            return None
        if not self.smallest <= value <= self.largest:
            if self.is_later and value > self.largest:
                mistakes.append(Mistake(f"{show(value)} is not supported yet", allowed))
            else:
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
class Choice(Shape):
    """One of a few words, without regard to case, and what each stands for.

    *later* are words that a later release takes; *hints* leads from a frequent mistake to the
    word that is meant.
    """

    choices: Mapping[str, object]
    later: tuple[str, ...] = ()
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
            if value.lower() in self.later:
                return Mistake(f"{show(value)} is not supported yet", allowed)
            meant = self.hints.get(value.lower()) or closest(value, self.choices)
            if meant:
                allowed = f"did you mean {show(meant)}? One of {words} is allowed"
        return Mistake(f"{show(value)} is not allowed", allowed)


@dataclass(frozen=True, slots=True)
class Parsed(Shape):
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


@dataclass(frozen=True, slots=True)
class ListOf(Shape):
    """A list; entries that are refused are None in the result, so that places stay the same."""

    item: Shape

    def read(self, value: object, mistakes: list[Mistake]) -> list[Any]:
        """Read every entry."""
        if not isinstance(value, list):
            way_out = f"write [{show(value)}]" if isinstance(value, (str, int)) else "write a list"
            mistakes.append(Mistake(f"{show(value)} is not a list", way_out))
            return []
        read = self.item.read
        result = []
        before = len(mistakes)
        for index, entry in enumerate(value):
            result.append(read(entry, mistakes))
            if len(mistakes) != before:
                _prefix(mistakes, before, index)
                before = len(mistakes)
        return result


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an object; *default* is for readers of the tables, absent keys stay absent."""

    shape: Shape
    is_required: bool = False
    default: object = None


@dataclass(frozen=True, slots=True)
class ObjectOf(Shape):
    """An object with the keys of *fields*; *what* names it in messages.

    Null, empty text and an empty list mean that the key is absent (azure-semantics.md 13.2).
    """

    what: str
    fields: Mapping[str, Field]
    later: frozenset[str] = frozenset()
    _readers: dict[str, Callable[[object, list[Mistake]], Any]] = field(
        init=False, repr=False, compare=False
    )
    _required: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        readers = {key: entry.shape.read for key, entry in self.fields.items()}
        object.__setattr__(self, "_readers", readers)
        required = tuple(key for key, entry in self.fields.items() if entry.is_required)
        object.__setattr__(self, "_required", required)

    def read(self, value: object, mistakes: list[Mistake]) -> dict[str, Any] | None:
        """A key that is present but refused is in the result, as None or what comes nearest."""
        if not isinstance(value, dict):
            mistakes.append(
                Mistake(
                    f"{show(value)} is not {self.what}",
                    f"write an object with {', '.join(self._required or self.fields)}",
                )
            )
            return None
        result: dict[str, Any] = {}
        readers = self._readers
        before = len(mistakes)
        for key, entry in value.items():
            reader = readers.get(key)
            if reader is None:
                mistakes.append(self._unknown(key))
            elif not entry and entry in _ABSENT:
                continue
            else:
                result[key] = reader(entry, mistakes)
            if len(mistakes) != before:
                _prefix(mistakes, before, key)
                before = len(mistakes)
        for key in self._required:
            if key not in result:
                mistakes.append(Mistake("is missing", f"add {key}", [key]))
        return result

    def _unknown(self, key: str) -> Mistake:
        if key in self.later:
            return Mistake(f"key {show(key)} is not supported yet", "remove it")
        meant = closest(key, self.fields)
        if meant:
            return Mistake(f"unknown key {show(key)}", f"did you mean {meant}?")
        return Mistake(f"unknown key {show(key)}", f"{self.what} has {', '.join(self.fields)}")


@dataclass(frozen=True, slots=True)
class NameOr(Shape):
    """An object, or text that stands for one with that name and nothing else."""

    object: ObjectOf

    def read(self, value: object, mistakes: list[Mistake]) -> dict[str, Any] | None:
        """Return the object's fields in both cases."""
        if isinstance(value, str):
            return {"name": self.object.fields["name"].shape.read(value, mistakes)}
        if isinstance(value, dict):
            return self.object.read(value, mistakes)
        mistakes.append(_not_text(value, "a name"))
        return None


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that *word* was probably meant to be."""
    if len(word) > 64:
        return None
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[found[0]] if found else None


def _prefix(mistakes: list[Mistake], start: int, key: Key) -> None:
    for position in range(start, len(mistakes)):
        mistakes[position].path.append(key)


def _not_text(value: object, allowed: str) -> Mistake:
    if isinstance(value, (int, float)):
        return Mistake(f"{show(value)} is not text", f"write {allowed}, in quotes")
    return Mistake(f"{show(value)} is not text", f"write {allowed}")
