"""What an operator should know of a daemon's health, from its status: the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

Status = Mapping[str, Any]

_QUEUE_FULL_SHARE = 0.5  # of its length: from here on a burst may not fit


class Level(IntEnum):
    """How bad it is."""

    PROBLEM = 0  # something is lost, or not as it was asked for
    NOTE = 1  # to be known


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, what it means, and what to do about it."""

    level: Level
    text: str


def findings(status: Status, before: Status | None = None) -> list[Finding]:
    """Everything that is to be said; what was lost is told as of since *before* where there is one.

    Args:
        status: What snapshot_as_json returns.
        before: The same a moment earlier, of the same start of the daemon.
    """
    found = [Finding(Level.PROBLEM, text) for text in _problems(status, before)]
    return found + [Finding(Level.NOTE, text) for text in _notes(status)]


def _problems(status: Status, before: Status | None) -> Iterator[str]:
    worker, queue, table = status["worker"], status["queue"], status["table"]
    if not worker["up"]:
        yield f"no worker: new flows follow the failure mode, {status['failureMode']}"
    elif queue is None:
        yield "the queue's state cannot be read; see nsgd doctor"
    elif queue["length"] > _QUEUE_FULL_SHARE * queue["maxLength"]:
        yield f"{queue['length']} of {queue['maxLength']} places in the queue are taken"
    for words, *path in (
        ("packets dropped as the queue was full", "queue", "droppedFull"),
        ("packets dropped by the worker's socket", "queue", "droppedSocket"),
        (
            "packets dropped by an error in nsgd; its log has the traceback",
            "packets",
            "denied",
            "internalError",
        ),
        ("denials of the kernel engine lost, not in any log", "kernelDenials", "lost"),
    ):
        count = _count(status, path)
        since = count - _count(before, path) if before is not None else 0
        if count:
            yield f"{count} {words}" + (f", {since} just now" if since > 0 else "")
    if not status["reloads"]["lastSucceeded"]:
        yield "the last reload was REFUSED, the policy before it stays; see the log, or nsgd check"
    if not table["owned"]:
        yield "the nftables table is not owned: other programs may change it"
    log = status.get("flowLog")
    if log is not None:
        if not log["up"]:
            yield "the flow log's process is DOWN: flows are not logged"
        lost = {name: count for name, count in log["records"].items() if name != "written"}
        if sum(lost.values()):
            words = ", ".join(f"{name} {count}" for name, count in lost.items() if count)
            yield f"{sum(lost.values())} flow log records LOST: {words}"
    tags = status.get("serviceTags")
    if tags is not None and tags["isPrevious"]:
        yield "the newest service tags file cannot be used, the one before is; see nsgd tags status"


def _notes(status: Status) -> Iterator[str]:
    if status["mode"] == "audit":
        yield "mode audit: what is denied is let through"
    applied = status.get("applied") or {}
    seconds = applied.get("secondsToConfirm")
    if seconds is not None:
        yield f"the policy is ON TRIAL: reverted in {seconds} s unless 'nsgd confirm' comes"
    elif applied.get("standsInPlaceOfConfig"):
        yield "the policy came by 'nsgd apply' and stands in place of the documents of --config"
    if status["worker"]["restarts"]:
        yield f"worker restarts since the start: {status['worker']['restarts']}"
    table = status["table"]
    if table["changedByOthers"]:
        yield (
            f"the table was changed by other programs {table['changedByOthers']} times,"
            f" repaired {table['repaired']}"
        )
    if table["foreignBaseChainsDeleted"]:
        yield (
            f"base chains deleted by other programs: {table['foreignBaseChainsDeleted']}; each"
            " time the kernel drops what waits in the queue"
        )
    log = status.get("flowLog")
    if log is not None and log["eventsLost"]:
        yield f"{log['eventsLost']} conntrack events lost by the flow log, found again by a dump"


def _count(status: Status | None, path: list[str]) -> int:
    value: Any = status
    for name in path:
        value = (value or {}).get(name, 0)
    return int(value or 0)
