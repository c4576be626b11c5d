"""Pages are listed, and what they link to is there: what Sphinx says too, and of README.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
DOCS = REPOSITORY / "docs"
PAGES = sorted(
    (*DOCS.rglob("*.md"), *(REPOSITORY / f"{name}.md" for name in ("README", "CONTRIBUTING")))
)
FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!`)\]\(\s*([^)\s]+)\s*\)")


def anchors(text: str) -> Iterator[str]:
    """What hosts of code make of headings: lower case, no punctuation, hyphens for spaces.

    A heading that is there already gets a number.
    """
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        yield f"{anchor}-{seen[anchor]}" if anchor in seen else anchor
        seen[anchor] += 1


def dead_links(page: Path) -> list[str]:
    """Links to files that are not there, or to headings that their page does not have."""
    dead = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    """To a file of the repository, and to a heading of it."""
    assert dead_links(page) == []


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    """Of a file, of a heading, and not in what is shown as code."""
    (tmp_path / "other.md").write_text("# Some `words`, and more\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md#some-words-and-more) [b](other.md#words) [c](gone.md) [d](#here)\n"
        "[e](#there)\n```text\n[f](gone.md)\n```\n"
    )
    assert dead_links(page) == ["other.md#words", "gone.md", "#there"]


def test_every_page_is_listed_once() -> None:
    """On the start page, whose lists are the site's tables of contents."""
    index = DOCS / "index.md"
    listed = re.findall(r"^\* \[[^\]]+\]\(([^)#]+)\)", index.read_text(), re.MULTILINE)
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"index.md"}
    assert len(listed) == len(set(listed))
    assert set(listed) == pages
