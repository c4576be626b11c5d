"""A daemon's status judged: what is well, what is to be looked at or wrong, and what to do then.

The live view and the page say what stands here, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nsgd.health.losses import Loss, losses

Status = Mapping[str, Any]

# Of a queue and of the connection table: from here on a burst may not fit. The alerts have it too.
FULL_SHARE = 0.8
_OLD_TAGS_S = 10 * 86400  # as nsgd doctor and the alerts have it
_LATER_IN_LOG = "The daemon's log names the program; keep it out of this network namespace"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is well (ok), worth a look (warn), or wrong (bad)."""

    kind: str
    name: str
    text: str
    way_out: str = ""  # what to do; empty where nothing is to be done
    count: int = 0  # of what is lost or dropped: it only grows while the daemon runs


def checks(status: Status) -> list[Check]:
    """Everything that is judged, in the order in which it is asked for.

    Args:
        status: What snapshot_as_json returns.
    """
    return [
        *_policy(status),
        *_worker(status),
        *_queue(status),
        _lost(status),
        *_kernel(status),
        *_flow_log(status),
        *_tags(status),
    ]


def worst(found: list[Check]) -> str:
    """The kind of the worst of them."""
    kinds = {check.kind for check in found}
    return "bad" if "bad" in kinds else "warn" if "warn" in kinds else "ok"


def _policy(status: Status) -> Iterator[Check]:
    reloads = status["reloads"]
    if reloads["lastSucceeded"]:
        yield Check("ok", "Last reload", "in force")
    else:
        at, problems = reloads.get("refusedAt"), reloads.get("problems")
        when = f" at {at.replace('T', ' ').replace('Z', ' UTC')}" if at else ""
        why = f": {problems[0]}" if problems else ""
        count = reloads.get("problemCount", 0)
        more = f" (and {count - 1} more)" if count > 1 else ""
        yield Check(
            "bad",
            "Last reload",
            f"REFUSED{when}; policy {status['generation']} stays in force, without what was"
            f" edited since{why}{more}",
            "Mend it and reload; nsgd check PATH and the daemon's log have every problem",
        )
    applied = status.get("applied") or {}
    seconds = applied.get("secondsToConfirm")
    if seconds is not None:
        yield Check(
            "warn",
            "On trial",
            f"this policy is reverted in {_counted(seconds, 'second')}",
            "To keep it: nsgd confirm. To take it back now: nsgd confirm --revert",
        )
    elif applied.get("standsInPlaceOfConfig"):
        yield Check(
            "warn",
            "Documents",
            "came by nsgd apply, and stand in place of those of --config",
            "To make them last, put the same documents where --config looks",
        )
    if status["mode"] == "audit":
        yield Check(
            "warn",
            "Mode",
            "audit: denials are counted and logged, and nothing is dropped",
            "To enforce: mode: enforce in the document, then nsgd reload",
        )
    else:
        yield Check("ok", "Mode", "enforce")


def _worker(status: Status) -> Iterator[Check]:
    worker = status["worker"]
    if not worker["up"]:
        yield Check(
            "bad",
            "Worker",
            f"DOWN: what it would decide follows failureMode {status['failureMode']}",
            "The daemon starts another by itself; its log says why the last one ended",
        )
    elif worker["restarts"]:
        restarts = _counted(worker["restarts"], "restart")
        yield Check("warn", "Worker", f"up, after {restarts}", "The log says why it ended")
    else:
        several = len(status.get("workers", ()))
        who = f"all {several} up" if several > 1 else f"up, process {worker['pid']}"
        yield Check("ok", "Worker", f"{who}, no restart")
    if errors := status["packets"]["denied"].get("internalError", 0):
        yield Check(
            "bad",
            "Errors",
            f"{_counted(errors, 'packet')} dropped by an error in nsgd",
            "Its log has the traceback; please report it",
            errors,
        )


def _queue(status: Status) -> Iterator[Check]:
    queue = status["queue"]
    if queue is None:
        # Without a worker there is none; that is told already.
        if status["worker"]["up"]:
            yield Check(
                "warn",
                "Queue",
                "its state cannot be read",
                "The unit's ExecStartPre lets the daemon read /proc/net/netfilter/nfnetlink_queue;"
                " see nsgd doctor",
            )
        return
    text = f"{queue['length']} of {queue['maxLength']} packets wait"
    dropped = queue["droppedFull"] + queue["droppedSocket"]
    if dropped:
        lost = f"{_counted(dropped, 'packet')} dropped"
        way_out = (
            "More first packets came than were decided: a larger queueLength, or engine kernel"
        )
        yield Check("bad", "Queue", f"{text}; {lost}", way_out, dropped)
    elif queue["length"] > queue["maxLength"] * FULL_SHARE:
        yield Check("warn", "Queue", f"{text}: nearly full", "More first packets come than decided")
    else:
        yield Check("ok", "Queue", f"{text}, none dropped")


