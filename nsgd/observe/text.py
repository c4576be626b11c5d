"""The status as aligned text, made from its JSON form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nsgd.observe.conntrack_state import conntrack_line
from nsgd.observe.flow_log_state import flow_log_line

_MODES = {"enforce": "enforce", "audit": "audit: nothing is dropped"}


def format_status(status: Mapping[str, Any], *, show_all: bool = False) -> str:
    """Write what ``nsgd status`` shows.

    Args:
        status: What snapshot_as_json returns.
        show_all: Also what was counted zero times.
    """
    packets = status["packets"]
    hits = sorted(
        status["ruleHits"],
        key=lambda row: (
            -row["hits"],
            row["networkSecurityGroup"] or "",
            row["direction"],
            row["rule"],
        ),
    )
    shown = [row for row in hits if show_all or row["hits"]]
    counts = [
        ("queued", "", packets["queued"]),
        *_named("admission", packets["notAdmitted"]),
        *_named("verdict", packets["verdicts"]),
        *_named("denied", packets["denied"]),
        *_named("unparsable", packets["unparsable"]),
        *_named("unmanaged", packets["unmanaged"]),
        ("midstream", "", packets["midstream"]),
        ("foreign mark", "", packets["foreignMarks"]),
    ]
    parts = [
        format_table(_summary(status), right=()),
        _titled(
            "Rule hits",
            ("Hits", "Access", "Direction", "Network security group", "Rule"),
            [
                (
                    row["hits"],
                    row["access"],
                    row["direction"],
                    row["networkSecurityGroup"] or "-",
                    row["rule"],
                )
                for row in shown
            ],
        ),
        _titled(
            "Flows",
            ("Flows", "Access", "Direction", "Reason"),
            [
                (row["flows"], row["access"], row["direction"], row["reason"])
                for row in sorted(status["flows"], key=lambda row: -row["flows"])
                if show_all or row["flows"]
            ],
        ),
        _titled(
            "Packets",
            ("Packets", "Kind", "Reason"),
            [(count, kind, reason) for kind, reason, count in counts if show_all or count],
        ),
    ]
    hidden = len(hits) - len(shown)
    if hidden:
        parts.append(f"{_plural(hidden, 'rule')} without hits not shown; --all shows everything")
    return "\n\n".join(part for part in parts if part)


def format_table(rows: Iterable[Sequence[object]], right: Sequence[int] = (0,)) -> str:
    """Align columns, two spaces apart; those numbered in *right* at their right side."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    )


def _titled(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return f"{title}\n{format_table([head, *rows])}" if rows else f"{title}: none yet"


def _named(kind: str, counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    return [(kind, reason, count) for reason, count in counts.items()]


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _service_tags(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The row about service tags, where rules name some."""
    tags = status.get("serviceTags")
    if tags is None:
        return []
    previous = "; the newest file cannot be used, this is the one before" * tags["isPrevious"]
    days = _plural(tags["ageSeconds"] // 86400, "day")
    prefixes = sum(tag["prefixes"] for tag in tags["tags"])
    return [
        (
            "service tags",
            f"{tags['cloud']} {tags['changeNumber']}, {days} old;"
            f" {_plural(len(tags['tags']), 'tag')} in use with {prefixes} prefixes{previous}",
        )
    ]


def _applied(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The row about the documents, where they are not those of --config."""
    applied = status.get("applied") or {}
    if applied.get("secondsToConfirm") is not None:
        seconds = _plural(applied["secondsToConfirm"], "second")
        return [("", f"ON TRIAL: reverted in {seconds} unless 'nsgd confirm' comes")]
    if applied.get("standsInPlaceOfConfig"):
        return [("", "came by 'nsgd apply', and stands in place of the documents of --config")]
    return []


def _workers(workers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """A row about each worker and its queue, or two where there is one."""
    flows = "new flows follow" if len(workers) == 1 else "its share of new flows follows"
    for index, worker in enumerate(workers):
        state = (
            f"up, process {worker['pid']}" if worker["up"] else f"DOWN: {flows} the failure mode"
        )
        state += f", {_plural(worker['restarts'], 'restart')}"
        queue = worker["queue"]
        waiting = f"{worker['queueNumber']}: " + (
            "state not readable"
            if queue is None
            else f"{queue['length']} of {queue['maxLength']} packets wait,"
            f" {queue['droppedFull']} dropped as it was full,"
            f" {queue['droppedSocket']} by the worker's socket"
        )
        if len(workers) == 1:
            yield "worker", state
            yield "queue", waiting
        else:
            yield f"worker {index}", f"{state}; queue {waiting}"


def _summary(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    reloads, table = status["reloads"], status["table"]
    flow_log, conntrack = status.get("flowLog"), status.get("conntrack")
    at = f" at {reloads['refusedAt']}" if reloads.get("refusedAt") else ""
    last = f"; the last one was refused{at}, the policy before stays"
    last = "" if reloads["lastSucceeded"] else last
    return [
        ("nsgd", f"{status['version']}, {status['state']} since {status['startedAt']}"),
        ("engine", status["engine"]),
        ("roles", ", ".join(status["roles"])),
        ("mode", f"{_MODES[status['mode']]}; failure mode {status['failureMode']}"),
        (
            "policy",
            f"{status['generation']}, loaded {status['loadedAt']}, documents"
            f" {status['policyHash']}",
        ),
        *_applied(status),
        ("reloads", f"{reloads['succeeded']} succeeded, {reloads['refused']} refused{last}"),
        *(("", problem) for problem in reloads.get("problems", ())),
        *_workers(status["workers"]),
        (
            "table",
            ("owned" if table["owned"] else "not owned: others may change it")
            + f", mark mask {table['markMask']}",
        ),
        *([("tracked", conntrack_line(conntrack))] if conntrack else []),
        *_service_tags(status),
        *([("flow log", flow_log_line(flow_log))] if flow_log else []),
    ]
