"""The command ``nsgd``: its verbs stand in nsgd/commands/."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from nsgd import __version__
from nsgd.commands import daemon
from nsgd.commands.common import EXIT_CODES, EXIT_FAILED, AddVerb, verb_adder

EXIT_INTERRUPTED = 130  # as shells say it
# What a machine's start waits for: it need not wait for the code of all other verbs too.
_FIRST_VERBS = ("run", "boot")
_OUTPUT_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code. Raises SystemExit for wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parser_for(words).parse_args(words)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has seen enough; nothing more must be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("nsgd: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        # Of a file it is said where it is read or written.
        if error.filename is not None or error.errno not in _OUTPUT_FAILURES:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        reason = (error.strerror or str(error)).lower()
        print(f"nsgd: the output cannot be written: {reason}; make room for it", file=sys.stderr)
        return EXIT_FAILED
    return code


def parser_for(words: Sequence[str]) -> argparse.ArgumentParser:
    """The definition of the command, as far as *words* may need it.

    That is with the options of bench where they name it, and where the daemon is to start, with
    its own verbs alone.
    """
    parser = argparse.ArgumentParser(
        prog="nsgd",
        description="Azure network security groups, enforced on plain Linux.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nsgd {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verb = verb_adder(verbs)
    daemon.add_verbs(verb)
    if not (words and words[0] in _FIRST_VERBS):
        _add_other_verbs(verb, words)
    return parser


def _add_other_verbs(verb: AddVerb, words: Sequence[str]) -> None:
    from nsgd.commands import (
        analysis,
        apply,
        convert,
        documents,
        flow_log,
        flows,
        host,
        lab,
        monitor,
        questions,
        reach,
        tags,
        top,
        web,
    )

    apply.add_verbs(verb)
    flows.add_verbs(verb)
    monitor.add_verbs(verb)
    top.add_verbs(verb)
    documents.add_verbs(verb)
    convert.add_verbs(verb)
    questions.add_verbs(verb)
    analysis.add_verbs(verb)
    reach.add_verbs(verb)
    tags.add_verbs(verb)
    flow_log.add_verbs(verb)
    web.add_verbs(verb)
    lab.add_verbs(verb)
    host.add_verbs(verb, words)
