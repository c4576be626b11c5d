"""The style's colours can be read, in light and in dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

STYLE = (files("nsgd.web") / "static" / "style.css").read_text()
# Text and what it stands on.
PAIRS = [
    *((text, back) for text in ("text", "soft", "link") for back in ("back", "paper", "head")),
    *((kind, f"{kind}-back") for kind in ("ok", "warn", "bad")),
    *((kind, back) for kind in ("ok", "bad") for back in ("paper", "head")),
    ("text", "mark"),
]


def colours(scheme: str) -> dict[str, str]:
    """The variables of a scheme."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light if scheme == "light" else dark))
    assert len(found) == 15
    return found


def luminance(colour: str) -> float:
    """As the Web Content Accessibility Guidelines define it."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    """4.5 to 1 for text, 3 to 1 for the ring around what has the focus and for fields."""
    found = colours(scheme)
    low = {pair: contrast(found[pair[0]], found[pair[1]]) for pair in PAIRS}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
    for back in ("back", "paper"):
        assert contrast(found["accent"], found[back]) >= 3
    assert contrast(found["soft"], found["paper"]) >= 3


def test_buttons() -> None:
    """The same in both."""
    assert contrast("#ffffff", "#0550ae") >= 4.5
    assert contrast("#000000", "#ffffff") == 21


def test_nothing_comes_from_elsewhere() -> None:
    """No import, no font, no image."""
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "http" not in (files("nsgd.web") / "static" / "live.js").read_text()
