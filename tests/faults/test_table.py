"""docs/faults.md is what the rows say, and what they name is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.faults.fault import REPOSITORY, Fault, NotFound, mutated
from tests.faults.rows import SECTIONS
from tests.faults.table import PAGE, page

FAULTS = [fault for section in SECTIONS for fault in section.faults]
EACH = pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])


def functions_of(path: Path) -> dict[str, bool]:
    """Names of a file's test functions, and whether they are marked slow as a whole."""
    return {
        node.name: any(ast.unparse(mark) == "pytest.mark.slow" for mark in node.decorator_list)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def test_the_page_is_up_to_date() -> None:
    """Otherwise: python -m tests.faults.table."""
    assert PAGE.read_text() == page()


def test_names_are_of_one_row() -> None:
    """A row is chosen by its name."""
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@EACH
def test_what_a_row_names_is_there(fault: Fault) -> None:
    """Its test, with its mark; its line, which can be taken out; and no cell is empty."""
    file, _, name = fault.test.partition("::")
    assert functions_of(REPOSITORY / file).get(name) is fault.is_slow
    assert mutated(fault) != (REPOSITORY / fault.file).read_text()
    cells = (fault.fault, fault.verdict, fault.metric, fault.log, fault.engines, fault.modes)
    assert all(cells)
    assert not any("|" in cell or "\n" in cell for cell in cells)


SOURCE = """\
def f():
    first(
        1,
    )
    if a:
        second()


class C:
    def f(self):
        second()
"""


@pytest.mark.parametrize(
    ("function", "line", "changed", "expected"),
    [
        ("C.f", "second()", "", "class C:\n    def f(self):\n        pass\n"),
        ("C", "second()", "third()", "class C:\n    def f(self):\n        third()\n"),
        ("", "first(", "", "def f():\n    pass\n    if a:\n"),
        ("", "if a:", "", "    )\n    pass\n\n\nclass C:"),
        ("", "if a:", "if b:", "    )\n    if b:\n        second()\n"),
    ],
)
def test_a_line_is_taken_out(
    tmp_path: Path, function: str, line: str, changed: str, expected: str
) -> None:
    """The whole statement, or that line is changed."""
    (tmp_path / "f.py").write_text(SOURCE)
    made = mutated(row(function, line, changed), tmp_path)
    assert expected in made


@pytest.mark.parametrize(
    ("function", "line"), [("", "second()"), ("f", "third()"), ("D", "second()"), ("f", "1,")]
)
def test_a_line_that_is_not_there_once(tmp_path: Path, function: str, line: str) -> None:
    """A row that has become wrong is seen."""
    (tmp_path / "f.py").write_text(SOURCE)
    with pytest.raises(NotFound):
        mutated(row(function, line), tmp_path)


def row(function: str, line: str, changed: str = "") -> Fault:
    return Fault("x", "x", "x", "x", "x", "x", "f.py", function, line, changed)
