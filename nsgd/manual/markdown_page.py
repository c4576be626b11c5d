"""The page docs/cli.md, from the parser of the command line: what nsgd(8) says, in Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from nsgd.manual.command_page import arguments_of, exit_codes_of, usage_of, verbs_of

_HEAD = """\
# The command line

One command, `nsgd VERB`. Every verb has `-h`, and the same stands in the manual page nsgd(8). This
page is written from the definition of the command: `make docs/cli.md`.
"""


def markdown_page(parser: argparse.ArgumentParser) -> str:
    """The page's text. Verbs stand in the order in which the parser has them."""
    codes = [f"| {code} | {_plain(meaning)} |" for code, meaning in exit_codes_of(parser)]
    parts = [
        _HEAD,
        "## Verbs\n",
        *(_verb(verb, what) for verb, what in verbs_of(parser)),
        "## Exit codes\n",
        "\n".join(("| code | meaning |", "|---|---|", *codes)) + "\n",
        "[Exit codes and errors](errors.md) says what each means for a verb, and the way out.\n",
    ]
    return "\n".join(parts)


def _verb(parser: argparse.ArgumentParser, what: str) -> str:
    text = parser.description or f"{what[:1].upper()}{what[1:]}."
    rows = [f"| {term} | {_plain(meaning)} |" for term, meaning in _options(parser)]
    table = "\n".join(("| option | meaning |", "|---|---|", *rows)) + "\n" if rows else ""
    usage = f"```text\n{usage_of(parser)}\n```\n"
    return "\n".join(
        part for part in (f"### {parser.prog}\n", f"{_plain(text)}\n", usage, table) if part
    )


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action, placeholder, meaning in arguments_of(parser):
        names = ", ".join(action.option_strings)
        yield f"`{f'{names} {placeholder}'.strip()}`".replace("|", "\\|"), meaning


def _plain(text: str) -> str:
    """Words of a help text, of which none is taken for Markdown, on one line."""
    joined = " ".join(text.split())
    for character in "\\`*_<>[]|":
        joined = joined.replace(character, f"\\{character}")
    return joined
