"""Text with names in it that nobody gave: how it is joined, and which of it is surely the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nsgd.arm.functions.arguments import canonical
from nsgd.arm.limits import Budget
from nsgd.arm.problem import Mistake
from nsgd.arm.unknown import ASSUMPTION_DECIDES, Assumed

_PRIVATE = range(0xE000, 0xE100)  # characters without a meaning of their own


class Spelled(Assumed):
    """Assumed text that is known but for the names in it, which stand there as they are.

    *pieces* are, in turn, text that is known and the placeholder of a name; the first and the last
    are known text, which may be empty.
    """

    __slots__ = ("pieces",)
    pieces: tuple[str, ...]

    def __new__(cls, *pieces: str) -> Spelled:
        """The text that the pieces make."""
        made = super().__new__(cls, "".join(pieces))
        made.pieces = pieces
        return made


def placeholder(text: str) -> Spelled:
    """What stands for a name: another text for each name."""
    return Spelled("", text, "")


def spell(*parts: str) -> str:
    """The parts joined: assumed where one of them is, and spelled where each of those is."""
    if not any(isinstance(part, Assumed) for part in parts):
        return "".join(parts)
    pieces = [""]
    for part in parts:
        if isinstance(part, Assumed) and not isinstance(part, Spelled):
            return Assumed("".join(parts))
        first, *others = part.pieces if isinstance(part, Spelled) else (part,)
        pieces[-1] += first
        pieces += others
    return Spelled(*pieces)


def spell_parsed(parse: Callable[[str], Any], text: Spelled) -> Any:
    """What is parsed from spelled text, with its names where it puts them.

    *parse* copies the characters of names, none of which means anything in its syntax. An object
    with a name in a key is unknown. Raises Mistake where a name stands for something else.
    """
    unused = (chr(code) for code in _PRIVATE if chr(code) not in text)
    marks = dict(zip(dict.fromkeys(text.pieces[1::2]), unused, strict=False))
    if not all(name in marks for name in text.pieces[1::2]):
        raise Mistake("the text has too many characters of private use", "remove them")
    marked = [marks[piece] if at % 2 else piece for at, piece in enumerate(text.pieces)]
    names = {mark: placeholder(name) for name, mark in marks.items()}
    return _respell(parse("".join(marked)), names)


def _respell(value: Any, names: Mapping[str, Spelled]) -> Any:
    if isinstance(value, str):
        parts = re.split(f"([{''.join(names)}])", value)
        return spell(*(names.get(part, part) for part in parts))
    if isinstance(value, list):
        return [_respell(item, names) for item in value]
    if isinstance(value, dict):
        if any(mark in key for key in value for mark in names):
            return ASSUMPTION_DECIDES
        return {key: _respell(item, names) for key, item in value.items()}
    return value


def is_same_name(left: str, right: str) -> bool:
    """Whether two texts, compared without case, name one resource or have one id."""
    if len(left) != len(right) or left.lower() != right.lower():
        return False
    if isinstance(left, Assumed) != isinstance(right, Assumed):
        return False
    # A placeholder is another name than the same text that a template writes.
    one, other = _pieces(left), _pieces(right)
    return one is None or other is None or list(map(len, one)) == list(map(len, other))


def is_surely_text(value: object) -> bool:
    """Whether assumed text is not empty, whatever the names are."""
    return isinstance(value, Spelled) and any(value.pieces[::2])


def compare(left: Any, right: Any, budget: Budget) -> bool | None:
    """Whether two values are equal under any names, or under none; None if the names decide.

    Neither may hold an Unknown. Equal is what canonical() writes alike. Raises LimitReached.
    """
    budget.spend(1)
    if isinstance(left, str) and isinstance(right, str):
        budget.spend_text(len(left))
        return _compare_texts(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return False
        pairs = [(value, right[key]) for key, value in left.items()]
    elif isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return False
        pairs = list(zip(left, right, strict=True))
    elif any(isinstance(value, str | list | dict) for value in (left, right)):
        return False
    else:
        return canonical(left) == canonical(right)
    result: bool | None = True
    for one, other in pairs:
        answer = compare(one, other, budget)
        if answer is False:
            return False
        result = answer if result else None
    return result


def _compare_texts(left: str, right: str) -> bool | None:
    if not isinstance(left, Assumed) and not isinstance(right, Assumed):
        return left == right
    one, other = _pieces(left), _pieces(right)
    if one is None or other is None:
        return None
    if one == other:
        return True
    # The names that both share at their ends are the same in both.
    while len(one) > 1 and len(other) > 1 and one[:2] == other[:2]:
        one, other = one[2:], other[2:]
    while len(one) > 1 and len(other) > 1 and one[-2:] == other[-2:]:
        one, other = one[:-2], other[:-2]
    is_apart = (
        not (one[0].startswith(other[0]) or other[0].startswith(one[0]))
        or not (one[-1].endswith(other[-1]) or other[-1].endswith(one[-1]))
        or (len(one) == 1 and len(one[0]) < sum(map(len, other[::2])))
        or (len(other) == 1 and len(other[0]) < sum(map(len, one[::2])))
    )
    return False if is_apart else None


def _pieces(text: str) -> tuple[str, ...] | None:
    if isinstance(text, Assumed):
        return text.pieces if isinstance(text, Spelled) else None
    return (text,)
