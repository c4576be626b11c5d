"""Medians, percentiles and what repeated measurements come to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """Repeated measurements of one quantity; *values* in the order in which they were made."""

    median: float
    minimum: float
    maximum: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Summary | None:
        """Summarise what was measured; None where nothing was."""
        known = tuple(value for value in values if value is not None)
        if not known:
            return None
        return cls(statistics.median(known), min(known), max(known), known)

    def as_json(self) -> dict[str, object]:
        """For programs; six digits are more than any of this is worth."""
        return {
            "median": _rounded(self.median),
            "min": _rounded(self.minimum),
            "max": _rounded(self.maximum),
            "values": [_rounded(value) for value in self.values],
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least *percent* of 100 of all values do not exceed.

    Raises ValueError where there are no values.
    """
    if not values:
        raise ValueError("no values")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
