"""Bytes to a tree: checks the encoding, then reads JSON by its own fast reader and else YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, NoReturn

from nsgd.config.tree import Tree, TreeMistake, Unreadable
from nsgd.config.wording import show
from nsgd.config.yaml_tree import read_mistakes, read_yaml

_BLANK = re.compile(r"\s*")
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_NOT_CONTROL = bytes(
    byte for byte in range(256) if byte in b"\t\n\r" or (byte >= 0x20 and byte != 0x7F)
)
_SAVE_AS_UTF8 = "save the document as UTF-8"


class ParsedDocument(NamedTuple):
    """A document's text, its tree, and mistakes that did not stop the reading."""

    text: str
    tree: Tree
    mistakes: list[TreeMistake]


class ReadAgain:
    """A document that was parsed before without a mistake: parsed anew where somebody asks.

    Nobody does as long as all is well, and text and tree are several times the bytes.
    """

    mistakes: Sequence[TreeMistake] = ()

    def __init__(self, content: bytes) -> None:
        self._content = content

    @cached_property
    def _parsed(self) -> ParsedDocument:
        return parse_document(self._content)

    @property
    def text(self) -> str:
        """As ParsedDocument."""
        return self._parsed.text

    @property
    def tree(self) -> Tree:
        """As ParsedDocument."""
        return self._parsed.tree


def parse_document(content: bytes) -> ParsedDocument:
    """Read one document, YAML or JSON. Raises Unreadable, and nothing else.

    A document is JSON where its first character is ``{`` or ``[``; a UTF-8 byte order mark is
    passed over.
    """
    text = decode_document(content)
    blank = _BLANK.match(text)
    assert blank is not None
    start = text[blank.end() : blank.end() + 1]
    if not start:
        raise _empty()
    tree, mistakes = _read_json(text) if start in "{[" else read_yaml(text)
    if tree is None or tree == "":
        raise _empty()
    return ParsedDocument(text, tree, mistakes)


def _empty() -> Unreadable:
    return Unreadable(
        "the document is empty",
        "write at least one section, such as networkSecurityGroups, or remove the file",
    )


def decode_document(content: bytes) -> str:
    """The text of a document, without a byte order mark. Raises Unreadable."""
    if content.startswith(_UTF16_BOMS):
        raise Unreadable("the document is UTF-16", _SAVE_AS_UTF8)
    content = content.removeprefix(_UTF8_BOM)
    # Deleting the good bytes is the quickest way to see that there are no others.
    controls = content.translate(None, _NOT_CONTROL)
    if controls:
        position = content.index(controls[:1])
        raise Unreadable(
            f"control character 0x{controls[0]:02x} in the document",
            f"remove it, or {_SAVE_AS_UTF8} if it is in another encoding",
            content.count(b"\n", 0, position) + 1,
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"byte 0x{content[error.start]:02x} is not UTF-8",
            _SAVE_AS_UTF8,
            content.count(b"\n", 0, error.start) + 1,
        ) from error


def _read_json(text: str) -> tuple[Tree, list[TreeMistake]]:
    repeated: list[str] = []

    def build_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    repeated.append(key)
                seen.add(key)
        return result

    try:
        tree: Tree = json.loads(
            text, object_pairs_hook=build_object, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"not JSON: {error.msg} (column {error.colno})",
            "correct it; a document that begins with { or [ is read as JSON",
            error.lineno,
        ) from error
    except RecursionError as error:
        raise Unreadable("nested too deeply", "look for a bracket that is not closed") from error
    except ValueError as error:
        # Python refuses to read integers of thousands of digits, whose cost is quadratic.
        raise Unreadable(
            "a number has too many digits", "no field takes more than ten digits"
        ) from error
    return tree, _repeated_keys(text, repeated) if repeated else []


def _refuse_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON", "write a number, or leave the field out")


def _repeated_keys(text: str, repeated: list[str]) -> list[TreeMistake]:
    """Find the places by reading the same text as YAML, which keeps them."""
    try:
        mistakes = [mistake for mistake in read_mistakes(text) if "given twice" in mistake.message]
    except Unreadable:
        mistakes = []
    return mistakes or [
        TreeMistake((), None, f"key {show(key)} is given twice in one object", "keep one of them")
        for key in repeated
    ]
