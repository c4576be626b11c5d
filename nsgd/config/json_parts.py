"""Reads a JSON document that has changed a little: only what its text has anew is parsed.

An object, a list or a text ends where its own text does, whatever follows. So where the text of a
part is that of a part read before, in a place where one may stand, the part is the same; and that
is compared at the speed of memory. Nothing is judged here: what is odd in any way is for the whole
reading, which says what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

GROUPS = "networkSecurityGroups"

_Span = tuple[int, int]
_BLANK = re.compile(r"[ \t\n\r]*")  # as JSON has it
_BOUNDED = ("{", "[", '"')  # what begins so says itself where it ends


class OddError(Exception):
    """This is not for here."""


class Parts(NamedTuple):
    """Where the sections of a document are in its text, by key, and the entries of its groups."""

    sections: Mapping[str, _Span]
    groups: Sequence[_Span]


class Known(NamedTuple):
    """An entry that is the same as one before."""

    place: int  # that it had, from 0


class Comparison(NamedTuple):
    """A document beside one that was read before.

    *changed* has the sections that are others. Of a list of groups in place of another one the
    entries are apart, in *groups*, each as it was parsed or where it is known from.
    """

    parts: Parts
    changed: Mapping[str, object]
    groups: Sequence[Known | object] | None


def find_parts(text: str) -> Parts:
    """The parts of a document that was read without a mistake. Raises OddError for no object."""
    decode = json.JSONDecoder().raw_decode
    groups: list[_Span] = []

    def section(key: str, start: int) -> int:
        if key == GROUPS and text.startswith("[", start):
            return _entries(text, start, groups, lambda at: decode(text, at)[1])
        _, end = decode(text, start)
        return end

    return Parts(_sections(text, section), groups)


def compare(text: str, before: str, known: Parts) -> Comparison:
    """What differs in *text* from a document that was read *before* without a mistake.

    Raises:
        OddError: It is no JSON, has a key twice, or has other sections or another order of them.
    """
    decode = json.JSONDecoder(
        object_pairs_hook=_with_keys_once, parse_constant=_refuse_constant
    ).raw_decode
    keys = iter(known.sections)
    changed: dict[str, object] = {}
    spans: list[_Span] = []
    groups: list[Known | object] | None = None
    # Each is an object: it was read without a mistake.
    waiting = [before[start:end] for start, end in known.groups]
    following = 0

    def group(start: int, found: list[Known | object]) -> int:
        nonlocal following
        for index in range(following, len(waiting)):
            if text.startswith(waiting[index], start):
                found.append(Known(index))
                following = index + 1
                return start + len(waiting[index])
        value, end = decode(text, start)
        found.append(value)
        return end

    def section(key: str, start: int) -> int:
        nonlocal groups
        if key != next(keys, None):
            raise OddError
        first, last = known.sections[key]
        if before.startswith(_BOUNDED, first) and text.startswith(before[first:last], start):
            if key == GROUPS:
                spans.extend((s - first + start, e - first + start) for s, e in known.groups)
            return start + last - first
        if key == GROUPS and waiting and text.startswith("[", start):
            groups = []
            return _entries(text, start, spans, partial(group, found=groups))
        changed[key], end = decode(text, start)
        return end

    sections = _sections(text, section)
    if len(sections) != len(known.sections):
        raise OddError
    return Comparison(Parts(sections, spans), changed, groups)


def _sections(text: str, end_of: Callable[[str, int], int]) -> dict[str, _Span]:
    """The values of an object by key; *end_of* is given a key, and where its value begins."""
    found: dict[str, _Span] = {}
    decode = json.JSONDecoder().raw_decode
    try:
        at = _take(text, "{", _blank(text, 0))
        while True:
            at = _blank(text, at)
            _take(text, '"', at)
            key, at = decode(text, at)
            start = _blank(text, _take(text, ":", _blank(text, at)))
            end = end_of(key, start)
            if key in found:
                raise OddError
            found[key] = start, end
            at = _blank(text, end)
            if not text.startswith(",", at):
                break
            at += 1
        if _blank(text, _take(text, "}", at)) != len(text):
            raise OddError
    except (ValueError, RecursionError) as error:
        raise OddError from error
    return found


def _entries(text: str, at: int, spans: list[_Span], end_of: Callable[[int], int]) -> int:
    """Go through a list; *end_of* is given where an entry begins. Returns where the list ends."""
    at = _blank(text, _take(text, "[", at))
    if text.startswith("]", at):
        return at + 1
    while True:
        end = end_of(at)
        spans.append((at, end))
        at = _blank(text, end)
        if not text.startswith(",", at):
            return _take(text, "]", at)
        at = _blank(text, at + 1)


def _blank(text: str, at: int) -> int:
    """Where what is no blank comes next."""
    blank = _BLANK.match(text, at)
    assert blank is not None
    return blank.end()


def _take(text: str, mark: str, at: int) -> int:
    if not text.startswith(mark, at):
        raise OddError
    return at + 1


def _with_keys_once(pairs: list[tuple[str, object]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise OddError
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise OddError(name)
