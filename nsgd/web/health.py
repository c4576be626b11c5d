"""A status judged for people: what is well, what is to be looked at, and what to do then. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nsgd.web.page import number, plural

Status = Mapping[str, Any]

_OLD_TAGS_S = 10 * 86400  # as nsgd doctor has it
_FULL = 0.9


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is well (ok), worth a look (warn), or wrong (bad)."""

    kind: str
    name: str
    text: str
    way_out: str = ""  # what to do; empty where nothing is to be done


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that may happen unseen, and how often it did."""

    name: str
    count: int | None  # None where it cannot be known
    meaning: str


def checks(status: Status) -> list[Check]:
    """Everything that is judged, in the order in which it is asked for."""
    return [*_policy(status), *_worker(status), *_kernel(status), *_beside(status)]


def trouble(status: Status) -> int:
    """How many of the checks are not well."""
    return sum(check.kind != "ok" for check in checks(status))


def losses(status: Status) -> list[Loss]:
    """What could be lost without a trace in rules and logs."""
    packets, told = status["packets"], status["kernelDenials"]
    queue, flow_log = status["queue"], status.get("flowLog")
    found = [_undecided(status)]
    if (conntrack := status.get("conntrack")) is not None:
        found.append(
            Loss(
                "dropped for want of room in the connection table",
                conntrack["dropped"],
                "ahead of all rules, since the network namespace was made",
            )
        )
    if (not_admitted := packets.get("notAdmitted")) is not None:
        found.append(
            Loss(
                "first packets not admitted to the queue",
                sum(not_admitted.values()),
                "beyond the limits of daemon.admission: they follow failureMode",
            )
        )
    if queue is not None:
        found += [
            Loss("dropped at a full queue", queue["droppedFull"], "since the worker started"),
            Loss(
                "dropped at the worker's socket",
                queue["droppedSocket"],
                "its receive buffer was full, since the worker started",
            ),
        ]
    found += [
        Loss(
            "later packets that passed undecided",
            packets["passedUndecided"],
            "of open flows, with failureMode open, while nobody was there to decide",
        ),
        Loss(
            "denials that the kernel told and nobody read",
            told["lost"],
            "they are counted by rule; only the record of each is lost",
        ),
    ]
    if flow_log is not None:
        unwritten = sum(n for result, n in flow_log["records"].items() if result != "written")
        found += [
            Loss("flow log records given up", unwritten, "they could not be written"),
            Loss(
                "flow events lost",
                flow_log["eventsLost"],
                f"found again by {plural(flow_log['resyncs'], 'look')} at all open flows",
            ),
            Loss("denials not in the flow log", flow_log["denialsMissed"], "they came too fast"),
        ]
    return found


def _undecided(status: Status) -> Loss:
    name = "packets that left the queue without a verdict"
    meaning = "sent to the queue, less the verdicts and those that wait"
    queue = status["queue"]
    if queue is None:
        return Loss(name, None, meaning + "; the queue's state cannot be read")
    packets = status["packets"]
    decided = sum(packets["verdicts"].values())
    # The three are read one after another, while packets come.
    return Loss(name, max(0, packets["queued"] - decided - queue["length"]), meaning)


def _policy(status: Status) -> Iterator[Check]:
    reloads = status["reloads"]
    if reloads["lastSucceeded"]:
        yield Check("ok", "Last reload", "in force")
    else:
        yield Check(
            "bad",
            "Last reload",
            f"refused; policy {status['generation']} stays in force, without what was edited since",
            "The daemon's log has every problem, and so has: nsgd check PATH",
        )
    seconds = status["applied"].get("secondsToConfirm")
    if seconds is not None:
        yield Check(
            "warn",
            "On trial",
            f"this policy is taken back in {plural(seconds, 'second')}",
            "To keep it: nsgd confirm. To take it back now: nsgd confirm --revert",
        )
    elif status["applied"].get("standsInPlaceOfConfig"):
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
    worker, queue = status["worker"], status["queue"]
    restarts = plural(worker["restarts"], "restart")
    if not worker["up"]:
        yield Check(
            "bad",
            "Worker",
            f"down: what it would decide follows failureMode {status['failureMode']}",
            "The daemon starts another by itself; its log says why the last one ended",
        )
    elif worker["restarts"]:
        yield Check("warn", "Worker", f"up, after {restarts}", "The log says why it ended")
    else:
        several = len(status.get("workers", ()))
        who = f"all {several} up" if several > 1 else f"up, process {worker['pid']}"
        yield Check("ok", "Worker", f"{who}, no restart")
    if queue is None:
        yield Check(
            "warn",
            "Queue",
            "its state cannot be read",
            "The unit's ExecStartPre lets the daemon read /proc/net/netfilter/nfnetlink_queue",
        )
        return
    text = f"{number(queue['length'])} of {number(queue['maxLength'])} packets wait"
    dropped = queue["droppedFull"] + queue["droppedSocket"]
    if dropped:
        way_out = (
            "More first packets came than were decided: a larger queueLength, or engine kernel"
        )
        yield Check("bad", "Queue", f"{text}; {plural(dropped, 'packet')} dropped", way_out)
    elif queue["length"] > queue["maxLength"] * _FULL:
        yield Check("warn", "Queue", f"{text}: nearly full", "More first packets come than decided")
    else:
        yield Check("ok", "Queue", f"{text}, none dropped")


def _kernel(status: Status) -> Iterator[Check]:
    table = status["table"]
    way_out = "The daemon's log names the program; keep it out of this network namespace"
    if table["changedByOthers"] > table["repaired"]:
        yield Check("bad", "Rules in the kernel", "changed by another program", way_out)
    elif table["changedByOthers"]:
        times = plural(table["changedByOthers"], "time")
        text = f"changed by others {times}, and written anew each time"
        yield Check("warn", "Rules in the kernel", text, way_out)
    else:
        owned = "owned: nobody else can change them" if table["owned"] else "as they were written"
        yield Check("ok", "Rules in the kernel", owned)
    if table["foreignBaseChainsDeleted"]:
        chains = plural(table["foreignBaseChainsDeleted"], "chain")
        yield Check(
            "warn",
            "Other programs",
            f"deleted {chains} of theirs: the kernel dropped what waited in queues then",
            way_out,
        )
    conntrack = status.get("conntrack")
    if conntrack is not None:
        yield _conntrack(conntrack)


def _conntrack(use: Mapping[str, int]) -> Check:
    text = f"{number(use['entries'])} of {number(use['limit'])} flows"
    way_out = "Raise net.netfilter.nf_conntrack_max"
    if use["dropped"]:
        dropped = plural(use["dropped"], "packet")
        return Check("bad", "Connection table", f"{text}; {dropped} dropped, it was full", way_out)
    if use["entries"] > use["limit"] * _FULL:
        return Check("warn", "Connection table", f"{text}: nearly full", way_out)
    return Check("ok", "Connection table", text)


def _beside(status: Status) -> Iterator[Check]:
    flow_log, tags = status.get("flowLog"), status.get("serviceTags")
    if flow_log is None:
        yield Check("ok", "Flow log", "off: flowLog is not set")
    elif not flow_log["up"]:
        way_out = "The daemon starts its process again by itself; its log says why it ended"
        yield Check("bad", "Flow log", "down: flows are not logged", way_out)
    else:
        lost = sum(n for result, n in flow_log["records"].items() if result != "written")
        text = f"{plural(flow_log['records']['written'], 'record')} written to {flow_log['path']}"
        if lost:
            way_out = "No room, no permission or no reader: the daemon's log says which"
            yield Check("bad", "Flow log", f"{text}; {plural(lost, 'record')} lost", way_out)
        else:
            yield Check("ok", "Flow log", f"{text}, none lost")
    if tags is not None:
        days = tags["ageSeconds"] // 86400
        text = f"{tags['cloud']}, change {tags['changeNumber']}, {plural(days, 'day')} old"
        if tags["isPrevious"]:
            way_out = "Install the newest file again: nsgd tags update FILE"
            yield Check("bad", "Service tags", f"{text}: the newest file cannot be used", way_out)
        elif tags["ageSeconds"] > _OLD_TAGS_S:
            way_out = "systemctl enable --now nsgd-tags.timer, or nsgd tags update FILE"
            yield Check("warn", "Service tags", text, way_out)
        else:
            yield Check("ok", "Service tags", text)