def _lost(status: Status) -> Check:
    found = [loss for loss in losses(status) if not loss.is_judged_elsewhere]
    lost = [(loss, loss.count) for loss in found if loss.count]
    if not lost:
        if any(loss.count is None for loss in found):
            return Check("ok", "Lost unseen", "cannot be known while the queue cannot be read")
        return Check("ok", "Lost unseen", "nothing")
    words = "; ".join(f"{count} {loss.name}" for loss, count in lost)
    text = f"{words}, since the daemon started"
    return Check("warn", "Lost unseen", text, _why(lost[0][0]), sum(count for _, count in lost))


def _why(loss: Loss) -> str:
    if "verdict" in loss.name:
        return "A worker died, the queue was full, or another program deleted base chains"
    return f"That is: {loss.meaning}"


def _kernel(status: Status) -> Iterator[Check]:
    table = status["table"]
    if table["changedByOthers"] > table["repaired"]:
        text = "changed by another program"
        yield Check("bad", "Rules in the kernel", text, _LATER_IN_LOG, table["changedByOthers"])
    elif table["changedByOthers"]:
        times = _counted(table["changedByOthers"], "time")
        text = f"changed by others {times}, and written anew each time"
        yield Check("warn", "Rules in the kernel", text, _LATER_IN_LOG, table["changedByOthers"])
    elif table["owned"]:
        yield Check("ok", "Rules in the kernel", "owned: nobody else can change them")
    else:
        # Before Linux 6.9 that cannot be otherwise.
        text = "as they were written; others can change them, which would be told here"
        yield Check("ok", "Rules in the kernel", text)
    if table["foreignBaseChainsDeleted"]:
        chains = _counted(table["foreignBaseChainsDeleted"], "base chain")
        text = f"deleted {chains} of theirs: the kernel dropped what waited in queues then"
        yield Check("warn", "Other programs", text, _LATER_IN_LOG)
    conntrack = status.get("conntrack")
    if conntrack is not None:
        yield _conntrack(conntrack)


def _conntrack(use: Mapping[str, int]) -> Check:
    text = f"{use['entries']} of {use['limit']} flows"
    way_out = "Raise net.netfilter.nf_conntrack_max"
    if use["dropped"]:
        lost = f"{_counted(use['dropped'], 'packet')} dropped as it was full"
        return Check("bad", "Connection table", f"{text}; {lost}", way_out, use["dropped"])
    if use["entries"] > use["limit"] * FULL_SHARE:
        return Check("warn", "Connection table", f"{text}: nearly full", way_out)
    return Check("ok", "Connection table", text)


def _flow_log(status: Status) -> Iterator[Check]:
    flow_log = status.get("flowLog")
    if flow_log is None:
        yield Check("ok", "Flow log", "off: flowLog is not set")
        return
    if not flow_log["up"]:
        way_out = "The daemon starts its process again by itself; its log says why it ended"
        yield Check("bad", "Flow log", "DOWN: flows are not logged", way_out)
        return
    lost = {name: n for name, n in flow_log["records"].items() if name != "written" and n}
    text = f"{_counted(flow_log['records']['written'], 'record')} written to {flow_log['path']}"
    if lost:
        given_up, count = ", ".join(f"{name} {n}" for name, n in lost.items()), sum(lost.values())
        text += f"; {_counted(count, 'record')} lost: {given_up}"
        way_out = "No room, no permission or no reader: the daemon's log says which"
        yield Check("bad", "Flow log", text, way_out, count)
    else:
        yield Check("ok", "Flow log", f"{text}, none lost")


def _tags(status: Status) -> Iterator[Check]:
    tags = status.get("serviceTags")
    if tags is None:
        return
    days = _counted(tags["ageSeconds"] // 86400, "day")
    text = f"{tags['cloud']}, change {tags['changeNumber']}, {days} old"
    if tags["isPrevious"]:
        way_out = "nsgd tags status says why; install it again: nsgd tags update FILE"
        yield Check("bad", "Service tags", f"{text}: the newest file cannot be used", way_out)
    elif tags["ageSeconds"] > _OLD_TAGS_S:
        way_out = "systemctl enable --now nsgd-tags.timer, or nsgd tags update FILE"
        yield Check("warn", "Service tags", text, way_out)
    else:
        yield Check("ok", "Service tags", text)


def _counted(count: int, noun: str) -> str:
    """One thing, two things."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
