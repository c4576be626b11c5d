"""``python -m nsgd.manual DIR`` writes the manual pages and the completion of shells into DIR.

With ``--markdown`` it writes docs/cli.md's text into DIR instead, as cli.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nsgd.cli import parser_for
from nsgd.manual.command_page import command_page
from nsgd.manual.completion import completion
from nsgd.manual.document_page import document_page
from nsgd.manual.markdown_page import markdown_page

# The command's help names directories that systemd passes by these, and is as wide as the terminal.
_OF_THE_CALLER = ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "COLUMNS")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files and return the exit code. Raises SystemExit for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m nsgd.manual", description=__doc__)
    parser.add_argument("directory", metavar="DIR", type=Path)
    parser.add_argument("--pages-only", action="store_true", help="no completion: without shtab")
    parser.add_argument("--markdown", action="store_true", help="the command's page as cli.md")
    args = parser.parse_args(argv)
    for variable in _OF_THE_CALLER:
        os.environ.pop(variable, None)
    args.directory.mkdir(parents=True, exist_ok=True)
    if args.markdown:
        written = iter([("cli.md", markdown_page(parser_for(["bench"])))])
    else:
        written = files(with_completion=not args.pages_only)
    for name, text in written:
        (args.directory / name).write_text(text, encoding="utf-8")
    return 0


def files(*, with_completion: bool) -> Iterator[tuple[str, str]]:
    """Each file's name and text; of the day that SOURCE_DATE_EPOCH gives, or of none."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    date = "" if epoch is None else datetime.fromtimestamp(int(epoch), UTC).date().isoformat()
    # The options of bench are there only for those who ask for it.
    command = parser_for(["bench"])
    yield "nsgd.8", command_page(command, date)
    yield "nsgd.yaml.5", document_page(date)
    if with_completion:
        yield "nsgd.bash", completion(command, "bash")
        yield "_nsgd", completion(command, "zsh")


if __name__ == "__main__":
    sys.exit(main())
