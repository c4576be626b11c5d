"""Problems get the line that a reader looks for, and names across documents."""

from __future__ import annotations

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.config.parse import ParsedDocument
from nsgd.config.problem import ConfigRefused, Key
from nsgd.config.report import MOST_PROBLEMS, Place, Report, Source

TEXT = """\
a:
  - name: one
    b: 1

  - {name: two,
     c: [1,
         2]}
"""
TREE = {"a": [{"name": "one", "b": 1}, {"name": "two", "c": [1, 2]}]}
PARSED = ParsedDocument(TEXT, TREE, [])


@pytest.mark.parametrize(
    ("path", "line", "names"),
    [
        ((), 1, ""),
        (("a",), 1, ""),
        (("a", 0), 2, "'one': "),
        (("a", 0, "name"), 2, ""),
        (("a", 0, "b"), 3, "'one': "),
        (("a", 1), 5, "'two': "),
        (("a", 1, "c"), 6, "'two': "),
        (("a", 1, "c", 1), 7, "'two': "),
        # What is not there has the line of what holds it.
        (("a", 1, "missing"), 5, "'two': "),
        (("a", 0, "b", "deeper"), 3, "'one': "),
        (("a", 7), 1, ""),
        (("z", "y"), 1, ""),
    ],
)
def test_line_and_names(path: tuple[Key, ...], line: int, names: str) -> None:
    """Of the deepest part of the path that the document has."""
    report = Report([Source("f", PARSED)])
    report.add(Place(0, path), "is bad", "mend it")
    (problem,) = report.problems()
    assert (problem.line, problem.message) == (line, f"{names}is bad")


def test_a_known_line_is_kept() -> None:
    """A parser knows better than the path."""
    report = Report([Source("f", PARSED), Source("g")])
    report.add(Place(1), "is bad", "mend it")
    report.add(Place(1), "is bad", "mend it", 9)
    report.add(Place(0, ("a", 1)), "is bad", "mend it", 2)
    assert [(problem.document, problem.line) for problem in report.problems()] == [
        ("f", 2),
        ("g", None),
        ("g", 9),
    ]


def test_json_that_is_not_yaml_has_no_lines() -> None:
    """The escape of a character beyond 16 bits; the path must do."""
    text = '{"a":\n "\\ud83d\\ude00"}'
    report = Report([Source("f", ParsedDocument(text, {"a": "\U0001f600"}, []))])
    report.add(Place(0, ("a",)), "is bad", "mend it")
    assert [(problem.path, problem.line) for problem in report.problems()] == [("a", None)]


def test_problems_are_in_the_order_of_the_documents() -> None:
    """By line where one is found later than another."""
    report = Report([Source("f", PARSED), Source("g", PARSED)])
    for document, path in ((1, ("a", 0)), (0, ("a", 1)), (0, ("a", 0)), (0, ("a", 0, "b"))):
        report.add(Place(document, path), "is bad", "mend it")
    found = [(problem.document, problem.line) for problem in report.problems()]
    assert found == [("f", 2), ("f", 3), ("f", 5), ("g", 2)]


def test_locate() -> None:
    """The document is named where it is another."""
    report = Report([Source("f"), Source("g")])
    assert report.locate(Place(0, ("a", 1)), Place(0)) == "a[1]"
    assert report.locate(Place(0, ("a", 1)), Place(1)) == "a[1] in f"


def test_a_million_mistakes_are_not_all_told() -> None:
    """The first are told with the number of the others, in a moment."""
    mistakes = b"networkSecurityGroups:\n" + b"- {name: '/'}\n" * 50_000
    with pytest.raises(ConfigRefused) as refused:
        load_documents([Document("many.yaml", mistakes)])
    problems = refused.value.problems
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].document == "documents"
    assert "other problems; mend these first" in str(problems[-1])
