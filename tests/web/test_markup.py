"""Text never becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from nsgd.web.markup import Markup, element, markup, table
from tests.web.fake import HOSTILE


class Reader(HTMLParser):
    """What a browser would see: tags with their attributes, and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    """The parts of HTML."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@given(st.text())
def test_text_and_attributes_stay_what_they_are(text: str) -> None:
    """Whatever is in them."""
    found = read(element("p", text, title=text))
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    assert [tag for tag, _ in found.tags] == ["p"]
    (title,) = (attributes["title"] for _, attributes in found.tags)
    assert (title or "").replace("\r\n", "\n").replace("\r", "\n") == plain
    assert found.text.replace("\r\n", "\n").replace("\r", "\n") == plain


def test_hostile_text_makes_no_tag() -> None:
    """Nor in cells, captions and heads of a table."""
    html = table(HOSTILE, (HOSTILE,), [(HOSTILE,)])
    tags = {tag for tag, _ in read(html).tags}
    assert tags == {"table", "caption", "thead", "tbody", "tr", "th", "span"}
    assert "onerror" not in {name for _, attributes in read(html).tags for name in attributes}


def test_what_was_made_here_is_not_escaped_again() -> None:
    """And lists, numbers and nothing are taken as they come."""
    made = markup(element("b", "a&b"), None, 3, [" ", ["<"]])
    assert made == "<b>a&amp;b</b>3 &lt;"
    assert isinstance(made, Markup)


def test_attributes() -> None:
    """Words of Python and of HTML."""
    html = element("input", class_="x", aria_label='"', disabled=True, value=None, open=False)
    assert html == '<input class="x" aria-label="&quot;" disabled>'


def test_a_table_without_rows_says_so() -> None:
    """In place of an empty frame."""
    assert table("a", ("b",), [], empty="none yet") == '<p class="empty">none yet</p>'
