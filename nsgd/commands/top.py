"""The verbs that look at a running daemon: top, a live view, and denials, who is denied and why."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nsgd.commands.common import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    REQUEST_TIMEOUT_S,
    AddVerb,
    add_filters,
    add_runtime_dir,
    fail,
    filters_of,
    show_problems,
    show_refusal,
)
from nsgd.runtime.control_wire import SOCKET_NAME

if TYPE_CHECKING:
    from nsgd.config.load import LoadedConfig
    from nsgd.model.network import NetworkInterface, ScaleSet
    from nsgd.top.source import Source
    from nsgd.top.view import Choice, DenialRow


def add_verbs(verb: AddVerb) -> None:
    """Add the verbs and their options."""
    top = verb("top", _top, "watch a running daemon: rules by rate, denials, health")
    top.add_argument("--nsg", metavar="NAME", help="its rules and their denials alone")
    top.add_argument(
        "--nic",
        metavar="NAME",
        help="rules of the groups of this network interface, or scale set, and its denials alone",
    )
    top.add_argument(
        "--sort",
        choices=("rate", "hits", "bytes", "name"),
        default="rate",
        help="of rules (%(default)s)",
    )
    top.add_argument(
        "--interval", metavar="SECONDS", type=_interval, default=2.0, help="0.5 to 60 (%(default)s)"
    )
    top.add_argument(
        "--once",
        action="store_true",
        help="print two readings' difference, an interval apart, and end; needs no terminal",
    )
    top.add_argument("-o", "--output", choices=("table", "json"), help="with --once (table)")
    add_runtime_dir(top)

    denials = verb("denials", _denials, "list who was denied lately, most often first, and by what")
    add_filters(denials, "denials")
    denials.add_argument(
        "--each", action="store_true", help="every denial by itself, the newest first"
    )
    denials.add_argument("--limit", metavar="N", type=int, help="so many rows at most (all)")
    denials.add_argument("-o", "--output", choices=("table", "json"), default="table")
    add_runtime_dir(denials)


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.5 <= seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.5 to 60")
    return seconds


def _top(args: argparse.Namespace) -> int:
    from nsgd.config.problem import ConfigRefused
    from nsgd.runtime.control_client import ControlError
    from nsgd.top.source import Source
    from nsgd.top.view import Choice, RuleSort

    if args.output is not None and not args.once:
        return fail(f"-o {args.output} goes with --once; the live view is for people", EXIT_USAGE)
    meant = {name: value for name in ("nsg", "nic") if (value := getattr(args, name)) is not None}
    groups = _groups_of_nic(args) if args.nic is not None else None
    source = Source(args.runtime_dir / SOCKET_NAME, meant, groups)
    choice = Choice(args.nsg, args.nic, RuleSort(args.sort))
    try:
        return _once(args, source, choice) if args.once else _live(args, source, choice)
    except ControlError as error:
        return show_refusal(error)
    except ConfigRefused as refused:
        return show_problems(refused)
    except LookupError as error:
        return fail(str(error.args[0]), EXIT_FAILED)
    except KeyboardInterrupt:
        return EXIT_OK


def _once(args: argparse.Namespace, source: Source, choice: Choice) -> int:
    from nsgd.top.text import as_json, as_table
    from nsgd.top.view import view

    before = source.read()
    time.sleep(args.interval)
    found = view(source.read(), before, choice)
    print(json.dumps(as_json(found), indent=2) if args.output == "json" else as_table(found))
    return EXIT_OK


def _live(args: argparse.Namespace, source: Source, choice: Choice) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return fail("top needs a terminal; without one there is nsgd top --once", EXIT_USAGE)
    if find_spec("rich") is None:
        hint = "install python3-rich, or nsgd[top] by pip; nsgd top --once does without"
        return fail(f"top needs the Python package rich: {hint}", EXIT_FAILED)
    from nsgd.top.live import run

    note = " ".join(f"only {name} {value}" for name, value in source.meant.items())
    run(source, choice, args.interval, note and f"{note}; the other lines are of everything")
    return EXIT_OK


def _groups_of_nic(args: argparse.Namespace) -> Callable[[], frozenset[str]]:
    """Its own group and its subnet's, read anew where another policy is in force."""
    from nsgd.commands.running import load_running
    from nsgd.runtime.control_client import request

    known: dict[int, frozenset[str]] = {}

    def groups() -> frozenset[str]:
        path = args.runtime_dir / SOCKET_NAME
        generation: int = request(path, "status", REQUEST_TIMEOUT_S)["generation"]
        if generation not in known:
            known.clear()
            known[generation] = _find_groups(load_running(args), args.nic)
        return known[generation]

    return groups


def _find_groups(loaded: LoadedConfig, name: str) -> frozenset[str]:
    model = loaded.model
    resources: tuple[NetworkInterface | ScaleSet, ...] = (
        *model.network_interfaces,
        *model.scale_sets,
    )
    for resource in resources:
        if resource.name.casefold() == name.casefold():
            break
    else:
        raise LookupError(
            f"no network interface or scale set {name} is in the policy in force;"
            " see nsgd effective-rules --running"
        )
    subnets = [
        subnet
        for network in model.virtual_networks
        if network.name == resource.virtual_network
        for subnet in network.subnets
        if subnet.name == resource.subnet
    ]
    groups = (resource.network_security_group, *(each.network_security_group for each in subnets))
    return frozenset(group.casefold() for group in groups if group)


def _denials(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError, request
    from nsgd.top.text import denials_as_json, denials_as_table, hits_of
    from nsgd.top.view import group_denials, most_first

    if args.limit is not None and args.limit < 1:
        return fail(f"--limit {args.limit}: write a number from 1 up", EXIT_USAGE)
    try:
        path = args.runtime_dir / SOCKET_NAME
        answer = request(path, "denials", REQUEST_TIMEOUT_S, **filters_of(args))
        status = request(path, "status", REQUEST_TIMEOUT_S)
    except ControlError as error:
        return show_refusal(error)
    each = answer["denials"]
    rows: list[DenialRow] = []
    if args.each:
        ones = ({**row, "times": 1, "timesLately": 1} for row in each[: args.limit])
        rows = [group for row in ones for group in group_denials([row])]
    else:
        rows = sorted(group_denials(each), key=most_first)[: args.limit]
    not_told = answer["notTold"] + status["kernelDenials"]["untold"]
    if args.output == "json":
        listed: list[dict[str, Any]] = each[: args.limit] if args.each else denials_as_json(rows)
        kept = {name: answer[name] for name in ("kept", "mostKept", "givenUp", "since")}
        print(json.dumps({"denials": listed, **kept, "notTold": not_told}, indent=2))
        return EXIT_OK
    print(denials_as_table(rows, hits_of(status)))
    older = f", {answer['givenUp']} older ones of the same went" if answer["givenUp"] else ""
    print(f"{answer['kept']} are kept{older}; {not_told} were counted in hits and not told")
    return EXIT_OK
