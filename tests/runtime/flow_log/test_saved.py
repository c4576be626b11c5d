"""Open flows over a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.flowlog.following import OpenFlow
from nsgd.model.packet import PacketHeader
from nsgd.runtime.flow_log.saved import SavedFlows, save_flows, take_flows

NOW_MS = 1_700_000_000_000
FLOW = OpenFlow(
    7,
    NOW_MS - 5,
    PacketHeader(6, 17, 1 << 120, 2, 3, 4, False),
    0xFFFF0020,
    (1, 2, 3, 4),
    (5, 6, 7, 8),
    NOW_MS - 1,
    3,
)
FILE = "flow-log-open-flows.json"


def test_once(tmp_path: Path) -> None:
    """What was said of each; it is good for one start."""
    save_flows(tmp_path, SavedFlows(NOW_MS, {b"\1\xff": FLOW}))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    saved = take_flows(tmp_path, NOW_MS + 1000)
    assert saved is not None
    assert saved.until_ms == NOW_MS
    (flow,) = saved.flows.values()
    assert list(saved.flows) == [b"\1\xff"]
    assert (flow.ident, flow.header, flow.mark, flow.said) == (
        FLOW.ident,
        FLOW.header,
        FLOW.mark,
        FLOW.said,
    )
    # What was seen is seen anew, and its begin has been said.
    assert (flow.seen, flow.round, flow.is_from_dump) == (None, 0, True)
    assert take_flows(tmp_path, NOW_MS + 1000) is None


@pytest.mark.parametrize("now_ms", [NOW_MS + 600_001, NOW_MS - 1])
def test_too_old(tmp_path: Path, now_ms: int) -> None:
    """After a day nobody knows what has become of them."""
    save_flows(tmp_path, SavedFlows(NOW_MS, {b"\1": FLOW}))
    assert take_flows(tmp_path, now_ms) is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"boot": "another"},
        {"untilMs": "x"},
        {"flows": [[1]]},
        {"flows": [["zz", 1, 1, [4, 17, 1, 2, 3, 4, False], 1, [1, 2, 3, 4], 1, False]]},
        {"flows": [["01", 1, 1, [4, 17, 1, 2, 3, 4, False], 1, [1, 2, 3], 1, False]]},
        {"flows": [["01", 1, 1, [4, 17, 1, 2, 3, 4, False], 1, [1, 2, 3, -4], 1, False]]},
        {"flows": [["01", 1, 1, [4, 17, 1, 2], 1, [1, 2, 3, 4], 1, False]]},
        {"flows": 7},
    ],
)
def test_damaged(tmp_path: Path, change: dict[str, object]) -> None:
    """It is as if there were none."""
    save_flows(tmp_path, SavedFlows(NOW_MS, {b"\1": FLOW}))
    document = json.loads((tmp_path / FILE).read_bytes()) | change
    (tmp_path / FILE).write_text(json.dumps(document))
    assert take_flows(tmp_path, NOW_MS) is None


def test_no_json(tmp_path: Path) -> None:
    """Nor is that an error."""
    (tmp_path / FILE).write_bytes(b"\xff{")
    assert take_flows(tmp_path, NOW_MS) is None
