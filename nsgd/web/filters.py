"""The filter that open flows and recent denials have: its form, and its words as a request's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.web.markup import Markup, element, link

# Name, label, and an example.
FIELDS = (
    ("source", "Source", "203.0.113.0/24"),
    ("destination", "Destination", "10.0.1.4"),
    ("port", "Destination port", "22"),
    ("protocol", "Protocol", "Tcp"),
    ("nic", "Network interface", "web1"),
    ("nsg", "Network security group", "web"),
    ("rule", "Rule", "DenyAllInBound"),
    ("direction", "Direction", "Inbound"),
)


class FilterRefused(Exception):
    """The words are no filter; the text says why."""


def read_filter(given: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a request; the daemon judges what they say. Raises FilterRefused."""
    words = {name: text for name, _, _ in FIELDS if (text := given.get(name, "").strip())}
    arguments: dict[str, Any] = dict(words)
    if "port" in words:
        text = words["port"]
        if not (text.isascii() and text.isdigit() and len(text) <= 5):
            raise FilterRefused(f"port: {text[:60]!r} is not a port; write one from 0 to 65535")
        arguments["port"] = int(text)
    return arguments


def filter_form(action: str, given: Mapping[str, str], problem: str | None) -> Markup:
    """The form with what was given, and what is wrong with it."""
    is_open = problem is not None or any(given.get(name) for name, _, _ in FIELDS)
    return element(
        "details",
        element("summary", "Filter"),
        element("p", problem, class_="problem", role="alert", id="problem") if problem else None,
        element(
            "form",
            [
                element(
                    "div",
                    element("label", label, for_=name),
                    element(
                        "input",
                        id=name,
                        name=name,
                        value=given.get(name, ""),
                        placeholder=f"e.g. {example}",
                        maxlength="100",
                        autocomplete="off",
                        spellcheck="false",
                        aria_describedby="problem" if problem else None,
                    ),
                )
                for name, label, example in FIELDS
            ],
            element(
                "div",
                element("button", "Show", type="submit"),
                " ",
                link(action, "Without a filter"),
                class_="buttons",
            ),
            method="get",
            action=action,
            class_="fields",
        ),
        open=is_open,
        class_="filter",
    )
