"""Verbs that change the running daemon's policy: apply, confirm."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsgd.commands.analysis import add_budget, number
from nsgd.commands.common import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    AddVerb,
    add_output,
    add_parameters,
    add_runtime_dir,
    add_service_tags,
    fail,
    load_config,
    plural,
    say,
    show_error,
    show_problems,
)
from nsgd.commands.progress import progress
from nsgd.commands.running import load_running
from nsgd.runtime.control_wire import SOCKET_NAME

if TYPE_CHECKING:
    from nsgd.config.load import LoadedConfig

_TIMEOUT_S = 300.0
_MOST_WARNINGS = 5


def add_verbs(verb: AddVerb) -> None:
    """Add the verbs and their options."""
    apply = verb("apply", _apply, "put documents in force in the running daemon, and wait")
    apply.add_argument(
        "files", metavar="PATH", type=Path, nargs="+", help="a whole policy, loaded as one"
    )
    apply.add_argument(
        "--confirm",
        metavar="SECONDS",
        type=int,
        help="go back to the policy before unless 'nsgd confirm' comes within this time",
    )
    apply.add_argument(
        "--reevaluate",
        action="store_true",
        help="judge every open flow again, and cut those that are denied now; likewise when the"
        " policy is reverted",
    )
    apply.add_argument(
        "--no-diff",
        action="store_true",
        help="do not compare with the policy in force before: neither differences nor warnings",
    )
    apply.add_argument(
        "--dry-run", action="store_true", help="tell what would change, and change nothing"
    )
    apply.add_argument(
        "--boxes", metavar="NUMBER", type=number, default=5, help="as for diff (%(default)s)"
    )
    add_budget(apply)
    add_parameters(apply)
    add_output(apply)
    add_runtime_dir(apply)
    add_service_tags(apply)

    confirm = verb("confirm", _confirm, "keep the policy that was applied with --confirm")
    confirm.add_argument("--revert", action="store_true", help="go back to the one before, at once")
    add_output(confirm)
    add_runtime_dir(confirm)


def _apply(args: argparse.Namespace) -> int:
    from nsgd.config.problem import ConfigRefused
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, request
    from nsgd.runtime.documents import read_documents
    from nsgd.runtime.packed_documents import pack_documents

    if args.dry_run and args.no_diff:
        return fail("--dry-run is about the differences that --no-diff leaves out", EXIT_USAGE)
    # The daemon may not be able to read them, and need not know where they are.
    paths = [path.absolute() for path in args.files]
    args.parameters = [path.absolute() for path in args.parameters]
    try:
        documents = read_documents(paths, args.parameters)
        loaded = load_config(args, paths)
        documents += loaded.linked
    except ConfigRefused as refused:
        return show_problems(refused)
    difference: dict[str, Any] = {}
    if not args.no_diff:
        try:
            is_wanted, difference = _show_changes(args, loaded)
        except ControlError as error:
            is_lost = error.kind in (ControlErrorKind.UNREACHABLE, ControlErrorKind.PERMISSION)
            if args.dry_run or is_lost:
                return show_error(error)
            # A daemon that has no policy yet, or is of another version, may take one.
            print(f"note: no comparison with the policy in force: {error}", file=sys.stderr)
            is_wanted = True
        if args.dry_run:
            say(args, {"isApplied": False, **difference}, "nothing was applied")
            return EXIT_OK
        if not is_wanted:
            return fail("not applied", EXIT_FAILED)
        # The operator may not get to see what comes after.
        sys.stdout.flush()
    arguments = {} if args.confirm is None else {"confirmSeconds": args.confirm}
    try:
        path = args.runtime_dir / SOCKET_NAME
        packed = pack_documents(documents)
        with progress("the daemon puts the documents in force"):
            result = request(
                path,
                "apply",
                _TIMEOUT_S,
                documents=packed,
                reevaluate=args.reevaluate,
                **arguments,
            )
    except ControlError as error:
        if error.kind is not ControlErrorKind.REFUSED:
            return show_error(error)
        for problem in error.problems:
            fail(problem, EXIT_CONFIG)
        return fail(f"{error}; the policy in force stays", EXIT_CONFIG)
    in_force = f"policy {result['generation']} in force"
    if args.confirm is not None:
        seconds = plural(args.confirm, "second")
        text = f"{in_force}, on trial: reverted in {seconds} unless 'nsgd confirm' comes"
    else:
        text = f"{in_force}{_standing(result['isStanding'])}"
    say(args, {**result, **difference}, text)
    return EXIT_OK


def _show_changes(args: argparse.Namespace, loaded: LoadedConfig) -> tuple[bool, dict[str, Any]]:
    """Tell what a policy changes, and whose own connections.

    Returns:
        Whether it is wanted all the same, and what a program is told of it.

    Raises:
        ControlError: The daemon does not tell the policy in force.
    """
    from nsgd.analysis.difference import compare_policies
    from nsgd.analysis.difference_text import difference_as_json, difference_as_text
    from nsgd.analysis.flow_text import decision_text, packet_text
    from nsgd.analysis.own_flows import Judge, denied_flows
    from nsgd.analysis.policy import AnalysedPolicy
    from nsgd.commands.operator import own_flows
    from nsgd.config.problem import ConfigRefused
    from nsgd.spaces.budget import Budget

    try:
        in_force = load_running(args)
    except ConfigRefused as refused:
        # The daemon's own version took it; this one cannot compare, and need not.
        print(f"note: no comparison with the policy in force: {refused}", file=sys.stderr)
        return True, {}
    old = AnalysedPolicy(in_force.model)
    new = AnalysedPolicy(loaded.model, old.compiled)
    difference = compare_policies(old, new, Budget(args.budget))
    if args.output == "table":
        text = difference_as_text(difference, old, new, args.boxes)
        print(text or "no flow changes its verdict")
    told = {"difference": difference_as_json(difference)}
    denied = denied_flows(
        own_flows(args.runtime_dir),
        Judge(old, in_force.settings),
        Judge(new, loaded.settings),
        is_reevaluated=args.reevaluate,
    )
    for each in denied[:_MOST_WARNINGS]:
        packet = packet_text(each.flow.packet)
        by = f"denied by {decision_text(each.decision.reported)}"
        what = "is cut" if each.is_cut else "stays, and a new one would not pass"
        print(f"warning: your own connection {packet} {what}: {by}", file=sys.stderr)
    if len(denied) > _MOST_WARNINGS:
        more = len(denied) - _MOST_WARNINGS
        print(f"warning: and {more} more of your connections likewise", file=sys.stderr)
    if denied and args.confirm is None:
        print("warning: --confirm SECONDS would bring the policy before back", file=sys.stderr)
        if not args.dry_run and sys.stdin.isatty() and sys.stdout.isatty():
            is_wanted = input("Apply it all the same? [y/N] ").strip().lower() in ("y", "yes")
            return is_wanted, told
    return True, told


def _confirm(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, request

    try:
        result = request(args.runtime_dir / SOCKET_NAME, "confirm", _TIMEOUT_S, revert=args.revert)
    except ControlError as error:
        if error.kind is not ControlErrorKind.REFUSED:
            return show_error(error)
        return fail("; ".join(error.problems) or str(error), EXIT_FAILED)
    if result["isReverted"]:
        text = f"reverted: policy {result['generation']} is the one before"
    else:
        text = f"confirmed{_standing(result['isStanding'])}"
    say(args, result, text)
    return EXIT_OK


def _standing(is_standing: bool) -> str:
    if not is_standing:
        return ""
    return "; it stands in place of the documents of --config until these change"
