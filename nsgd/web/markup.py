"""HTML made of escaped text: what is not Markup is escaped, and so becomes no tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

Content = object  # Markup, text, a number, None for nothing, or an iterable of these

_VOID = frozenset(("meta", "link", "input", "br"))


class Markup(str):
    """HTML that is safe to send as it is."""

    __slots__ = ()


def markup(*contents: Content) -> Markup:
    """Contents after one another, text escaped."""
    return Markup("".join(_pieces(contents)))


def element(name: str, /, *contents: Content, **attributes: object) -> Markup:
    """One element.

    Attributes: ``_`` stands for ``-``, and one behind a word is left out (``class_``). None and
    False leave an attribute out, True writes its name alone.
    """
    words = [name]
    for key, value in attributes.items():
        word = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(word)
        elif value is not None and value is not False:
            words.append(f'{word}="{escape(str(value))}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening if name in _VOID else f"{opening}{markup(*contents)}</{name}>")


def link(url: str, *contents: Content, **attributes: object) -> Markup:
    """A link to another page of ours."""
    return element("a", *contents, href=url, **attributes)


def _pieces(contents: Iterable[object]) -> Iterable[str]:
    for content in contents:
        if content is None:
            continue
        if isinstance(content, Markup):
            yield content
        elif isinstance(content, str) or not isinstance(content, Iterable):
            yield escape(str(content))
        else:
            yield from _pieces(content)


def table(
    caption: Content,
    heads: Sequence[str],
    rows: Iterable[Sequence[Content]],
    *,
    numeric: Iterable[int] = (),
    empty: Content = None,
) -> Markup:
    """A table whose first column names its row; on a phone each row becomes a card.

    Args:
        caption: What the rows are.
        heads: Of the columns.
        rows: Cells.
        numeric: Columns at the right side.
        empty: Shown in place of a table without rows.
    """
    right = frozenset(numeric)
    # Roles say again what the elements say, since a style that lays them out as cards unsays it.
    body = [
        element(
            "tr",
            [
                element(
                    "th" if column == 0 else "td",
                    element("span", cell, class_="cell"),
                    scope="row" if column == 0 else None,
                    role="rowheader" if column == 0 else "cell",
                    class_="number" if column in right else None,
                    data_label=head,
                )
                for column, (head, cell) in enumerate(zip(heads, row, strict=True))
            ],
            role="row",
        )
        for row in rows
    ]
    if not body:
        return element("p", empty, class_="empty")
    head = element(
        "tr",
        [
            element(
                "th",
                text,
                scope="col",
                role="columnheader",
                class_="number" if column in right else None,
            )
            for column, text in enumerate(heads)
        ],
        role="row",
    )
    return element(
        "table",
        element("caption", caption),
        element("thead", head, role="rowgroup"),
        element("tbody", body, role="rowgroup"),
        role="table",
    )


def facts(*pairs: tuple[str, Content]) -> Markup:
    """Names and what they are; pairs whose second is None are left out."""
    return element(
        "dl",
        [
            element("div", element("dt", name), element("dd", value))
            for name, value in pairs
            if value is not None
        ],
    )
