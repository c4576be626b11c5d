"""The service tags in use, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServiceTagsState:
    """The service tags that rules in force name, and the file that their prefixes are from."""

    cloud: str
    change_number: int
    age_s: float  # since the file was installed
    is_previous: bool  # the newest file cannot be used
    prefixes: Mapping[str, int]  # how many, by tag


def service_tags_as_json(state: ServiceTagsState | None) -> dict[str, Any] | None:
    """For programs; None where rules name no tag."""
    if state is None:
        return None
    return {
        "cloud": state.cloud,
        "changeNumber": state.change_number,
        "ageSeconds": int(state.age_s),
        "isPrevious": state.is_previous,
        "tags": [{"name": name, "prefixes": count} for name, count in state.prefixes.items()],
    }
