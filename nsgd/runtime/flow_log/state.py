"""Reads what the flow log has counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nsgd.model.rule import Direction
from nsgd.model.settings import FlowLog
from nsgd.observe.flow_log_state import FlowLogState, RuleTraffic
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.runtime.flow_log import cells as cell
from nsgd.runtime.flow_log.keeper import FlowLogKeeper


def flow_log_state(
    keeper: FlowLogKeeper,
    settings: FlowLog | None,
    numbers: DecisionNumbers,
    passing: Mapping[Direction, Sequence[int]],
) -> FlowLogState | None:
    """At about one moment; None where flows are not logged.

    Args:
        keeper: Of the log's process.
        settings: Those in force.
        numbers: Of all rules that ever had one.
        passing: Not 0 for rules that may yet let something through, by their number: their traffic
            begins at 0.
    """
    cells = keeper.cells
    if settings is None or cells is None:
        return None
    counts = cells.cells
    traffic = [
        RuleTraffic(group, direction, rule, access, counts[index], counts[index + 1])
        for direction in DIRECTIONS
        for (group, rule, access), number in numbers.by_direction[direction].items()
        for index in (cells.traffic_cell(direction, number),)
        if counts[index] or passing[direction][number]
    ]
    return FlowLogState(
        path=settings.path,
        format=settings.format.value,
        pid=keeper.pid,
        restarts=keeper.restarts,
        open_flows=counts[cell.OPEN_FLOWS],
        records={result.value: counts[index] for result, index in cell.RESULTS.items()},
        waiting=counts[cell.PENDING],
        last_write_s=counts[cell.LAST_WRITE_S],
        events_lost=counts[cell.EVENTS_LOST],
        resyncs=counts[cell.RESYNCS],
        begun_unseen=counts[cell.BEGUN_UNSEEN],
        ended_unseen=counts[cell.ENDED_UNSEEN],
        not_followed=counts[cell.NOT_FOLLOWED],
        denials_missed=counts[cell.DENIALS_MISSED],
        rule_traffic=tuple(traffic),
    )
