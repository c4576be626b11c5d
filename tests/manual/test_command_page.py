"""nsgd(8): whatever the command line takes is in it."""

from __future__ import annotations

import argparse

import pytest

from nsgd.cli import parser_for
from nsgd.commands.common import EXIT_CODES
from nsgd.manual.command_page import command_page
from tests.manual.pages import parsers, plain

PAGE = command_page(parser_for(["bench"]), "2026-01-31")
TEXT = plain(PAGE)


@pytest.mark.parametrize("parser", list(parsers())[1:], ids=lambda parser: parser.prog)
def test_every_verb_is_there(parser: argparse.ArgumentParser) -> None:
    """In the synopsis and in a subsection of its own, with each option and its help."""
    assert f".br {parser.prog}" in TEXT
    _, found, rest = TEXT.partition(f".SS {parser.prog} ")
    assert found
    own = rest.partition(".SS ")[0].partition(".SH ")[0]
    for action in parser._actions:
        if action.dest == "help" or action.help == argparse.SUPPRESS:
            continue
        for name in action.option_strings:
            assert f"{name} " in own or f"{name}, " in own
        if action.help and "%" not in action.help and not action.choices:
            assert " ".join(action.help.split()) in own


def test_verbs_are_many() -> None:
    """The test above has something to look for, verbs of verbs too."""
    programs = [parser.prog for parser in parsers()]
    assert {"nsgd run", "nsgd tags update", "nsgd lab exec", "nsgd bench"} <= set(programs)


def test_exit_codes_are_those_of_the_help() -> None:
    """Each with its meaning, once."""
    status = TEXT.partition(".SH EXIT STATUS ")[2].partition(".SH ")[0]
    shown = [part.split(maxsplit=1) for part in status.strip().split(".TP ")[1:]]
    expected = [line.split(maxsplit=1) for line in EXIT_CODES.splitlines()[1:]]
    assert [[code, meaning.strip()] for code, meaning in shown] == expected


def test_defaults_are_not_those_of_the_caller() -> None:
    """The page names the directories of the package."""
    assert "where the daemon's control socket is (/run/nsgd)" in TEXT


def test_the_title_has_name_section_and_day() -> None:
    """As man and whatis want it."""
    assert PAGE.startswith('.TH "NSGD" 8 "2026-01-31" "nsgd ')
    assert "nsgd \\- Azure network security groups, enforced on plain Linux\n" in PAGE
