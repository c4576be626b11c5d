"""Names are declared once and found without case."""

from __future__ import annotations

import pytest

from nsgd.config.names import Names, fold
from nsgd.config.report import Place, Report, Source

HERE = Place(0, ("here",))


def test_find_and_resolve() -> None:
    """ASCII letters compare without case, and nothing else does."""
    report = Report([Source("f")])
    names: Names[int] = Names("thing", report)
    assert names.declare("Ark", Place(0, ("a",)), 1)
    assert names.find("aRK") == 1
    assert names.find("ar\u212a") is None
    assert names.resolve("ARK", HERE) == 1
    assert names.resolve(None, HERE) is None
    assert report.problems() == ()


def test_the_first_declaration_stays() -> None:
    """And the second one is told where it is."""
    report = Report([Source("f")])
    names: Names[int] = Names("thing", report)
    place = Place(0, ("a",))
    assert names.declare("ark", place, 1)
    # An equal place is another declaration all the same.
    assert not names.declare("ARK", Place(0, ("a",)), 2)
    assert names.find("ark") == 1
    assert [problem.message for problem in report.problems()] == [
        "thing name 'ARK' is already taken by a"
    ]


@pytest.mark.parametrize(("known", "suggested"), [(1, 20), (2000, 20), (2001, 0)])
def test_near_names_are_looked_for_in_bounds(known: int, suggested: int) -> None:
    """Looking costs names times mistakes: the first mistakes get a name, all get a message."""
    report = Report([Source("f")])
    names: Names[int] = Names("thing", report)
    for index in range(known):
        names.declare(f"name{index}", Place(0, ("a", index)), index)
    for index in range(25):
        assert names.resolve(f"nam{index}e", HERE.at(index)) is None
    problems = report.problems()
    assert len(problems) == 25
    assert sum(problem.way_out.startswith("did you mean") for problem in problems) == suggested


def test_fold() -> None:
    """The Kelvin sign is not a k, and a capital sharp s not two of them."""
    assert fold("AbC-1") == "abc-1"
    assert fold("\u212aA") == "\u212aA"
