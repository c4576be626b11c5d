"""What the functions share: how one is declared, and how its arguments are checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nsgd.arm.problem import Mistake, show

INT64_LIMIT = 2**63


@dataclass(frozen=True, slots=True)
class Function:
    """One function: Azure's spelling of its name, and how many arguments it takes.

    *most* is None where there is no end. With *looks_inside*, the result depends on what stands
    inside the arguments, so an unknown value there makes it unknown; otherwise only whole
    arguments count, and a list with an unknown element still has its length.

    What comes of an assumed argument, or of one with an assumed value inside, is assumed, and
    unknown where it is no text. With *keeps_parts*, lists and objects are made of the arguments'
    own parts, which stay as assumed or not as they are: what stands inside does not count then.
    With *marks_itself*, *apply* takes the run's budget first, and its result is taken as it is.

    *holds* are the arguments that it puts in their places and says nothing about; *chosen_by*
    those that say which parts of the others the result has, which nothing assumed may say.
    *is_slow* says that each character is handled by itself.
    """

    name: str
    apply: Callable[..., Any]
    least: int
    most: int | None
    looks_inside: bool = True
    keeps_parts: bool = False
    is_slow: bool = False
    marks_itself: bool = False
    holds: slice | None = None
    chosen_by: slice | None = None


def kind_of(value: object) -> str:
    """The JSON type of a value, for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number with a fraction"
    if isinstance(value, str):
        return "text"
    return "an array" if isinstance(value, list) else "an object"


def wrong(value: object, wanted: str) -> Mistake:
    """The mistake of an argument of another type."""
    given = kind_of(value)
    shown = f" {show(value)}" if given in {"text", "an integer", "a number with a fraction"} else ""
    return Mistake(f"{given}{shown} is given where {wanted} is expected", f"give {wanted}")


def need_text(value: object) -> str:
    """Text. Raises Mistake."""
    if not isinstance(value, str):
        raise wrong(value, "text")
    return value


def need_integer(value: object) -> int:
    """An integer, and no bool. Raises Mistake."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(value, "an integer")
    return value


def need_bool(value: object) -> bool:
    """True or false. Raises Mistake."""
    if not isinstance(value, bool):
        raise wrong(value, "a bool")
    return value


def need_array(value: object) -> list[Any]:
    """An array. Raises Mistake."""
    if not isinstance(value, list):
        raise wrong(value, "an array")
    return value


def need_object(value: object) -> dict[str, Any]:
    """An object. Raises Mistake."""
    if not isinstance(value, dict):
        raise wrong(value, "an object")
    return value


def in_64_bits(value: int) -> int:
    """The integer, unless it does not fit. Raises Mistake."""
    if not -INT64_LIMIT <= value < INT64_LIMIT:
        raise Mistake("the result does not fit in 64 bits", "use smaller numbers")
    return value


def as_text(value: object) -> str:
    """Text, an integer or a bool as concat() and format() write it. Raises Mistake."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, int | float):
        return repr(value)
    raise wrong(value, "text, an integer or a bool")


def canonical(value: object) -> str:
    """Text that is equal for equal JSON values only; the order of keys does not count.

    Letters count by their case, and 1, 1.0 and true are three values.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def find_key(value: dict[str, Any], key: str) -> str | None:
    """An object's own spelling of a key, compared without case."""
    if key in value:
        return key
    lower = key.lower()
    return next((candidate for candidate in value if candidate.lower() == lower), None)
