"""nsgd.yaml(5): every key of a document, with its meaning and what it may hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nsgd.config.compound import ListOf, NameOr, ObjectOf
from nsgd.config.document import Document
from nsgd.config.load import load_documents
from nsgd.config.schema import DOCUMENT
from nsgd.config.schema_meanings import MEANINGS
from nsgd.config.settings import SETTINGS
from nsgd.config.shape import Boolean, Choice, Integer, Shape, Text
from nsgd.manual.document_page import EXAMPLE, document_page, words_for
from tests.manual.pages import plain

TEXT = plain(document_page(""))


def keys(shape: Shape) -> Iterator[str]:
    """The keys of every object below."""
    match shape:
        case ListOf():
            yield from keys(shape.item)
        case NameOr():
            yield from keys(shape.full)
        case ObjectOf():
            for key, field in shape.fields.items():
                yield key
                yield from keys(field.shape)


def test_every_key_is_there() -> None:
    """With its one line; a key that the page forgets would be a setting that nobody finds."""
    for key in set(keys(DOCUMENT)):
        assert f".TP {key} {MEANINGS[key]}" in TEXT, key


def test_every_reference_to_a_section_has_one() -> None:
    """'see SUBNET' leads somewhere, once."""
    sections = [part.split(" .TP ")[0].split(" .PP ")[0] for part in TEXT.split(".SH ")[1:]]
    assert len(sections) == len(set(sections))
    assert {"SUBNET", "SECURITY RULE", "SERVICE TAGS SECTION", "DAEMON SECTION"} <= set(sections)
    for part in TEXT.split(", see ")[1:]:
        assert part.partition(".")[0] in sections


def test_defaults_of_the_daemon_are_shown() -> None:
    """As the settings have them."""
    section = TEXT.partition(".SH DAEMON SECTION")[2].partition(".SH ")[0]
    for key, field in SETTINGS.items():
        assert f".TP {key} " in section
        if field.default and not isinstance(field.default, (list, tuple)):
            shown = str(field.default).lower() if field.default is True else field.default
            assert f"Default: {shown}." in section, key


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (Integer(1, 1), "1"),
        (Integer(0, 65535), "a number from 0 to 65535"),
        (Boolean(), "true or false"),
        (Choice({"Tcp": 1, "*": 2}), "one of Tcp, *"),
        (Text("text", longest=140), "text of at most 140 characters"),
        (ListOf(Boolean()), "a list, each entry true or false"),
    ],
)
def test_what_a_value_may_be(shape: Shape, words: str) -> None:
    """In the words of the tables."""
    assert words_for(shape) == words


def test_a_shape_without_words_is_refused() -> None:
    """A new kind of shape must be given words."""

    class Odd(Shape):
        def read(self, value: object, mistakes: list[object]) -> object:  # type: ignore[override]
            return None

    with pytest.raises(TypeError, match="Odd has no words"):
        words_for(Odd())


def test_the_example_is_a_policy() -> None:
    """It loads, and declares what it shows."""
    loaded = load_documents([Document("example.yaml", EXAMPLE.encode())])
    assert len(loaded.model.network_security_groups) == 1
