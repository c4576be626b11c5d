"""Bytes become a tree or one message; nothing else is ever raised."""

from __future__ import annotations

import pytest

from nsgd.config.parse import parse_document
from nsgd.config.tree import Unreadable


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", None, "the document is empty"),
        (b" \n\t\n", None, "the document is empty"),
        (b"# only a comment\n", None, "the document is empty"),
        (b"---\n...\n", None, "the document is empty"),
        (b"null", None, "the document is empty"),
        (b"\xef\xbb\xbf", None, "the document is empty"),
        (b"\xff\xfe{\0}\0", None, "the document is UTF-16"),
        (b"\xfe\xff\0{\0}", None, "the document is UTF-16"),
        (b"a: b\nc: \xe9", 2, "byte 0xe9 is not UTF-8"),
        (b"a: b\n\nc: \0", 3, "control character 0x00 in the document"),
        (b'{"a": "\x7f"}', 1, "control character 0x7f in the document"),
        (b"a: b\nc: \xef\xbf\xbe", 2, "a character that YAML does not allow"),
    ],
)
def test_encoding(content: bytes, line: int | None, message: str) -> None:
    """What is not text is said to be so, with its line."""
    with pytest.raises(Unreadable) as caught:
        parse_document(content)
    assert (caught.value.line, caught.value.message) == (line, message)


def test_a_byte_order_mark_is_passed_over() -> None:
    """Editors on Windows write one."""
    assert parse_document(b'\xef\xbb\xbf{"a": "\xc3\xa9"}').tree == {"a": "é"}
    assert parse_document(b"\xef\xbb\xbfa: \xc3\xa9").tree == {"a": "é"}


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b'\n {"a":\n}', 3, "not JSON: Expecting value (column 1)"),
        (b"[1, 2", 1, "not JSON: Expecting ',' delimiter (column 6)"),
        (b"{} {}", 1, "not JSON: Extra data (column 4)"),
        (b'{"a": "b\nc"}', 1, "not JSON: Invalid control character at (column 9)"),
        (b'{"a": NaN}', None, "NaN is not JSON"),
        (b'{"a": -Infinity}', None, "-Infinity is not JSON"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"a":' * 100_000, None, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", None, "a number has too many digits"),
    ],
)
def test_json_that_cannot_be_read(content: bytes, line: int | None, message: str) -> None:
    """Python's own limits are messages too."""
    with pytest.raises(Unreadable) as caught:
        parse_document(content)
    assert (caught.value.line, caught.value.message) == (line, message)


@pytest.mark.parametrize(
    ("content", "path", "line"),
    [
        (b'{"a": {"b": 1,\n"b": 2}}', ("a", "b"), 2),
        (b'[{"b": 1}, {"b": 1,\n\n"b": 2}]', (1, "b"), 3),
        # YAML does not read this escape, so the place is unknown.
        (b'{"a": "\\ud83d\\ude00", "b": 1, "b": 2}', (), None),
    ],
)
def test_a_json_key_given_twice(
    content: bytes, path: tuple[str | int, ...], line: int | None
) -> None:
    """Refused, as the reader of one and of the other would differ."""
    (mistake,) = parse_document(content).mistakes
    assert (mistake.path, mistake.line) == (path, line)
    assert mistake.message == "key 'b' is given twice in one object"


def test_json_equal_keys_in_different_objects() -> None:
    """Only one object's own keys count."""
    assert parse_document(b'{"a": {"a": 1}, "b": {"a": 1}}').mistakes == []
