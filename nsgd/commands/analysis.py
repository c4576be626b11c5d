"""Verbs that look at every packet at once: diff."""

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
from nsgd.commands.running import load_running
from nsgd.spaces.budget import DEFAULT_STEPS

if TYPE_CHECKING:
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
        "--boxes", metavar="NUMBER", type=_number, default=5, help="shown of a change (%(default)s)"
    )
    _add_budget(diff)
    diff.add_argument("-o", "--output", choices=("table", "json"), default="table")


def _add_budget(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--budget",
        metavar="STEPS",
        type=_number,
        default=DEFAULT_STEPS,
        help="most steps for one question; what needs more is undetermined (%(default)s)",
    )


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


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
