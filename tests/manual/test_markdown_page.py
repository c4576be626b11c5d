"""The page docs/cli.md, in the tree and from the parser."""

from __future__ import annotations

import argparse
from pathlib import Path

from nsgd.cli import parser_for
from nsgd.commands.common import EXIT_CODES
from nsgd.manual.__main__ import main
from nsgd.manual.markdown_page import markdown_page
from tests.manual.pages import parsers

PAGE = Path(__file__).parent.parent.parent / "docs" / "cli.md"


def test_the_page_in_the_tree_is_current(tmp_path: Path) -> None:
    """Else write it again: make docs/cli.md."""
    assert main(["--markdown", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["cli.md"]
    assert PAGE.read_text() == (tmp_path / "cli.md").read_text()


def test_every_verb_and_option_is_there() -> None:
    """Each verb under a heading of its own, each option that is shown in a row."""
    page = markdown_page(parser_for(["bench"]))
    sections = dict(part.split("\n", 1) for part in page.split("\n### ")[1:])
    verbs = [verb for verb in parsers() if verb.prog != "nsgd"]
    assert sections.keys() == {verb.prog for verb in verbs}
    for verb in verbs:
        for action in verb._actions:
            if action.help != argparse.SUPPRESS and "-h" not in action.option_strings:
                assert all(name in sections[verb.prog] for name in action.option_strings)


def test_exit_codes_are_there() -> None:
    """All that the help lists, on this page and on the page of errors."""
    for page in (PAGE, PAGE.with_name("errors.md")):
        text = page.read_text()
        for line in EXIT_CODES.splitlines()[1:]:
            assert f"| {line.split()[0]} | " in text, page.name


def test_what_help_says_is_never_markup() -> None:
    """Bars end no cell, and stars and brackets are themselves."""
    parser = argparse.ArgumentParser(prog="nsgd")
    verb = parser.add_subparsers().add_parser("try", help="a | b_c")
    verb.add_argument("--to", metavar="A|B", help="one *or* [two] <three>, 100%%")
    page = markdown_page(parser)
    assert r"A \| b\_c." in page
    assert r"| `--to A\|B` | one \*or\* \[two\] \<three\>, 100% |" in page
