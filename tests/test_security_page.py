"""SECURITY.md names what exists: parsers, pages, and the bounds that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nsgd.arm import limits
from nsgd.config.tag_catalogue import MAXIMUM_TAG_FILE_BYTES
from nsgd.config.yaml_tree import MAXIMUM_DEPTH
from nsgd.kernel.queue import COPY_RANGE_BYTES
from nsgd.runtime.control import TIMEOUT_S
from nsgd.runtime.control_listen import MAXIMUM_CONNECTIONS, SOCKET_MODE
from nsgd.runtime.control_wire import (
    MAXIMUM_ANSWER_BYTES,
    MAXIMUM_REQUEST_BYTES,
    MAXIMUM_WRITE_BYTES,
)
from nsgd.runtime.documents import MAXIMUM_DOCUMENT_BYTES

REPOSITORY = Path(__file__).parent.parent
TEXT = (REPOSITORY / "SECURITY.md").read_text()


def rows() -> dict[str, str]:
    """The row of each parser, by what arrives."""
    table = TEXT.partition("\n## Who may send what")[2].partition("\n## ")[0]
    return {line.split(" | ")[0].strip("| "): line for line in table.splitlines() if "|" in line}


def test_what_it_names_exists() -> None:
    """Modules, directories of tests, and pages with their headings."""
    paths = set(re.findall(r"`((?:nsgd|tests|debian|requirements)/[\w/.-]*)`", TEXT))
    assert len(paths) > 15
    assert [path for path in sorted(paths) if not (REPOSITORY / path).exists()] == []
    for page, _, heading in re.findall(r"\]\(([\w/.-]+\.md)(#([\w-]+))?\)", TEXT):
        lines = (REPOSITORY / page).read_text().splitlines()
        headings = {
            re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in lines
            if line.startswith("#")
        }
        assert not heading or heading in headings, (page, heading)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("queued packets", f"{COPY_RANGE_BYTES} bytes or less"),
        ("control requests", f"{MAXIMUM_REQUEST_BYTES >> 10} KiB"),
        ("control requests", f"{MAXIMUM_WRITE_BYTES >> 20} MiB"),
        ("control requests", f"{MAXIMUM_CONNECTIONS} connections, 8 of them reserved"),
        ("control requests", f"mode 0{SOCKET_MODE:o}"),
        ("control requests", f"{TIMEOUT_S:g} s"),
        ("policy documents", f"files of {MAXIMUM_DOCUMENT_BYTES >> 20} MiB"),
        ("policy documents", f"depth {MAXIMUM_DEPTH}"),
        ("service tags, downloaded", f"{MAXIMUM_TAG_FILE_BYTES >> 20} MiB"),
        ("answers of a daemon", f"{MAXIMUM_ANSWER_BYTES >> 20} MiB"),
    ],
)
def test_bounds_are_those_of_the_code(what: str, words: str) -> None:
    """A bound that is raised is raised here too."""
    assert words in rows()[what]


def test_templates_are_bounded() -> None:
    """The module that the page refers to has steps, depth and text."""
    assert limits.MAXIMUM_STEPS > 0
    assert limits.MAXIMUM_TEMPLATE_DEPTH > 0
    assert limits.MAXIMUM_STRING_CHARACTERS > 0
