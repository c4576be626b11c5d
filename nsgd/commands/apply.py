"""Verbs that change the running daemon's policy: apply, confirm."""

from __future__ import annotations

import argparse
from pathlib import Path

from nsgd.commands.common import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_OK,
    AddVerb,
    add_parameters,
    add_runtime_dir,
    add_service_tags,
    fail,
    load_config,
    plural,
    show_error,
    show_problems,
)
from nsgd.runtime.control_wire import SOCKET_NAME

_TIMEOUT_S = 300.0


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
    add_parameters(apply)
    add_runtime_dir(apply)
    add_service_tags(apply)

    confirm = verb("confirm", _confirm, "keep the policy that was applied with --confirm")
    confirm.add_argument("--revert", action="store_true", help="go back to the one before, at once")
    add_runtime_dir(confirm)


def _apply(args: argparse.Namespace) -> int:
    from nsgd.config.problem import ConfigRefused
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, request
    from nsgd.runtime.documents import read_documents
    from nsgd.runtime.packed_documents import pack_documents

    # The daemon may not be able to read them, and need not know where they are.
    paths = [path.absolute() for path in args.files]
    args.parameters = [path.absolute() for path in args.parameters]
    try:
        documents = read_documents(paths, args.parameters)
        documents += load_config(args, paths).linked
    except ConfigRefused as refused:
        return show_problems(refused)
    arguments = {} if args.confirm is None else {"confirmSeconds": args.confirm}
    try:
        result = request(
            args.runtime_dir / SOCKET_NAME,
            "apply",
            _TIMEOUT_S,
            documents=pack_documents(documents),
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
        print(f"{in_force}, on trial: reverted in {seconds} unless 'nsgd confirm' comes")
    else:
        print(f"{in_force}{_standing(result['isStanding'])}")
    return EXIT_OK


def _confirm(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, request

    try:
        result = request(args.runtime_dir / SOCKET_NAME, "confirm", _TIMEOUT_S, revert=args.revert)
    except ControlError as error:
        if error.kind is not ControlErrorKind.REFUSED:
            return show_error(error)
        return fail("; ".join(error.problems) or str(error), EXIT_FAILED)
    if result["isReverted"]:
        print(f"reverted: policy {result['generation']} is the one before")
    else:
        print(f"confirmed{_standing(result['isStanding'])}")
    return EXIT_OK


def _standing(is_standing: bool) -> str:
    if not is_standing:
        return ""
    return "; it stands in place of the documents of --config until these change"
