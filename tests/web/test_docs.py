"""docs/web.md: its pictures are there and small, and what it says of limits is so."""

from __future__ import annotations

import re
from pathlib import Path

from nsgd.commands.web import DEFAULT_LISTEN
from nsgd.runtime.recent_denials import MOST_KEPT
from nsgd.web import flows, networks, server
from tests.web.screenshots import IMAGES, MAXIMUM_BYTES, PICTURES

TEXT = (Path(__file__).parents[2] / "docs" / "web.md").read_text()


def test_pictures() -> None:
    """Those that the command takes, and no others; each is shown, or stands in for one that is."""
    shown = set(re.findall(r"!\[[^\]]+\]\(images/([a-z-]+\.png)\)", TEXT))
    made = {picture.name for picture in PICTURES}
    assert made == {path.name for path in IMAGES.glob("web-*.png")}
    assert shown == made
    for name in made:
        data = (IMAGES / name).read_bytes()
        assert data.startswith(b"\x89PNG\r\n")
        assert len(data) < MAXIMUM_BYTES


def test_numbers() -> None:
    """As the code has them."""
    words = " ".join(TEXT.split())
    for text in (
        f"nsgd web at http://{DEFAULT_LISTEN}/",
        f"{server.MAXIMUM_REQUEST_BYTES >> 10} KiB a request, {server.CONNECTIONS} connections",
        f"{server.TIMEOUT_S:g} s of silence, {server.DEADLINE_S:g} s in all",
        f"{MOST_KEPT} at most, of each rule and source",
        f"{networks.MOST_AT_ONCE} interfaces a page",
        f"{flows.MOST_LISTED} at most",
    ):
        assert text in words
