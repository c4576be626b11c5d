"""Text in square brackets to a tree of calls: Azure's template expression language, as syntax."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Union

from nsgd.arm.limits import MAXIMUM_CALL_DEPTH, MAXIMUM_EXPRESSION_CHARACTERS
from nsgd.arm.problem import Mistake, show

# Each alternative begins with other characters than the rest and none can match in two ways, so a
# match takes time linear in the text.
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)|(?P<number>-?[0-9]+)|"
    r"'(?P<string>[^']*(?:''[^']*)*)'|(?P<mark>[()\[\],.])|(?P<end>$))"
)
_INT64 = range(-(2**63), 2**63)
_QUOTES = "text in an expression stands in single quotes, and a quote in it is written twice"


@dataclass(frozen=True, slots=True)
class Literal:
    """Text or an integer."""

    value: str | int


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments; *namespace* is empty unless written before a dot."""

    namespace: str
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """``base.key`` or ``base[key]``: a property of an object or a place in an array."""

    base: Node
    key: Node


Node = Union[Literal, Call, Member]  # noqa: UP007 - the classes refer to it


class _Token(NamedTuple):
    kind: str
    text: str


def is_expression(text: str) -> bool:
    """Whether Azure evaluates the text: it stands in brackets that are not escaped."""
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


def unescape(text: str) -> str:
    """Text that is no expression, as it is meant: ``[[a]`` is ``[a]``.

    Source:
        Azure, Syntax and expressions in ARM templates, Escape characters: "if the literal string
        doesn't end with a bracket, don't escape the first bracket".
    """
    return text[1:] if text.startswith("[[") and text.endswith("]") else text


@lru_cache(4096)
def parse_expression(text: str) -> Node:
    """Parse an expression, brackets included. Raises Mistake."""
    if len(text) > MAXIMUM_EXPRESSION_CHARACTERS:
        raise Mistake(
            f"the expression has {len(text)} characters",
            f"Azure takes at most {MAXIMUM_EXPRESSION_CHARACTERS}: move parts of it to variables",
        )
    parser = _Parser(text[1:-1])
    node = parser.node(1)
    parser.expect("end", "")
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._token = self._read()

    def _read(self) -> _Token:
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            rest = self._text[self._position :].lstrip()
            if rest.startswith("'"):
                raise Mistake(f"the text {show(rest)} has no closing quote", _QUOTES)
            if rest.startswith('"'):
                raise Mistake("a double quote stands in the expression", _QUOTES)
            raise Mistake(
                f"{show(rest[:1])} does not belong in an expression",
                "operators are functions there, such as add() and equals()",
            )
        self._position = match.end()
        kind = match.lastgroup or "end"
        return _Token(kind, match[kind])

    def _next(self) -> _Token:
        token = self._token
        self._token = self._read()
        return token

    def expect(self, kind: str, text: str) -> _Token:
        token = self._token
        if token.kind != kind or (text and token.text != text):
            wanted = repr(text) if text else {"name": "a name", "end": "the end"}[kind]
            raise Mistake(
                f"{wanted} is expected before {self._shown()}",
                "check the brackets and commas of the expression",
            )
        return token if kind == "end" else self._next()

    def _shown(self) -> str:
        rest = self._token.text + self._text[self._position :]
        return show(rest) if self._token.kind != "end" else "the end"

    def node(self, depth: int) -> Node:
        if depth > MAXIMUM_CALL_DEPTH:
            raise Mistake(
                f"the expression nests deeper than {MAXIMUM_CALL_DEPTH} levels",
                "move parts of it to variables",
            )
        node = self._primary(depth)
        steps = 0
        while self._token.kind == "mark" and self._token.text in ".[":
            steps += 1
            if steps > MAXIMUM_CALL_DEPTH:
                raise Mistake(
                    f"more than {MAXIMUM_CALL_DEPTH} properties follow each other",
                    "move parts of the expression to variables",
                )
            if self._next().text == ".":
                node = Member(node, Literal(self.expect("name", "").text))
            else:
                node = Member(node, self.node(depth + 1))
                self.expect("mark", "]")
        return node

    def _primary(self, depth: int) -> Node:
        token = self._token
        if token.kind == "string":
            self._next()
            return Literal(token.text.replace("''", "'"))
        if token.kind == "number":
            self._next()
            # Python refuses to read numbers of thousands of digits, so the length goes first.
            if len(token.text) > 20 or int(token.text) not in _INT64:
                raise Mistake(f"{show(token.text)} is too large", "integers have 64 bits")
            if self._token == ("mark", "."):
                raise Mistake("a number with a fraction", "write it as float('1.5')")
            return Literal(int(token.text))
        if token.kind == "name":
            return self._call(depth)
        raise Mistake(
            f"a value is expected before {self._shown()}",
            "check the brackets and commas of the expression",
        )

    def _call(self, depth: int) -> Node:
        namespace, name = "", self._next().text
        if self._token == ("mark", "."):
            self._next()
            namespace, name = name, self.expect("name", "").text
        if self._token != ("mark", "("):
            way_out = _QUOTES
            if name.lower() in {"true", "false", "null"} and not namespace:
                way_out = f"write {name.lower()}()"
            raise Mistake(f"{show(name)} is neither text nor a call of a function", way_out)
        self._next()
        arguments: list[Any] = []
        if self._token != ("mark", ")"):
            arguments.append(self.node(depth + 1))
            while self._token == ("mark", ","):
                self._next()
                arguments.append(self.node(depth + 1))
        self.expect("mark", ")")
        return Call(namespace, name, tuple(arguments))
