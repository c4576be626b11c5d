"""Completion for bash and zsh, from the parser of the command line by shtab."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from nsgd.manual.command_page import subparsers_of

SHELLS = ("bash", "zsh")


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for one of SHELLS. Raises ImportError where shtab is not installed."""
    shtab = import_module("shtab")
    _name_files(parser, shtab.FILE, shtab.DIRECTORY)
    script: str = shtab.complete(parser, shell)
    return script


def _name_files(parser: argparse.ArgumentParser, file: object, directory: object) -> None:
    """Tell shtab which values are paths."""
    for action in parser._actions:
        if action.type is Path or action.metavar == "FILE":
            action.complete = directory if action.metavar == "DIR" else file  # type: ignore[attr-defined]
    holder = subparsers_of(parser)
    for verb in () if holder is None else holder.choices.values():
        _name_files(verb, file, directory)
