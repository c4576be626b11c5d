"""Differences between a recorded and a given answer, by the names that the documentation lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .recordings import REPOSITORY, last_name

PAGE = REPOSITORY / "docs" / "azure-differences.md"


def listed_differences() -> set[str]:
    """The names in the table of recorded differences."""
    section = PAGE.read_text().split("## In recorded answers")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def listed_blocks(kind: str) -> list[str]:
    """The prefixes of one of the page's blocks."""
    return PAGE.read_text().split(f"```{kind}\n")[1].split("```")[0].split()


def differences(recorded: Any, answered: Any, path: str = "") -> Iterator[str]:
    """Name what differs; what has no name is told with its path, so that no list can hold it."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for key in sorted({*recorded, *answered}):
            inner = f"{path}.{key}" if path else key
            if key not in recorded or key not in answered:
                yield f"{inner} is {'not recorded' if key in answered else 'not answered'}"
            else:
                yield from differences(recorded[key], answered[key], inner)
        return
    if _is_internet(path, recorded):
        yield from _internet(recorded, answered)
    elif isinstance(recorded, list) and isinstance(answered, list):
        if len(recorded) > len(answered) and path == "value":
            yield from _repeated(recorded)
            recorded = recorded[: len(answered)]
        if len(recorded) != len(answered):
            yield f"{path} has {len(recorded)} elements, and {len(answered)} are answered"
            return
        for index, (of_azure, ours) in enumerate(zip(recorded, answered, strict=True)):
            yield from differences(of_azure, ours, f"{path}[{index}]")
    elif recorded != answered:
        is_id = isinstance(recorded, str) and recorded.startswith("/subscriptions/")
        if is_id and last_name(recorded) == answered:
            yield "ids"
        else:
            yield f"{path}: {recorded!r} is recorded and {answered!r} answered"


def _is_internet(path: str, recorded: Any) -> bool:
    return isinstance(recorded, list) and (
        path.endswith("tagMap.Internet") or (len(recorded) > 100 and ".expanded" in path)
    )


def _internet(recorded: list[str], answered: list[str]) -> Iterator[str]:
    """The prefixes themselves are compared by a test of their own."""
    if [prefix for prefix in answered if ":" not in prefix] != recorded:
        yield "internetIPv4"
    if any(":" in prefix for prefix in answered):
        yield "internetIPv6"


def _repeated(recorded: list[Any]) -> Iterator[str]:
    first, *others = recorded
    if others == [{**first, "effectiveSecurityRules": []}]:
        yield "repeatedElement"
    else:
        yield "value has other elements than those of its groups"
