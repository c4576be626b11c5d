"""Copy loops: how one is written, and how often it runs."""

from __future__ import annotations

from typing import Any, NamedTuple

from nsgd.arm.functions.arguments import find_key, kind_of
from nsgd.arm.limits import MAXIMUM_COPIES
from nsgd.arm.problem import Key, Mistake


class Loop(NamedTuple):
    """A loop that makes an array: *key* is its place in the ``copy`` element."""

    name: str
    count: Any  # not evaluated
    input: Any
    key: Key | None


def child(value: dict[str, Any], key: str) -> Any:
    """What an object of a template has under a key, compared without case; None if nothing."""
    known = find_key(value, key)
    return None if known is None else value[known]


def property_loops(copy: object) -> list[Loop] | None:
    """The loops of a ``copy`` element, or None where it is a property like any other."""
    if isinstance(copy, dict):
        loop = _loop(copy, None)
        return [loop] if loop else None
    if not isinstance(copy, list):
        return None
    loops = [_loop(item, place) for place, item in enumerate(copy) if isinstance(item, dict)]
    found = [loop for loop in loops if loop is not None]
    return found if found and len(found) == len(copy) else None


def _loop(item: dict[str, Any], key: Key | None) -> Loop | None:
    name = child(item, "name")
    if not isinstance(name, str) or find_key(item, "count") is None:
        return None
    if find_key(item, "input") is None:
        return None
    return Loop(name, child(item, "count"), child(item, "input"), key)


def need_count(value: Any) -> int:
    """How often a loop runs. Raises Mistake.

    Source:
        Azure, Property iteration in ARM templates: "The count can't exceed 800", nor be negative.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise Mistake(f"the count of a loop is {kind_of(value)}", "give an integer")
    if not 0 <= value <= MAXIMUM_COPIES:
        raise Mistake(f"a loop of {value} iterations", f"Azure takes 0 to {MAXIMUM_COPIES}")
    return value
