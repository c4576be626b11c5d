"""The verb monitor: decisions as they happen, until the user has seen enough."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from nsgd.commands.common import (
    EXIT_OK,
    EXIT_USAGE,
    AddVerb,
    add_filters,
    add_runtime_dir,
    fail,
    filters_of,
    plural,
    show_refusal,
)
from nsgd.runtime.control_wire import SOCKET_NAME

# A part comes each second; a reload of large documents keeps the daemon from it for a while.
_TIMEOUT_S = 120.0
_NOTICES = {
    "lost": "lost: this reader is too slow",
    "suppressed": "denied and not told: beyond the limits of the kernel engine",
    "missed": "not heard in time by the daemon",
}
# Widths that most entries keep to; a longer one shifts its own line.
_WIDTHS = (12, 6, 8, 28, 28)
_HEAD = ("Time", "Access", "Protocol", "Source", "Destination", "Decided by")


def add_verbs(verb: AddVerb) -> None:
    """Add the verb and its options."""
    monitor = verb("monitor", _monitor, "print decisions as they happen")
    add_filters(monitor, "decisions")
    monitor.add_argument("--access", metavar="ACCESS", help="Allow or Deny: decisions of it")
    monitor.add_argument(
        "--limit", metavar="N", type=int, help="end after so many (when interrupted)"
    )
    monitor.add_argument("-o", "--output", choices=("table", "json"), default="table")
    add_runtime_dir(monitor)


def _monitor(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError, request_parts

    if args.limit is not None and args.limit < 1:
        return fail(f"--limit {args.limit}: write a number from 1 up", EXIT_USAGE)
    arguments = filters_of(args) | ({"access": args.access} if args.access is not None else {})
    shown, left_out = 0, dict.fromkeys(_NOTICES, 0)
    is_json = args.output == "json"
    is_first = True
    try:
        parts = request_parts(args.runtime_dir / SOCKET_NAME, "monitor", _TIMEOUT_S, **arguments)
        for part in parts:
            if is_first and not is_json:
                _print_line(_HEAD)
            is_first = False
            for name, text in _NOTICES.items():
                if part.get(name):
                    left_out[name] += part[name]
                    _print_notice(name, part[name], text, is_json=is_json)
            for decision in part.get("decisions", ()):
                print(json.dumps(decision)) if is_json else _print_line(_cells(decision))
                shown += 1
                if shown == args.limit:
                    return EXIT_OK
            sys.stdout.flush()
    except ControlError as error:
        return show_refusal(error)
    except KeyboardInterrupt:
        return EXIT_OK
    finally:
        if not is_first:
            rest = "".join(f", {left_out[name]} {name}" for name in left_out if left_out[name])
            print(f"nsgd: {plural(shown, 'decision')}{rest}", file=sys.stderr)
    return EXIT_OK


def _print_notice(name: str, count: int, text: str, *, is_json: bool) -> None:
    """Where decisions are missing; for programs among the lines that they read."""
    if is_json:
        print(json.dumps({"notice": name, "count": count, "text": text}))
        return
    sys.stdout.flush()
    print(f"nsgd: {plural(count, 'decision')} {text}", file=sys.stderr, flush=True)


def _print_line(cells: tuple[str, ...]) -> None:
    *columns, last = cells
    padded = (cell.ljust(width) for cell, width in zip(columns, _WIDTHS, strict=True))
    print("  ".join((*padded, last)))


def _cells(decision: Mapping[str, Any]) -> tuple[str, ...]:
    from nsgd.commands.flows import end_text

    return (
        decision["time"][11:23],
        decision["access"],
        decision["protocol"],
        _end(end_text(decision["source"], decision["sourcePort"]), decision["from"]),
        _end(end_text(decision["destination"], decision["destinationPort"]), decision["to"]),
        ", ".join(
            _side(direction, decision[direction.lower()])
            for direction in ("Outbound", "Inbound")
            if _says_something(decision[direction.lower()])
        )
        or "no network security group",
    )


def _end(text: str, name: str | None) -> str:
    return f"{text} {name}" if name else text


def _says_something(side: Mapping[str, Any] | None) -> bool:
    return side is not None and side["reason"] != "noNetworkSecurityGroup"


def _side(direction: str, side: Mapping[str, Any]) -> str:
    if side["rule"] is None:
        return f"{direction} {side['reason']}"
    group = side["networkSecurityGroup"]
    return f"{direction} {f'{group}/' if group else ''}{side['rule']}"
