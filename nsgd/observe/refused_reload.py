"""A reload that was refused: when, and why, for status and page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# A status is asked for every two seconds; the log has all of them, whole.
_MOST_PROBLEMS = 5
_MOST_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class RefusedReload:
    """The last reload, where it was refused."""

    at_s: float  # unix time
    count: int  # of problems
    problems: tuple[str, ...]  # the first ones

    @classmethod
    def of(cls, problems: Iterable[object], at_s: float) -> RefusedReload:
        """From all problems, of which the first are kept, each cut where it is long."""
        words = [str(problem) for problem in problems]
        first = (
            text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."
            for text in words[:_MOST_PROBLEMS]
        )
        return cls(at_s, len(words), tuple(first))


def reloads_as_json(succeeded: int, refused: int, refusal: RefusedReload | None) -> dict[str, Any]:
    """For ``nsgd status -o json``; *refusedAt* is null unless the last one was refused."""
    at = None if refusal is None else datetime.fromtimestamp(refusal.at_s, UTC)
    return {
        "succeeded": succeeded,
        "refused": refused,
        "refusedAt": None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "problemCount": 0 if refusal is None else refusal.count,
        "problems": [] if refusal is None else list(refusal.problems),
    }
