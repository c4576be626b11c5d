"""Names of one kind of resource: declared once, found without regard to case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from nsgd.config.problem import Key
from nsgd.config.report import Place, Report
from nsgd.config.wording import closest, show
from nsgd.model.spelling import fold as fold

Value = TypeVar("Value")

# Looking for a near name costs as much as there are names: beyond this the first few suffice.
_MAXIMUM_SUGGESTIONS = 20
_MAXIMUM_CANDIDATES = 2000


class Names(Generic[Value]):
    """What each name stands for; *kind* is used in messages, as in ``network interface``."""

    def __init__(self, kind: str, report: Report) -> None:
        self.kind = kind
        self._report = report
        self._declared: dict[str, tuple[str, Place, Value]] = {}
        self._suggestions = 0

    def declare(self, name: str, place: Place, value: Value) -> bool:
        """Keep *value* under *name*; a second one of the name is reported, and False returned."""
        first = self._declared.setdefault(fold(name), (name, place, value))
        if first[1] is place:
            return True
        where = self._report.locate(first[1], place)
        self._report.add(
            place.at("name"),
            f"{self.kind} name {show(name)} is already taken by {where}",
            "give it another name; names are compared without case",
        )
        return False

    def find(self, name: str) -> Value | None:
        """The value of the name, if declared."""
        found = self._declared.get(fold(name))
        return None if found is None else found[2]

    def values(self) -> Iterator[Value]:
        """What the names stand for, in the order of declaration."""
        return (value for _, _, value in self._declared.values())

    def resolve(self, name: str | None, place: Place, *keys: Key) -> Value | None:
        """The value of the name that *keys* of *place* refer to; an unknown one is reported."""
        if name is None:
            return None
        found = self._declared.get(fold(name))
        if found is not None:
            return found[2]
        if self._report.is_complete:
            at = place.at(*keys)
            way_out = self._report.missing_way_out(at) or self._way_out(name)
            self._report.add(at, f"there is no {self.kind} named {show(name)}", way_out)
        return None

    def _way_out(self, name: str) -> str:
        if len(self._declared) <= _MAXIMUM_CANDIDATES and self._suggestions < _MAXIMUM_SUGGESTIONS:
            self._suggestions += 1
            meant = closest(name, tuple(declared for declared, _, _ in self._declared.values()))
            if meant:
                return f"did you mean {show(meant)}?"
        return f"declare the {self.kind}, or correct the name"
