"""String functions of the template language.

Source:
    Azure, String functions for ARM templates. indexOf(), startsWith() and endsWith() compare
    without case, contains() and replace() with it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urljoin

from nsgd.arm.assumed import Spelled, spell_parsed
from nsgd.arm.functions.arguments import (
    Function,
    as_text,
    need_array,
    need_integer,
    need_text,
    wrong,
)
from nsgd.arm.functions.collections import index_of
from nsgd.arm.functions.hashes import guid, unique_string, utf8
from nsgd.arm.limits import Budget, need_string_length
from nsgd.arm.problem import Mistake, show
from nsgd.arm.text import parse_json
from nsgd.arm.unknown import ASSUMPTION_DECIDES, Assumed, Unknown, assume

_DATA_URI = "data:text/plain;charset=utf8;base64,"


def _replace(text: Any, old: Any, new: Any) -> str:
    text, old, new = need_text(text), need_text(old), need_text(new)
    if not old:
        raise Mistake("the text to replace is empty", "name the text that is to be replaced")
    need_string_length(len(text) + text.count(old) * (len(new) - len(old)))
    return str(text.replace(old, new))


def _split(text: Any, delimiters: Any) -> list[str]:
    texts = [delimiters] if isinstance(delimiters, str) else need_array(delimiters)
    alternatives = [re.escape(need_text(one)) for one in texts if one != ""]
    if len(alternatives) > 100:
        raise Mistake("more than 100 delimiters", "split the text in steps")
    return re.split("|".join(alternatives), need_text(text)) if alternatives else [need_text(text)]


def _substring(text: Any, start: Any, length: Any = None) -> str:
    text, start = need_text(text), need_integer(start)
    length = len(text) - start if length is None else need_integer(length)
    if start < 0 or length < 0 or start + length > len(text):
        raise Mistake(
            f"{length} characters from place {start} on lie outside {show(text)}",
            f"the text has {len(text)} characters",
        )
    return str(text[start : start + length])


def _pad_left(value: Any, total: Any, filler: Any = " ") -> str:
    text, total = as_text(value), need_integer(total)
    if len(need_text(filler)) != 1:
        raise wrong(filler, "a single character")
    need_string_length(total)
    return text.rjust(total, filler)


def _index_of(budget: Budget, where: Any, what: Any) -> int | Unknown:
    if isinstance(where, list):
        return index_of(budget, where, what)
    return _find(str.find, where, what)


def _last_index_of(budget: Budget, where: Any, what: Any) -> int | Unknown:
    if isinstance(where, list):
        found = index_of(budget, where[::-1], what)
        return found if isinstance(found, Unknown) or found < 0 else len(where) - 1 - found
    return _find(str.rfind, where, what)


def _find(find: Callable[[str, str], int], where: Any, what: Any) -> int | Unknown:
    if isinstance(where, Assumed) or isinstance(what, Assumed):
        return ASSUMPTION_DECIDES
    return find(need_text(where).lower(), need_text(what).lower())


def _join(items: Any, delimiter: Any) -> str:
    texts = [as_text(item) for item in need_array(items)]
    need_string_length(sum(map(len, texts)) + len(texts) * len(need_text(delimiter)))
    return str(delimiter).join(texts)


def _json(budget: Budget, text: Any) -> Any:
    if not isinstance(text, Assumed):
        return parse_json(need_text(text))
    try:
        return spell_parsed(parse_json, text) if isinstance(text, Spelled) else _assumed_json(text)
    except Mistake:
        return _assumed_json(text)


def _assumed_json(text: str) -> Any:
    try:
        return assume(parse_json(text))
    except Mistake:
        return ASSUMPTION_DECIDES


def _decode_base64(text: Any) -> str:
    try:
        return base64.b64decode(need_text(text), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Mistake(f"{show(text)} is not base64 of text", "check the text") from error


def _data_uri_to_string(text: Any) -> str:
    head, comma, body = need_text(text).partition(",")
    if not head.lower().startswith("data:") or not comma:
        raise wrong(text, "a data URI")
    return _decode_base64(body) if head.lower().endswith(";base64") else unquote(body)


def _uri(base: Any, relative: Any) -> str:
    need_string_length(len(need_text(base)) + len(need_text(relative)))
    try:
        return str(urljoin(base, relative))
    except ValueError as error:
        raise wrong(base, "a link") from error


FUNCTIONS = (
    Function("base64", lambda text: base64.b64encode(utf8(need_text(text))).decode(), 1, 1),
    Function("base64ToString", _decode_base64, 1, 1),
    Function("base64ToJson", lambda text: parse_json(_decode_base64(text)), 1, 1, is_slow=True),
    Function(
        "dataUri",
        lambda text: _DATA_URI + base64.b64encode(utf8(need_text(text))).decode(),
        1,
        1,
    ),
    Function("dataUriToString", _data_uri_to_string, 1, 1),
    Function(
        "endsWith",
        lambda text, end: need_text(text).lower().endswith(need_text(end).lower()),
        2,
        2,
    ),
    Function("guid", guid, 1, None),
    Function("indexOf", _index_of, 2, 2, marks_itself=True),
    Function("join", _join, 2, 2),
    Function("json", _json, 1, 1, is_slow=True, marks_itself=True),
    Function("lastIndexOf", _last_index_of, 2, 2, marks_itself=True),
    Function("padLeft", _pad_left, 2, 3),
    Function("replace", _replace, 3, 3, chosen_by=slice(1, 2)),
    Function("split", _split, 2, 2, is_slow=True, chosen_by=slice(1, 2)),
    Function(
        "startsWith",
        lambda text, start: need_text(text).lower().startswith(need_text(start).lower()),
        2,
        2,
    ),
    Function("substring", _substring, 2, 3),
    Function("toLower", lambda text: need_text(text).lower(), 1, 1),
    Function("toUpper", lambda text: need_text(text).upper(), 1, 1),
    Function("trim", lambda text: need_text(text).strip(), 1, 1),
    Function("uniqueString", unique_string, 1, None, is_slow=True),
    Function("uri", _uri, 2, 2),
    Function("uriComponent", lambda text: quote(utf8(need_text(text)), safe="-_.~"), 1, 1),
    Function("uriComponentToString", lambda text: unquote(need_text(text)), 1, 1),
)
