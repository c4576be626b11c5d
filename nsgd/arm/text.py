"""JSON as Azure's tools read it: with comments, stray commas, single quotes and broken lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Union

from nsgd.arm.limits import MAXIMUM_TEMPLATE_CHARACTERS, MAXIMUM_VALUE_DEPTH
from nsgd.arm.problem import Mistake, Path, TemplateProblem, TemplateRefused, show

# None of these can match in two ways, so a match takes time linear in the text.
_BLANK = re.compile(r"(?:[\s\ufeff]|//[^\n]*|/\*[^*]*(?:\*(?!/)[^*]*)*\*/)*+")
_STRING = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|' r"'([^'\\]*+(?:\\.[^'\\]*+)*+)'", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][-+]?[0-9]{1,3})?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"} | {c: c for c in "\"'\\/"}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class Lines(NamedTuple):
    """The line of a value, from 1, and those of what it holds; an entry's is that of its key."""

    line: int
    children: Union[dict[str, Lines], list[Lines], None]  # noqa: UP007 - refers to itself


@dataclass(frozen=True, slots=True)
class ParsedTemplate:
    """A template or a parameter file as plain values, and where they stand in the text."""

    tree: dict[str, Any]
    lines: Lines

    def line_of(self, path: Path) -> int:
        """The line of the value at *path*, or of the innermost value that does exist."""
        here = self.lines
        for key in path:
            children = here.children
            child: Lines | None = None
            if isinstance(children, dict) and isinstance(key, str):
                child = children.get(key)
            elif isinstance(children, list) and isinstance(key, int) and key < len(children):
                child = children[key]
            if child is None:
                break
            here = child
        return here.line


def parse_template_text(text: str) -> ParsedTemplate:
    """Read the text of a template or a parameter file. Raises TemplateRefused, with the line."""
    reader = _Reader(text)
    try:
        tree, lines = reader.read()
        if not isinstance(tree, dict):
            raise Mistake(f"this is {show(tree)}", "a template is an object, in braces")
    except Mistake as mistake:
        problem = TemplateProblem((), None, mistake.message, mistake.way_out, line=reader.line())
        raise TemplateRefused((problem,)) from None
    return ParsedTemplate(tree, lines)


def with_lines(
    problems: Iterable[TemplateProblem], parsed: ParsedTemplate, document: str = ""
) -> tuple[TemplateProblem, ...]:
    """The problems, those of one document with the lines where they stand in its text."""
    return tuple(
        replace(problem, line=parsed.line_of(problem.path))
        if problem.document == document and problem.line is None
        else problem
        for problem in problems
    )


def parse_json(text: str) -> Any:
    """Read a value from text, as json() does. Raises Mistake."""
    return _Reader(text).read()[0]


class _Frame:
    """A list or object that is still open."""

    __slots__ = ("children", "is_list", "key", "key_line", "keys", "line", "lines")

    def __init__(self, is_list: bool, line: int) -> None:
        self.is_list = is_list
        self.line = line
        self.children: Any = [] if is_list else {}
        self.lines: Any = [] if is_list else {}
        self.key: str | None = None
        self.keys: set[str] = set()  # in lower case
        self.key_line = line


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self._counted_to = 0

    def line(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._position)
        self._counted_to = self._position
        return self._line

    def read(self) -> tuple[Any, Lines]:
        if len(self._text) > MAXIMUM_TEMPLATE_CHARACTERS:
            raise Mistake(f"the text has {len(self._text)} characters", "Azure takes 4 MB")
        stack: list[_Frame] = []
        while True:
            mark = self._mark()
            frame = stack[-1] if stack else None
            if frame and mark == ("]" if frame.is_list else "}"):
                self._position += 1
                stack.pop()
                value, lines = frame.children, Lines(frame.line, frame.lines)
            else:
                if frame and not frame.is_list:
                    self._key(frame, mark)
                    mark = self._mark()
                if mark in ("[", "{"):
                    if len(stack) >= MAXIMUM_VALUE_DEPTH:
                        raise Mistake(
                            f"nested deeper than {MAXIMUM_VALUE_DEPTH} levels",
                            "look for a bracket that is not closed",
                        )
                    stack.append(_Frame(mark == "[", self.line()))
                    self._position += 1
                    continue
                lines = Lines(self.line(), None)
                value = self._scalar(mark)
            if not stack:
                if self._mark():
                    raise Mistake(f"{self._shown()} follows the value", "keep one value in a text")
                return value, lines
            self._attach(stack[-1], value, lines)

    def _mark(self) -> str:
        """The next character that means something, or nothing at the end."""
        match = _BLANK.match(self._text, self._position)
        assert match is not None
        self._position = match.end()
        return self._text[self._position : self._position + 1]

    def _attach(self, frame: _Frame, value: Any, lines: Lines) -> None:
        if frame.is_list:
            frame.children.append(value)
            frame.lines.append(lines)
        else:
            frame.children[frame.key] = value
            frame.lines[frame.key] = Lines(frame.key_line, lines.children)
        mark = self._mark()
        if mark == ",":
            self._position += 1
        elif mark != ("]" if frame.is_list else "}"):
            raise self._unexpected("a comma or a closing bracket")

    def _key(self, frame: _Frame, mark: str) -> None:
        frame.key_line = self.line()
        if mark in ('"', "'"):
            key = self._string()
        elif match := _WORD.match(self._text, self._position):
            key = match[0]
            self._position = match.end()
        else:
            raise self._unexpected("a key")
        folded = key.lower()
        if folded in frame.keys:
            if key in frame.children:
                raise Mistake(f"key {show(key)} is given twice in one object", "keep one of them")
            raise Mistake(
                f"the object has two keys {show(key)}", "keep one: they are compared without case"
            )
        frame.keys.add(folded)
        if self._mark() != ":":
            raise self._unexpected("a colon")
        self._position += 1
        frame.key = key

    def _scalar(self, mark: str) -> Any:
        if mark in ('"', "'"):
            return self._string()
        if match := _NUMBER.match(self._text, self._position):
            self._position = match.end()
            if self._text[self._position : self._position + 1].isalnum():
                raise self._unexpected("a comma")
            if match[0].lstrip("-").isdigit():
                return int(match[0])
            number = float(match[0])
            if number in (float("inf"), float("-inf")):
                raise Mistake(f"{match[0]} is too large", "no field takes such a number")
            return number
        word = _WORD.match(self._text, self._position)
        if word and word[0] in _WORDS:
            self._position = word.end()
            return _WORDS[word[0]]
        raise self._unexpected("a value")

    def _string(self) -> str:
        match = _STRING.match(self._text, self._position)
        if match is None:
            raise Mistake("a text is not closed", "text stands in double quotes")
        self._position = match.end()
        text = match[1] if match[1] is not None else match[2]
        if "\\" not in text:
            return text
        text = _ESCAPE.sub(_unescape, text)
        # Two escapes can make one character.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def _shown(self) -> str:
        rest = self._text[self._position : self._position + 40].split("\n")[0]
        return show(rest) if rest else "the end of the text"

    def _unexpected(self, wanted: str) -> Mistake:
        return Mistake(
            f"{wanted} is expected before {self._shown()}", "correct the JSON near this line"
        )


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    if escape[0] == "u" and len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape not in _ESCAPES:
        raise Mistake(
            f"{show(match[0])} is no escape of JSON", "write a backslash in text as two of them"
        )
    return _ESCAPES[escape]
