"""The verb flow-log: flow logs of nsgd and of Azure, printed alike or written as version 2."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from nsgd.commands.common import (
    EXIT_CODES,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    AddVerb,
    fail,
    plural,
    verb_adder,
)

_STDIN = Path("-")


def add_verbs(verb: AddVerb) -> None:
    """Add the verb, its own verb and its options."""
    flow_log = verb("flow-log", _no_verb, "look into flow logs, of nsgd or of Azure")
    verbs = flow_log.add_subparsers(dest="flow_log_verb", metavar="VERB", required=True)
    read = verb_adder(verbs)(
        "read", _read, "print the records of flow logs: VNet version 4, NSG versions 1 and 2"
    )
    read.epilog = f"{EXIT_CODES}What cannot be read is said on stderr, and the exit code is 1.\n"
    read.add_argument(
        "files",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="files, and directories of .json and .jsonl files; - is stdin",
    )
    read.add_argument("-o", "--output", choices=("table", "json", "csv"), default="table")
    read.add_argument(
        "--format",
        choices=("nsg-v2",),
        help="instead of printing records, write an NSG flow log of version 2",
    )


def _no_verb(args: argparse.Namespace) -> int:
    return fail("flow-log needs a verb; see nsgd flow-log --help", EXIT_USAGE)


def _read(args: argparse.Namespace) -> int:
    from nsgd.flowlog import nsg, show
    from nsgd.flowlog.fields import Problems
    from nsgd.flowlog.read import read_flow_log
    from nsgd.flowlog.record import FlowRecord

    records: list[FlowRecord] = []
    failed = 0
    for path in (path for path in args.files if path.is_dir() and not any(_files([path]))):
        fail(f"{path}: has no .json or .jsonl files in it; name where the log is", EXIT_FAILED)
        failed += 1
    for path in _files(args.files):
        problems = Problems()
        try:
            content = sys.stdin.buffer.read() if path == _STDIN else path.read_bytes()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            fail(f"{path}: cannot be read: {reason}; check the path", EXIT_FAILED)
            failed += 1
            continue
        records += read_flow_log(content, problems)
        for line in problems.lines:
            print(f"nsgd: {path}: {line}", file=sys.stderr)
        if problems.count > len(problems.lines):
            more = problems.count - len(problems.lines)
            print(f"nsgd: {path}: and {plural(more, 'more problem')}", file=sys.stderr)
        failed += problems.count
    # Files are of one interface each; time orders what several saw.
    records.sort(key=lambda record: record.time_ms)
    if args.format == "nsg-v2":
        document, left_out = nsg.v2_document(records)
        print(json.dumps(document, indent=1))
        if left_out:
            what = plural(left_out, "record")
            note = f"note: left out: {what} of protocols that version 2 has no letter for"
            print(note, file=sys.stderr)
    elif args.output == "json":
        _print(show.as_json(records), end="")
        print()
    elif args.output == "csv":
        _print(show.as_csv(records))
    else:
        _print(show.as_table(records))
    return EXIT_FAILED if failed else EXIT_OK


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = (p for p in path.rglob("*") if p.suffix in (".json", ".jsonl") and p.is_file())
            yield from sorted(found)
        else:
            yield path


def _print(lines: Iterable[str], end: str = "\n") -> None:
    for line in lines:
        print(line, end=end)
