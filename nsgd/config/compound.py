"""Shapes that hold others: lists, and objects as tables of fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nsgd.config.problem import Key
from nsgd.config.shape import Known, Mistake, OfText, Shape, not_text
from nsgd.config.wording import closest, show

_ABSENT: tuple[object, ...] = (None, "", [])
_Read = Callable[[object, list[Mistake]], Any]
_Reader = tuple[_Read, Known | None]


@dataclass(frozen=True, slots=True)
class ListOf(Shape):
    """A list; entries that are refused are None in the result, so that places stay the same."""

    item: Shape
    _reader: _Reader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_reader", _reader(self.item))

    def read(self, value: object, mistakes: list[Mistake]) -> list[Any]:
        """Read every entry."""
        if not isinstance(value, list):
            way_out = f"write [{show(value)}]" if isinstance(value, (str, int)) else "write a list"
            mistakes.append(Mistake(f"{show(value)} is not a list", way_out))
            return []
        read, known = self._reader
        result = []
        before = len(mistakes)
        for index, entry in enumerate(value):
            if known is None or type(entry) is not str:
                found = read(entry, mistakes)
            elif (found := known.get(entry)) is None:
                found = _read_text(read, known, entry, mistakes)
            result.append(found)
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

    Null, empty text and an empty list mean that the key is absent (docs/azure-reference.md,
    choice 2).
    """

    what: str
    fields: Mapping[str, Field]
    later: frozenset[str] = frozenset()
    _readers: dict[str, _Reader] = field(init=False, repr=False, compare=False)
    _required: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        readers = {key: _reader(entry.shape) for key, entry in self.fields.items()}
        object.__setattr__(self, "_readers", readers)
        required = frozenset(key for key, entry in self.fields.items() if entry.is_required)
        object.__setattr__(self, "_required", required)

    def read(self, value: object, mistakes: list[Mistake]) -> dict[str, Any] | None:
        """A key that is present but refused is in the result, as None or what comes nearest."""
        if not isinstance(value, dict):
            mistakes.append(
                Mistake(
                    f"{show(value)} is not {self.what}",
                    f"write an object with {', '.join(self._main_fields())}",
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
                read, known = reader
                if known is None or type(entry) is not str:
                    found = read(entry, mistakes)
                elif (found := known.get(entry)) is None:
                    found = _read_text(read, known, entry, mistakes)
                result[key] = found
            if len(mistakes) != before:
                _prefix(mistakes, before, key)
                before = len(mistakes)
        if not self._required <= result.keys():
            mistakes.extend(
                Mistake(f"{key} is missing", f"add {key}", [key])
                for key in self.fields
                if key in self._required and key not in result
            )
        return result

    def _main_fields(self) -> list[str]:
        return [key for key in self.fields if key in self._required] or list(self.fields)

    def _unknown(self, key: str) -> Mistake:
        if key == "<<":
            return Mistake("merge keys ('<<') are not read", "write the fields out")
        if key in self.later:
            return Mistake(f"key {show(key)} is not supported yet", "remove it")
        meant = closest(key, tuple(self.fields))
        if meant:
            return Mistake(f"unknown key {show(key)}", f"did you mean {meant}?")
        return Mistake(f"unknown key {show(key)}", f"{self.what} has {', '.join(self.fields)}")


@dataclass(frozen=True, slots=True)
class NameOr(OfText):
    """An object, or text that stands for one with that name and nothing else."""

    full: ObjectOf

    def read(self, value: object, mistakes: list[Mistake]) -> dict[str, Any] | None:
        """Return the object's fields in both cases."""
        if isinstance(value, str):
            return {"name": self.full.fields["name"].shape.read(value, mistakes)}
        if isinstance(value, dict):
            return self.full.read(value, mistakes)
        mistakes.append(not_text(value, "a name"))
        return None


def _reader(shape: Shape) -> _Reader:
    """How to read a value of the shape, and what its texts are already known to be."""
    return shape.read, shape.known if isinstance(shape, OfText) else None


def _read_text(read: _Read, known: Known, text: str, mistakes: list[Mistake]) -> Any:
    """Read a text that is not known, and remember it where it has no mistake."""
    before = len(mistakes)
    found = read(text, mistakes)
    if len(mistakes) == before:
        known.keep(text, found)
    return found


def _prefix(mistakes: list[Mistake], start: int, key: Key) -> None:
    for position in range(start, len(mistakes)):
        mistakes[position].path.append(key)
