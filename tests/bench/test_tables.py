"""Tables and the numbers in them."""

from __future__ import annotations

import pytest

from nsgd.bench.statistics import Summary
from nsgd.bench.tables import cell, format_table, number_text, quartiles_text, ratio_text


def test_table_is_aligned() -> None:
    """Names stand to the left, numbers to the right."""
    rows = [["Name", "Count"], ["a", "5"], ["long name", "1234"], ["c", "-"]]
    assert format_table(rows).splitlines() == [
        "Name       Count",
        "a              5",
        "long name   1234",
        "c              -",
    ]


@pytest.mark.parametrize(
    ("value", "number", "ratio"),
    [
        (0.954, "1.0", "0.95"),
        (99.94, "99.9", "99.94"),
        (123.4, "123", "123"),
        (12345.0, "12.3k", "12.3k"),
    ],
)
def test_numbers(value: float, number: str, ratio: str) -> None:
    """About three digits; of a ratio the hundredths."""
    assert (number_text(value), ratio_text(value)) == (number, ratio)


def test_cell() -> None:
    """Least and most stand behind the median where there are several values."""
    assert cell(None, number_text) == "-"
    assert cell(Summary.of([1.0]), number_text) == "1.0"
    assert cell(Summary.of([1.0, 3.0, 2.0]), ratio_text) == "2.00 (1.00..3.00)"


def test_quartiles_stand_behind_the_median() -> None:
    """Where there is more than one ratio."""
    assert quartiles_text([1.0, 2.0, 0.5, 1.5, 0.0]) == "1.00 (0.50..1.50)"
    assert quartiles_text([0.5]) == "0.50"
    assert quartiles_text([]) == "-"
