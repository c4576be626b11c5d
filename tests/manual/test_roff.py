"""Text in roff: nothing of it is taken for a request or an escape."""

from __future__ import annotations

import pytest

from nsgd.manual import roff


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("plain", "plain"),
        ("--config", r"\-\-config"),
        (r"a\b", r"a\eb"),
        (".TH in front", r"\&.TH in front"),
        ("'*' in front", r"\&'*' in front"),
        ("one\n.two\n'three", "one\n\\&.two\n\\&'three"),
    ],
)
def test_escape(text: str, source: str) -> None:
    """Hyphens can be searched for and copied, and no line is a request."""
    assert roff.escape(text) == source


def test_usage_shows_what_is_literal() -> None:
    """Options are bold, a user's words are in italics, all else is plain."""
    assert roff.usage("nsgd run [--config PATH] {a,b}") == (
        r"nsgd run [\fB\-\-config\fR \fIPATH\fR] {a,b}"
    )


def test_a_definition_without_text_keeps_its_place() -> None:
    """An empty second line would make the next term its text."""
    assert roff.definitions([(r"\fBone\fR", ""), (r"\fBtwo\fR", "x")]) == (
        ".TP\n\\fBone\\fR\n\\-\n.TP\n\\fBtwo\\fR\nx\n"
    )
