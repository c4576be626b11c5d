"""The verb about open flows: which are decided, and by what; and to cut some."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nsgd.commands.common import (
    EXIT_OK,
    EXIT_USAGE,
    REQUEST_TIMEOUT_S,
    AddVerb,
    add_filters,
    add_runtime_dir,
    fail,
    filters_of,
    plural,
    show_refusal,
)
from nsgd.runtime.control_wire import SOCKET_NAME

# Rows of which the widths are found together: a listing of millions is printed as it comes.
_ROWS_AT_ONCE = 500
_HEAD = (
    "Protocol",
    "Source",
    "Destination",
    "Outbound",
    "Inbound",
    "State",
    "Age",
    "Expires",
    "Packets",
    "Bytes",
)
_RIGHT = (6, 7, 8, 9)
_REASONS = {
    "noNetworkSecurityGroup": "-",
    "adopted": "adopted",
    "audit": "Deny",
}


def add_verbs(verb: AddVerb) -> None:
    """Add the verb and its options."""
    flows = verb("flows", _flows, "list the open flows that were decided, or cut some of them")
    flows.add_argument(
        "act",
        choices=("list", "cut"),
        nargs="?",
        default="list",
        help="cut: packets of these connections no longer pass; new ones are judged by the rules",
    )
    add_filters(flows, "flows")
    flows.add_argument("--all", action="store_true", help="cut: every flow, there is no filter")
    flows.add_argument(
        "--limit", metavar="N", type=int, help="list: so many flows at most (all of them)"
    )
    flows.add_argument("-o", "--output", choices=("table", "json"), default="table")
    add_runtime_dir(flows)


def _flows(args: argparse.Namespace) -> int:
    from nsgd.runtime.control_client import ControlError

    arguments = filters_of(args)
    try:
        if args.act == "cut":
            if args.limit is not None:
                return fail("--limit goes with a listing, not with cut", EXIT_USAGE)
            if bool(arguments) is args.all:
                text = "with --all no filter can be given" if args.all else "name flows, or --all"
                return fail(f"flows cut: {text}", EXIT_USAGE)
            return _cut(args, arguments | {"all": True} if args.all else arguments)
        if args.all:
            return fail("--all goes with cut; a listing without a filter has all", EXIT_USAGE)
        if args.limit is not None:
            arguments["limit"] = args.limit
        return _list(args, arguments)
    except ControlError as error:
        return show_refusal(error)


def _cut(args: argparse.Namespace, arguments: Mapping[str, Any]) -> int:
    from nsgd.runtime.control_client import request_parts

    path = args.runtime_dir / SOCKET_NAME
    # The last part has them all.
    *_, result = request_parts(path, "cutFlows", REQUEST_TIMEOUT_S, **arguments)
    if args.output == "json":
        print(json.dumps(result))
    else:
        print(f"{plural(result['cut'], 'open flow')} cut")
    return EXIT_OK


def _list(args: argparse.Namespace, arguments: Mapping[str, Any]) -> int:
    from nsgd.runtime.control_client import request_parts

    path = args.runtime_dir / SOCKET_NAME
    parts = request_parts(path, "flows", REQUEST_TIMEOUT_S, **arguments)
    summary: dict[str, Any] = {}

    def flows() -> Iterator[dict[str, Any]]:
        for part in parts:
            if "flows" in part:
                yield from part["flows"]
            else:
                summary.update(part)

    if args.output == "json":
        _print_json(flows())
    else:
        _print_table(flows(), summary)
    return EXIT_OK


def _print_json(flows: Iterable[dict[str, Any]]) -> None:
    """One array, a flow a line, printed as it comes."""
    separator = "["
    for flow in flows:
        print(f"{separator}\n{json.dumps(flow)}", end="")
        separator = ","
    print("[]" if separator == "[" else "\n]")


def _print_table(flows: Iterable[dict[str, Any]], summary: Mapping[str, Any]) -> None:
    widths = [len(text) for text in _HEAD]
    rows: list[tuple[str, ...]] = [_HEAD]

    def flush() -> None:
        for row in rows:
            widths[:] = map(max, widths, map(len, row))
        for row in rows:
            cells = (
                cell.rjust(width) if index in _RIGHT else cell.ljust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            print("  ".join(cells).rstrip())
        rows.clear()

    for flow in flows:
        rows.append(_cells(flow))
        if len(rows) >= _ROWS_AT_ONCE:
            flush()
    if summary["shown"]:
        flush()
    more = "" if summary["isWhole"] else "; there may be more"
    print(f"{plural(summary['shown'], 'decided flow')}{more}")


def _cells(flow: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        flow["protocol"],
        end_text(flow["source"], flow["sourcePort"]),
        end_text(flow["destination"], flow["destinationPort"]),
        _side(flow["outbound"]),
        _side(flow["inbound"]),
        flow["state"],
        _time(flow["ageSeconds"]),
        _time(flow["expiresInSeconds"]),
        _both(flow["packets"], flow["replyPackets"]),
        _both(flow["bytes"], flow["replyBytes"]),
    )


def end_text(address: str, port: int | None) -> str:
    """An address, with its port where it has one."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _side(side: Mapping[str, Any]) -> str:
    if side["rule"] is None:
        return _REASONS.get(side["reason"], "unknown")
    group = side["networkSecurityGroup"]
    before = f" after {', '.join(side['allowedBeforeBy'])}" if side.get("allowedBeforeBy") else ""
    return f"{side['access']} {f'{group}/' if group else ''}{side['rule']}{before}"


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _both(there: int | None, back: int | None) -> str:
    return "-" if there is None else f"{there}/{back}"
