"""What a daemon may have lost without a trace in rules and logs, counted from its status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that may happen unseen, and how often it did."""

    name: str
    count: int | None  # None where it cannot be known
    meaning: str
    is_judged_elsewhere: bool = False  # by a check of its own


def losses(status: Status) -> list[Loss]:
    """Everything that can be lost unseen, what was not lost too.

    Args:
        status: What snapshot_as_json returns.
    """
    packets, queue, flow_log = status["packets"], status["queue"], status.get("flowLog")
    found = [_undecided(status)]
    if (conntrack := status.get("conntrack")) is not None:
        found.append(
            Loss(
                "dropped for want of room in the connection table",
                conntrack["dropped"],
                "ahead of all rules, since the network namespace was made",
                is_judged_elsewhere=True,
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
        since = "since the worker started"
        found += [
            Loss("dropped at a full queue", queue["droppedFull"], since, True),
            Loss(
                "dropped at the worker's socket",
                queue["droppedSocket"],
                f"its receive buffer was full, {since}",
                is_judged_elsewhere=True,
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
            status["kernelDenials"]["lost"],
            "they are counted by rule; only the record of each is lost",
        ),
    ]
    if flow_log is not None:
        unwritten = sum(n for result, n in flow_log["records"].items() if result != "written")
        looks = flow_log["resyncs"]
        again = f"found again by {looks} {'look' if looks == 1 else 'looks'} at all open flows"
        found += [
            Loss("flow log records given up", unwritten, "they could not be written", True),
            Loss("flow events lost", flow_log["eventsLost"], again),
            Loss("denials not in the flow log", flow_log["denialsMissed"], "they came too fast"),
        ]
    return found


def _undecided(status: Status) -> Loss:
    name = "packets that left the queue without a verdict"
    meaning = "sent to the queue, less the verdicts and those that wait"
    queue, packets = status["queue"], status["packets"]
    if queue is None:
        return Loss(name, None, meaning + "; the queue's state cannot be read")
    decided = sum(packets["verdicts"].values())
    # The three are read one after another, while packets come.
    return Loss(name, max(0, packets["queued"] - decided - queue["length"]), meaning)
