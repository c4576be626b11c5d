"""Verbs that run a daemon or ask one: run, boot, status, reload, stop."""

from __future__ import annotations

import argparse
import json
import sys

from nsgd.commands.common import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_PERMISSION,
    REQUEST_TIMEOUT_S,
    AddVerb,
    add_config,
    add_output,
    add_runtime_dir,
    add_service_tags,
    fail,
    plural,
    say,
    show_error,
    tag_source,
)
from nsgd.commands.progress import progress
from nsgd.runtime.control_wire import SOCKET_NAME

_RELOAD_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 30.0


def add_verbs(verb: AddVerb) -> None:
    """Add the verbs and their options."""
    run = verb("run", _run, "run the daemon in the foreground")
    add_config(run)
    add_runtime_dir(run)
    add_service_tags(run)

    status = verb("status", _status, "show what a running daemon decides and counts")
    add_runtime_dir(status)
    add_output(status)
    status.add_argument("--all", action="store_true", help="in the table, also what is zero")

    boot = verb("boot", _boot, "load a policy's rules without a daemon: new flows wait for one")
    add_config(boot)
    add_service_tags(boot)

    reload = verb("reload", _reload, "have the daemon read its documents again, and wait")
    reload.add_argument(
        "--reevaluate",
        action="store_true",
        help="judge every open flow again, and cut those that are denied now",
    )
    add_output(reload)
    add_runtime_dir(reload)

    stop = verb("stop", _stop, "stop the daemon; its rules stay in place")
    stop.add_argument(
        "--remove-rules",
        action="store_true",
        help="remove the rules too, also those that a daemon left behind: all traffic then passes",
    )
    add_output(stop)
    add_runtime_dir(stop)


def _run(args: argparse.Namespace) -> int:
    from nsgd import daemon

    return daemon.run(
        args.config, args.runtime_dir, args.state_dir, tag_source(args), args.parameters
    )


def _boot(args: argparse.Namespace) -> int:
    from nsgd import daemon

    return daemon.boot(args.config, args.state_dir, tag_source(args), args.parameters)


def _status(args: argparse.Namespace) -> int:
    from nsgd.observe.text import format_status
    from nsgd.runtime.control_client import ControlError, request

    try:
        status = request(args.runtime_dir / SOCKET_NAME, "status", REQUEST_TIMEOUT_S)
    except ControlError as error:
        return show_error(error)
    if args.output == "json":
        print(json.dumps(status, indent=2))
    else:
        print(format_status(status, show_all=args.all))
    return EXIT_OK


def _reload(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, request

    try:
        path = args.runtime_dir / SOCKET_NAME
        with progress("the daemon reads its documents"):
            result = request(path, "reload", _RELOAD_TIMEOUT_S, reevaluate=args.reevaluate)
    except ControlError as error:
        if error.kind is not ControlErrorKind.REFUSED:
            return show_error(error)
        for problem in error.problems:
            print(problem, file=sys.stderr)
        problems = plural(len(error.problems), "problem")
        return fail(f"{error}, {problems}; the policy in force stays", EXIT_CONFIG)
    say(args, result, f"policy {result['generation']} in force")
    return EXIT_OK


def _stop(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError, ControlErrorKind, DaemonProcess, request

    path = args.runtime_dir / SOCKET_NAME
    try:
        with DaemonProcess(path) as process, progress("the daemon ends"):
            answer = request(path, "stop", REQUEST_TIMEOUT_S, removeRules=args.remove_rules)
            has_ended = process.wait(_STOP_TIMEOUT_S)
    except ControlError as error:
        if error.kind is ControlErrorKind.UNREACHABLE and args.remove_rules:
            return _remove_orphaned_rules(args)
        return show_error(error)
    if has_ended is False:
        return fail(
            f"the daemon still runs after {_STOP_TIMEOUT_S:g} s; its log says what it is at."
            " Killing it leaves the rules in place",
            EXIT_FAILED,
        )
    result = {"hasEnded": has_ended, "rules": answer["rules"]}
    say(args, result, f"{'stopped' if has_ended else 'stopping'}; {answer['rules']}")
    return EXIT_OK


def _remove_orphaned_rules(args: argparse.Namespace) -> int:
    from nsgd import daemon
    from nsgd.runtime.open_flows import RefusedByKernel

    try:
        was_there = daemon.remove_rules()
    except PermissionError as error:
        return fail(str(error), EXIT_PERMISSION)
    except RefusedByKernel as error:
        return fail(str(error), EXIT_FAILED)
    rules, text = "there are no rules to remove", "no daemon runs, and there are no rules to remove"
    if was_there:
        rules = "the rules it left are removed: traffic passes unfiltered"
        text = f"no daemon runs; {rules}"
    say(args, {"hasEnded": True, "rules": rules}, text)
    return EXIT_OK
