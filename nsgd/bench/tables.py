"""Aligned tables, and how numbers stand in them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from nsgd.bench.statistics import Summary


def format_table(rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns; the first row is the heading, numbers stand to the right."""
    listed = list(rows)
    widths = [max(len(row[column]) for row in listed) for column in range(len(listed[0]))]
    lines = []
    for row in listed:
        cells = [
            text.ljust(width)
            if column == 0 or not _is_number(listed, column)
            else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def cell(summary: Summary | None, write: Callable[[float], str]) -> str:
    """The median, with least and most behind it where there is more than one value."""
    if summary is None:
        return "-"
    median = write(summary.median)
    if len(summary.values) == 1:
        return median
    return f"{median} ({write(summary.minimum)}..{write(summary.maximum)})"


def quartiles_text(ratios: Sequence[float]) -> str:
    """The median, with the quartiles behind it: one ratio in four is below the first of them."""
    if len(ratios) < 2:
        return ratio_text(ratios[0]) if ratios else "-"
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{ratio_text(median)} ({ratio_text(low)}..{ratio_text(high)})"


def number_text(value: float) -> str:
    """A measured quantity, with about three digits."""
    if abs(value) >= 10_000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def ratio_text(value: float) -> str:
    """A ratio; the hundredths count."""
    return number_text(value) if abs(value) >= 100 else f"{value:.2f}"


def _is_number(rows: Sequence[Sequence[str]], column: int) -> bool:
    return all(row[column][:1].isdigit() or row[column][:1] in "-~" for row in rows[1:])
