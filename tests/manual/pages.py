"""Pages as man shows them, and every parser of the command."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from nsgd.cli import parser_for
from nsgd.manual.command_page import subparsers_of

_FONT = re.compile(r"\\f[BIR]")


def plain(source: str) -> str:
    """The text of a page without fonts and escapes, on one line."""
    text = _FONT.sub("", source).replace(r"\-", "-").replace(r"\&", "").replace(r"\e", "\\")
    return " ".join(text.split())


def parsers(parser: argparse.ArgumentParser | None = None) -> Iterator[argparse.ArgumentParser]:
    """The command's parser and those of all its verbs, at any depth."""
    parser = parser or parser_for(["bench"])
    yield parser
    holder = subparsers_of(parser)
    for verb in () if holder is None else holder.choices.values():
        yield from parsers(verb)
