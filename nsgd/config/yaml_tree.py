"""YAML to plain values, as data and not as guesses: only JSON's own types are recognised.

``0100``, ``22:30``, ``no``, ``~`` and dates stay text. The tree is built from the parser's events
and not by its composer: nothing recurses, so nesting is bounded here, and aliases are counted
before anyone walks what they expand to.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from nsgd.config.problem import Key
from nsgd.config.tree import Lines, Tree, TreeMistake, Unreadable
from nsgd.config.wording import show

MAXIMUM_DEPTH = 64
MAXIMUM_ALIASED_VALUES = 1_000_000

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_QUOTE = "write it in quotes if text is meant"


def read_yaml(text: str) -> tuple[Tree, list[TreeMistake]]:
    """Read one document. Raises Unreadable; lesser mistakes are returned beside the tree."""
    builder = _Builder(keeps_lines=False)
    return builder.build(text), builder.mistakes


def read_lines(text: str) -> Lines:
    """The lines of a document's values; JSON is read as YAML. Raises Unreadable."""
    result = _Builder(keeps_lines=True).build(text)
    assert isinstance(result, Lines)
    return result


def read_mistakes(text: str) -> list[TreeMistake]:
    """The mistakes that read_yaml would return beside the tree. Raises Unreadable."""
    return read_yaml(text)[1]


class _Frame:
    """A list or object that is still open; *key* waits for its value."""

    __slots__ = ("anchor", "children", "counted_before", "key", "key_line", "line")

    def __init__(
        self, children: dict[str, Any] | list[Any], line: int, anchor: str | None, counted: int
    ) -> None:
        self.children = children
        self.line = line
        self.anchor = anchor
        self.counted_before = counted
        self.key: str | None = None
        self.key_line = 0


