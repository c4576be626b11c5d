"""Verbs that look at every packet at once: diff, lint."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nsgd.commands.common import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_UNDETERMINED,
    EXIT_USAGE,
    AddVerb,
    add_parameters,
    add_runtime_dir,
    add_service_tags,
    fail,
    load_paths,
    show_error,
    show_problems,
    tag_source,
)
from nsgd.commands.progress import progress
from nsgd.commands.running import load_running
from nsgd.spaces.budget import DEFAULT_STEPS

if TYPE_CHECKING:
    from nsgd.analysis.lint_settings import LintSettings
    from nsgd.config.load import LoadedConfig

_DIFF_EXIT_CODES = """\
exit codes:
  0  every flow is judged alike
  1  some are not
  2  wrong usage
  3  documents refused
  4  no daemon can be reached
  5  permission denied
  6  no difference was found, and some flows are too much for --budget
"""

_LINT_EXIT_CODES = """\
exit codes:
  0  no finding is an error
  1  some are
  2  wrong usage
  3  documents or settings refused
  6  no error was found, and some rules are too much for --budget
"""


def add_verbs(verb: AddVerb) -> None:
    """Add the verbs and their options."""
    diff = verb("diff", _diff, "say exactly which flows two policies judge differently")
    diff.epilog = _DIFF_EXIT_CODES
    diff.add_argument(
        "files",
        metavar="PATH",
        type=Path,
        nargs="+",
        help="OLD and NEW, documents or directories; with --old or --against-running all are NEW",
    )
    diff.add_argument(
        "--old", metavar="PATH", type=Path, nargs="+", action="extend", help="documents of OLD"
    )
    diff.add_argument(
        "--against-running", action="store_true", help="OLD is the running daemon's policy in force"
    )
    add_parameters(diff)
    diff.add_argument(
        "--old-parameters",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        help="values for the parameters of OLD's templates, in place of --parameters",
    )
    add_service_tags(diff)
    diff.add_argument(
        "--old-service-tags", metavar="PATH", type=Path, help="service tags of OLD (--service-tags)"
    )
    add_runtime_dir(diff)
    diff.add_argument(
        "--boxes", metavar="NUMBER", type=number, default=5, help="shown of a change (%(default)s)"
    )
    add_budget(diff)
    diff.add_argument("-o", "--output", choices=("table", "json"), default="table")

    lint = verb("lint", _lint, "find rules that an engineer should look at, with a packet each")
    lint.epilog = _LINT_EXIT_CODES
    lint.add_argument("files", metavar="PATH", type=Path, nargs="+", help="loaded as one")
    add_parameters(lint)
    add_service_tags(lint)
    lint.add_argument(
        "--settings",
        metavar="FILE",
        type=Path,
        help="severities, what to ignore, and ports: YAML or JSON",
    )
    lint.add_argument(
        "--severity",
        metavar="FINDING=LEVEL",
        type=_severity,
        action="append",
        default=[],
        help="error, warning, note or ignore for a finding, or for 'all'; goes before --settings",
    )
    add_budget(lint)
    lint.add_argument("-o", "--output", choices=("text", "json", "sarif"), default="text")


def add_budget(parser: argparse.ArgumentParser) -> None:
    """The option of every verb that looks at every packet."""
    parser.add_argument(
        "--budget",
        metavar="STEPS",
        type=number,
        default=DEFAULT_STEPS,
        help="most steps for one question; what needs more is undetermined (%(default)s)",
    )


def number(text: str) -> int:
    """Read a number of 1 at least. Raises ValueError."""
    found = int(text)
    if found < 1:
        raise ValueError(text)
    return found


def _diff(args: argparse.Namespace) -> int:
    from nsgd.analysis.difference import compare_policies
    from nsgd.analysis.difference_text import difference_as_json, difference_as_text
    from nsgd.analysis.policy import AnalysedPolicy
    from nsgd.config.problem import ConfigRefused
    from nsgd.runtime.control_client import ControlError
    from nsgd.spaces.budget import Budget

    wrong = _misfit(args)
    if wrong:
        return fail(wrong, EXIT_USAGE)
    try:
        before, after = _load_old(args)(), _load_new(args)
    except ConfigRefused as refused:
        return show_problems(refused)
    except ControlError as error:
        return show_error(error)
    if before.settings != after.settings:
        print("note: the daemon sections differ, which is not compared", file=sys.stderr)
    with progress("comparing"):
        old = AnalysedPolicy(before.model)
        new = AnalysedPolicy(after.model, old.compiled)
        difference = compare_policies(old, new, Budget(args.budget))
    if args.output == "json":
        print(json.dumps(difference_as_json(difference), indent=2))
    elif text := difference_as_text(difference, old, new, args.boxes):
        print(text)
    if difference.has_differences:
        return EXIT_FAILED
    return EXIT_UNDETERMINED if difference.undetermined else EXIT_OK


def _misfit(args: argparse.Namespace) -> str | None:
    """What the options of a comparison have too many, or lack; None where they fit."""
    if args.against_running and (args.old or args.old_parameters or args.old_service_tags):
        return "--against-running has OLD from the daemon: name NEW alone"
    if not args.against_running and not args.old and len(args.files) != 2:
        return "name OLD and NEW; where one is several documents, use directories or --old"
    return None


def _load_old(args: argparse.Namespace) -> Callable[[], LoadedConfig]:
    if args.against_running:
        return lambda: load_running(args)
    tags = argparse.Namespace(
        service_tags=args.old_service_tags or args.service_tags, state_dir=args.state_dir
    )
    paths = args.old or args.files[:1]
    parameters = args.parameters if args.old_parameters is None else args.old_parameters
    return lambda: load_paths(paths, parameters, tag_source(tags))


def _load_new(args: argparse.Namespace) -> LoadedConfig:
    is_pair = not (args.old or args.against_running)
    paths = args.files[1:] if is_pair else args.files
    return load_paths(paths, args.parameters, tag_source(args))


def _severity(text: str) -> tuple[str, str]:
    from nsgd.analysis.lint_settings import KINDS, LEVELS

    finding, _, level = text.partition("=")
    if (finding not in KINDS and finding != "all") or level not in LEVELS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not FINDING=LEVEL: of {', '.join(('all', *KINDS))}"
            f" and {', '.join(LEVELS)}"
        )
    return finding, level


def _lint(args: argparse.Namespace) -> int:
    from nsgd import __version__
    from nsgd.analysis.findings import Severity
    from nsgd.analysis.lint import lint
    from nsgd.analysis.lint_text import place_findings, report_as_json, report_as_text
    from nsgd.analysis.sarif import report_as_sarif
    from nsgd.config.problem import ConfigRefused
    from nsgd.spaces.budget import Budget

    try:
        settings = _lint_settings(args)
        loaded = load_paths(args.files, args.parameters, tag_source(args), keep_places=True)
    except ConfigRefused as refused:
        return show_problems(refused)
    assert loaded.places is not None
    with progress("looking at the rules"):
        result = lint(loaded.model, Budget(args.budget), settings.management_ports)
    report = place_findings(result, settings, loaded.places)
    if args.output == "text":
        print(report_as_text(report))
    elif args.output == "json":
        print(json.dumps(report_as_json(report), indent=2))
    else:
        print(json.dumps(report_as_sarif(report, __version__), indent=2))
    if report.count(Severity.ERROR):
        return EXIT_FAILED
    return EXIT_UNDETERMINED if report.unfinished else EXIT_OK


def _lint_settings(args: argparse.Namespace) -> LintSettings:
    """What the file says, and then the options."""
    from nsgd.analysis.lint_settings import KINDS, LEVELS, LintSettings, read_lint_settings
    from nsgd.runtime.documents import read_documents

    settings = LintSettings()
    if args.settings is not None:
        (document,) = read_documents([args.settings])
        settings = read_lint_settings(document)
    for finding, level in args.severity:
        kinds = KINDS.values() if finding == "all" else (KINDS[finding],)
        settings = settings.with_severities((kind, LEVELS[level]) for kind in kinds)
    return settings
