"""Classes cut by one more map."""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Sequence

import pytest

from nsgd.policy import refine
from nsgd.policy.address_set import Range, merge_ranges
from nsgd.policy.refine import refine_ports, refine_steps

VALUES = 60


def drawn_ranges(chooser: random.Random) -> Sequence[Range]:
    """Disjoint ranges in order, perhaps to the last value."""
    firsts = [chooser.randrange(VALUES) for _ in range(chooser.randrange(4))]
    return merge_ranges((f, min(VALUES - 1, f + chooser.randrange(9))) for f in firsts)


def is_inside(value: int, ranges: Sequence[Range]) -> bool:
    """Tell whether a value is in one of the ranges."""
    return any(first <= value <= last for first, last in ranges)


def test_steps_tell_apart_what_they_did_and_the_ranges() -> None:
    """No more and no less, whatever comes after one another."""
    chooser = random.Random(0)
    for _ in range(200):
        known: tuple[Sequence[int], Sequence[int]] = ([0], [0])
        told: list[tuple[int, ...]] = [() for _ in range(VALUES)]
        for _ in range(4):
            ranges = drawn_ranges(chooser)
            before = len(set(told))
            told = [(*of, is_inside(value, ranges)) for value, of in enumerate(told)]
            made = refine_steps(known, ranges, VALUES)
            starts, classes = made
            found = [classes[bisect_right(starts, value) - 1] for value in range(VALUES)]
            assert len({*zip(found, told, strict=True)}) == len(set(found)) == len(set(told))
            assert set(classes) == set(range(len(set(told))))
            assert (made is known) is (len(set(told)) == before)
            known = made


@pytest.mark.parametrize("is_narrow", [True, False])
def test_ports_of_two_kinds_have_classes_in_common(is_narrow: bool) -> None:
    """A class may be inside in one kind and outside in the other, and is cut then."""
    chooser = random.Random(1)
    for _ in range(200):
        blank: Sequence[int] = bytes(VALUES) if is_narrow else array("H", [0]) * VALUES
        known: Sequence[Sequence[int]] = [blank, blank]
        told: list[tuple[int, ...]] = [() for _ in range(2 * VALUES)]
        for _ in range(4):
            ranges = [drawn_ranges(chooser), drawn_ranges(chooser)]
            told = [
                (*of, is_inside(at % VALUES, ranges[at // VALUES])) for at, of in enumerate(told)
            ]
            made = refine_ports(known, ranges)
            assert made is not None
            assert all(type(each) is type(blank) for each in made)
            found = [*made[0], *made[1]]
            assert len({*zip(found, told, strict=True)}) == len(set(found)) == len(set(told))
            assert max(found) == len(set(found)) - 1
            known = made


def test_classes_that_no_byte_has_room_for() -> None:
    """Then they are wider, and the bytes of the other kind stay."""
    known = bytes(range(256)) * 2
    (made,) = refine_ports([known], [((0, 0),)]) or ()
    assert isinstance(made, array)
    assert made.tolist() == [256, *known[1:]]


def test_too_many_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets what does not fit."""
    known = bytes((0, 0, 1, 1))
    monkeypatch.setattr(refine, "MOST_PORT_CLASSES", 3)
    assert refine_ports([known], [((0, 0),)]) == [bytes((2, 0, 1, 1))]
    assert refine_ports([known], [((0, 0), (2, 2))]) is None
