"""The manual page nsgd(8), from the parser of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from nsgd import __version__
from nsgd.manual import roff

_DESCRIPTION = (
    "nsgd enforces Azure network security groups on a Linux gateway: it decides the first packet"
    " of each flow by the groups of the network interfaces that the flow leaves and enters. State"
    " is in the kernel's connection tracking, and rules stay in the kernel when the daemon ends.",
    "Documents are described in nsgd.yaml(5). A verb that loads them refuses a document with a"
    " mistake whole, with every problem, its line and the way out.",
)
_FILES = (
    ("/etc/nsgd/", "policy documents: every .yaml, .yml and .json in it, loaded as one"),
    ("/run/nsgd/nsgd.sock", "control socket, for root and the group nsgd"),
    ("/var/lib/nsgd/decision-numbers.json", "what the numbers in conntrack marks mean"),
    ("/var/lib/nsgd/service-tags/", "Microsoft's service tags, one file for each cloud"),
)
_SIGNALS = (
    ("HUP", "read all documents again; the policy in force stays where they are refused"),
    ("TERM, INT", "stop; rules stay in place unless onStop says remove"),
)
_SEE_ALSO = "nsgd.yaml(5), nft(8), conntrack(8), systemd.service(5)"


def command_page(parser: argparse.ArgumentParser, date: str) -> str:
    """The page's source. Verbs stand in the order in which the parser has them."""
    verbs = list(verbs_of(parser))
    synopsis = "".join(f".br\n{roff.usage(usage_of(each))}\n" for each, _ in verbs)
    described = "".join(_verb(each, what) for each, what in verbs)
    description = "".join(roff.paragraph(text) for text in _DESCRIPTION)
    return "".join(
        (
            roff.title("nsgd", 8, __version__, date, (parser.description or "").rstrip(".")),
            roff.section_of("SYNOPSIS", f"{roff.usage(usage_of(parser))}\n{synopsis}"),
            roff.section_of("DESCRIPTION", description),
            roff.section_of("OPTIONS", roff.definitions(_arguments(parser))),
            roff.section_of("VERBS", described),
            roff.section_of("EXIT STATUS", roff.definitions(_exit_codes(parser))),
            roff.section_of("SIGNALS", _literal_terms(_SIGNALS)),
            roff.section_of("FILES", _literal_terms(_FILES)),
            roff.section_of("SEE ALSO", f"{roff.escape(_SEE_ALSO)}\n"),
        )
    )


def subparsers_of(
    parser: argparse.ArgumentParser,
) -> argparse._SubParsersAction[argparse.ArgumentParser] | None:
    """The action that holds the parser's verbs."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action
    return None


def verbs_of(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Each verb and its own verbs, with one line of help."""
    holder = subparsers_of(parser)
    if holder is None:
        return
    helps = {choice.dest: choice.help or "" for choice in holder._choices_actions}
    for name, verb in holder.choices.items():
        yield verb, helps.get(name, "")
        yield from verbs_of(verb)


def _verb(parser: argparse.ArgumentParser, what: str) -> str:
    text = parser.description or f"{what[:1].upper()}{what[1:]}."
    body = roff.paragraph(text) + roff.definitions(_arguments(parser))
    return roff.subsection_of(parser.prog, body)


def usage_of(parser: argparse.ArgumentParser) -> str:
    """How the command is written, on one line."""
    words = parser.format_usage().split()[1:]
    return " ".join(word for word in words if word != "[-h]")


def arguments_of(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.Action, str, str]]:
    """Arguments and options, what stands for the value of each, and what the help says of it."""
    for action in parser._actions:
        if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            continue
        if action.help == argparse.SUPPRESS:
            continue
        text = (action.help or "") % {**vars(action), "prog": parser.prog}
        if action.choices is not None:
            one_of = f"one of {', '.join(str(choice) for choice in action.choices)}"
            has_default = action.default not in (None, argparse.SUPPRESS)
            one_of += f" ({action.default})" if has_default else ""
            text = f"{text}; {one_of}" if text else one_of
        yield action, "" if action.nargs == 0 else _placeholder(action), text


def exit_codes_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The codes that the end of the help lists, as "  0  done"."""
    for line in (parser.epilog or "").splitlines():
        code, _, meaning = line.strip().partition("  ")
        if code.isdigit():
            yield code, meaning


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action, placeholder, text in arguments_of(parser):
        value = roff.italic(placeholder) if placeholder else ""
        names = ", ".join(roff.bold(name) for name in action.option_strings)
        yield f"{names} {value}".strip(), text


def _exit_codes(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    return ((roff.bold(code), meaning) for code, meaning in exit_codes_of(parser))


def _placeholder(action: argparse.Action) -> str:
    name = action.metavar or action.dest.upper()
    text = name if isinstance(name, str) else " ".join(name)
    return f"{text} ..." if action.nargs in ("+", "*", argparse.REMAINDER) else text


def _literal_terms(entries: tuple[tuple[str, str], ...]) -> str:
    return roff.definitions((roff.bold(term), text) for term, text in entries)