class _Builder:
    def __init__(self, keeps_lines: bool) -> None:
        self.mistakes: list[TreeMistake] = []
        self._keeps_lines = keeps_lines
        self._stack: list[_Frame] = []
        self._root: Any = None
        # By anchor: the value and how many values it expands to.
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._counted = 0  # values so far, aliases expanded
        self._aliased = 0  # of these, the ones that aliases added

    def build(self, text: str) -> Any:
        documents = 0
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                kind = event.__class__
                if kind is yaml.ScalarEvent:
                    self._scalar(event)
                elif kind is yaml.MappingStartEvent:
                    self._open(event, {})
                elif kind is yaml.SequenceStartEvent:
                    self._open(event, [])
                elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                    self._close()
                elif kind is yaml.AliasEvent:
                    self._alias(event)
                elif kind is yaml.DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        raise Unreadable(
                            "a second document begins here ('---')",
                            "keep one document in a file; several files are merged",
                            _line(event),
                        )
        except yaml.YAMLError as error:
            raise _syntax(error, text) from error
        return self._root

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        is_plain = not event.style
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.key is None and isinstance(frame.children, dict):
            self._key(frame, event, is_plain)
            return
        if event.tag is not None:
            self._refuse_tag(event)
        if event.anchor is not None:
            value = _typed(text) if is_plain else text
            self._anchors[event.anchor] = (Lines(0, None) if self._keeps_lines else value, 1)
        self._counted += 1
        if self._keeps_lines:
            self._attach(None, _line(event))
        else:
            self._attach(_typed(text) if is_plain else text, 0)

    def _key(self, frame: _Frame, event: Any, is_plain: bool) -> None:
        key: str = event.value
        frame.key = key
        if event.tag is not None:
            self._refuse_tag(event)
        if key in frame.children:
            self.mistakes.append(
                TreeMistake(
                    self._path(),
                    _line(event),
                    f"key {show(key)} is given twice in one object",
                    "keep one of them",
                )
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = (Lines(0, None) if self._keeps_lines else key, 1)
        if self._keeps_lines:
            frame.key_line = _line(event)

    def _open(self, event: Any, children: dict[str, Any] | list[Any]) -> None:
        self._need_no_key(event)
        if event.tag is not None:
            self._refuse_tag(event)
        if len(self._stack) >= MAXIMUM_DEPTH:
            raise _too_deep(_line(event))
        if event.anchor is not None:
            # Until it is closed, an alias to it would hold itself.
            self._anchors[event.anchor] = (None, 0)
        line = _line(event) if self._keeps_lines else 0
        self._stack.append(_Frame(children, line, event.anchor, self._counted))
        self._counted += 1

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            value = Lines(frame.line, frame.children) if self._keeps_lines else frame.children
            self._anchors[frame.anchor] = (value, self._counted - frame.counted_before)
        self._attach(frame.children, frame.line)

    def _alias(self, event: Any) -> None:
        self._need_no_key(event)
        line = _line(event)
        if event.anchor not in self._anchors:
            raise Unreadable(
                f"*{event.anchor} refers to an anchor that is not set before it", _QUOTE, line
            )
        value, count = self._anchors[event.anchor]
        if count == 0:
            raise Unreadable(
                f"*{event.anchor} stands inside what it refers to", "write the value out", line
            )
        self._counted += count
        self._aliased += count
        if self._aliased > MAXIMUM_ALIASED_VALUES:
            raise Unreadable(
                f"aliases expand to more than {MAXIMUM_ALIASED_VALUES} values",
                "write the values out, or use fewer aliases",
                line,
            )
        self._attach(value.children if self._keeps_lines else value, line)

    def _attach(self, value: Any, line: int) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is None:
            self._root = Lines(line, value) if self._keeps_lines else value
        elif isinstance(frame.children, list):
            frame.children.append(Lines(line, value) if self._keeps_lines else value)
        else:
            assert frame.key is not None
            frame.children[frame.key] = Lines(frame.key_line, value) if self._keeps_lines else value
            frame.key = None

    def _need_no_key(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.key is None and isinstance(frame.children, dict):
            raise Unreadable(
                "a key must be text, not a list, an object or an alias",
                "write the key as text, in quotes where it begins with [, { or *",
                _line(event),
            )

    def _refuse_tag(self, event: Any) -> None:
        self.mistakes.append(
            TreeMistake(
                self._path(),
                _line(event),
                f"YAML tag {show(event.tag)} is not read",
                "remove the tag; write text in quotes",
            )
        )

    def _path(self) -> tuple[Key, ...]:
        path: list[Key] = []
        for frame in self._stack:
            if isinstance(frame.children, list):
                path.append(len(frame.children))
            elif frame.key is not None:
                path.append(frame.key)
        return tuple(path)


def _typed(text: str) -> Tree:
    """A plain scalar as JSON would read it; everything else is text."""
    if text[:1] in "-0123456789" and text:
        if _INTEGER.fullmatch(text):
            return int(text)
        # An integer too long for the pattern above stays text, and is refused as such.
        if _FLOAT.fullmatch(text) and not text.lstrip("-").isdigit():
            return float(text)
        return text
    return _WORDS.get(text, text)


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _too_deep(line: int | None) -> Unreadable:
    return Unreadable(
        f"nested deeper than {MAXIMUM_DEPTH} levels",
        "no document needs more than 8; look for a bracket that is not closed",
        line,
    )


def _syntax(error: yaml.YAMLError, text: str) -> Unreadable:
    """Say what libyaml refused in words that help the one who typed it."""
    if not isinstance(error, yaml.MarkedYAMLError):
        # A reader error: a character that YAML does not allow at all, by its byte offset.
        offset = getattr(error, "position", None)
        before = text.encode()[:offset] if isinstance(offset, int) else None
        return Unreadable(
            "a character that YAML does not allow",
            "remove it, or write its escape in double quotes",
            None if before is None else before.count(b"\n") + 1,
        )
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    context, problem = error.context or "", error.problem or "cannot be read"
    if context == "while scanning an alias":
        return Unreadable("'*' stands here without quotes", "quote it: '*'", line)
    if "nesting depth" in problem:
        return _too_deep(line)
    if "cannot start any token" in problem:
        character = text[mark.index : mark.index + 1] if mark else ""
        if character == "\t":
            return Unreadable("a tab indents this line", "indent with spaces", line)
        return Unreadable(f"text may not begin with {show(character)}", "write it in quotes", line)
    message = f"{context}, {problem}" if context else problem
    return Unreadable(f"not YAML: {message}", "correct the document near this line", line)
