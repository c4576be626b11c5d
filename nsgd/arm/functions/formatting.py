"""format(): .NET's composite format strings, as far as templates use them, and string().

Source:
    Azure, String functions for ARM templates, format: "the same formatting options as the
    System.String.Format method in .NET".
"""

from __future__ import annotations

import json
import re
from typing import Any

from nsgd.arm.assumed import spell
from nsgd.arm.functions.arguments import Function, as_text, need_integer, need_text
from nsgd.arm.limits import need_string_length
from nsgd.arm.problem import Mistake, show
from nsgd.arm.unknown import Assumed

_PIECE = re.compile(r"\{\{|\}\}|\{([0-9]{1,3})(?:,\s*(-?[0-9]{1,4}))?(?::([^{}]*))?\}|[{}]|[^{}]+")
_STANDARD = re.compile(r"([dDnNxX])([0-9]{0,2})")
_ZEROS = re.compile(r"0{1,40}")
_WAYS = "{0}, {0,5}, {0:N0}, {0:D4}, {0:X4} and {0:0000} are known"


def _format(text: Any, *arguments: Any) -> str:
    pieces: list[str] = []
    length = 0
    for match in _PIECE.finditer(need_text(text)):
        piece = match[0]
        if match[1] is not None:
            piece = _argument(arguments, int(match[1]), match[2], match[3])
        elif piece in ("{{", "}}"):
            piece = piece[0]
        elif piece in ("{", "}"):
            raise Mistake(f"{piece!r} stands alone in {show(text)}", f"write it twice; {_WAYS}")
        length += len(piece)
        need_string_length(length)
        pieces.append(piece)
    if any(isinstance(argument, list | dict) for argument in arguments):
        # What is assumed in their text can no longer be told from what is known.
        return "".join(pieces)
    return spell(*pieces)


def _argument(arguments: tuple[Any, ...], place: int, width: str | None, how: str | None) -> str:
    if place >= len(arguments):
        raise Mistake(
            f"{{{place}}} has no argument: there are {len(arguments)}", "the first one is {0}"
        )
    value = arguments[place]
    if value is None:
        text = ""
    elif isinstance(value, list | dict):
        text = to_string(value)
    elif how and isinstance(value, int) and not isinstance(value, bool):
        text = _number(value, how)
    else:
        # .NET ignores the format of what is no number.
        text = as_text(value)
    if width is not None:
        text = text.rjust(int(width)) if int(width) > 0 else text.ljust(-int(width))
        return Assumed(text) if isinstance(value, Assumed) else text
    return text


def _number(value: int, how: str) -> str:
    if _ZEROS.fullmatch(how):
        digits = str(abs(value)).rjust(len(how), "0")
        return f"-{digits}" if value < 0 else digits
    match = _STANDARD.fullmatch(how)
    if match is None:
        raise Mistake(f"the format {show(how)} is not known", _WAYS)
    kind, precision = match[1], int(match[2] or 0)
    if kind in "nN":
        decimals = int(match[2]) if match[2] else 2
        return f"{need_integer(value):,}" + ("." + "0" * decimals if decimals else "")
    if kind in "dD":
        digits = str(abs(value)).rjust(precision, "0")
        return f"-{digits}" if value < 0 else digits
    if value < 0:
        raise Mistake("a negative number in hexadecimal", "give a number from 0 on")
    digits = f"{value:x}" if kind == "x" else f"{value:X}"
    return digits.rjust(precision, "0")


def to_string(value: Any) -> str:
    """A value as string() gives it: text as it is, lists and objects as JSON without blanks."""
    if value is None:
        return ""
    if isinstance(value, list | dict):
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        need_string_length(len(text))
        return text
    return as_text(value)


FUNCTIONS = (
    Function("format", _format, 1, None),
    Function("string", to_string, 1, 1),
)
