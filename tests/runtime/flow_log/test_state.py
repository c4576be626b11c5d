"""What the flow log's counts are told as."""

from __future__ import annotations

from pathlib import Path

from nsgd.model.rule import Access, Direction
from nsgd.model.settings import FlowLog, FlowLogFormat
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.flow_log.cells import FlowLogCells
from nsgd.runtime.flow_log.keeper import FlowLogKeeper
from nsgd.runtime.flow_log.state import flow_log_state
from nsgd.runtime.loop import Loop

SETTINGS = FlowLog("/var/log/nsgd", FlowLogFormat.AZURE)
NUMBERS = DecisionNumbers(
    {
        Direction.OUTBOUND: {("web", "AllowOut", Access.ALLOW): 4},
        Direction.INBOUND: {
            ("web", "AllowHttp", Access.ALLOW): 4,
            ("web", "AllowIdle", Access.ALLOW): 5,
            ("web", "Removed", Access.ALLOW): 6,
            ("web", "NeverUsed", Access.ALLOW): 7,
            ("web", "DenyRest", Access.DENY): 8,
        },
    }
)
PASSING = {
    Direction.OUTBOUND: bytes((0, 0, 0, 0, 1)),
    Direction.INBOUND: bytes((0, 0, 0, 0, 1, 1, 0, 0, 0)),
}


def test_traffic_begins_at_zero(tmp_path: Path) -> None:
    """Of rules that may let something through; others are there once they have."""
    loop = Loop()
    keeper = FlowLogKeeper(loop, tmp_path)
    assert flow_log_state(keeper, SETTINGS, NUMBERS, PASSING) is None
    keeper.cells = cells = FlowLogCells.create(16)
    try:
        for number, packets, octets in ((4, 3, 1500), (6, 1, 60)):
            index = cells.traffic_cell(Direction.INBOUND, number)
            cells.cells[index], cells.cells[index + 1] = packets, octets
        assert flow_log_state(keeper, None, NUMBERS, PASSING) is None
        state = flow_log_state(keeper, SETTINGS, NUMBERS, PASSING)
        assert state is not None
        assert [(each.rule, each.packets, each.bytes) for each in state.rule_traffic] == [
            ("AllowOut", 0, 0),
            ("AllowHttp", 3, 1500),
            ("AllowIdle", 0, 0),
            ("Removed", 1, 60),
        ]
    finally:
        keeper.close()
        loop.close()
