"""A snapshot that tests of metrics and status share."""

from __future__ import annotations

from dataclasses import replace

from nsgd.model.decision import Reason
from nsgd.model.rule import Access, Direction
from nsgd.observe.conntrack_state import ConntrackState
from nsgd.observe.counted import DecisionTimes, OpenFlows
from nsgd.observe.snapshot import (
    AppliedState,
    FlowCount,
    ForeignActs,
    KernelDenials,
    QueueState,
    RuleHits,
    Snapshot,
    WorkerSeen,
)

QUEUE = QueueState(
    9480, length=3, max_length=4096, dropped_full=5, dropped_socket=6, packets_seen=7
)
SNAPSHOT = Snapshot(
    version="1.2.3",
    engine="queue",
    roles=("gateway", "host"),
    mode="enforce",
    failure_mode="closed",
    generation=4,
    policy_hash="0123456789abcdef",
    loaded_at_s=1_700_000_000.5,
    start_time_s=1_600_000_000.0,
    reloads_succeeded=3,
    reloads_refused=1,
    last_reload_succeeded=False,
    rule_hits=(
        RuleHits("web", Direction.INBOUND, "AllowHttp", Access.ALLOW, 12),
        RuleHits("web", Direction.INBOUND, "DenyAllInBound", Access.DENY, 130),
        RuleHits("web", Direction.OUTBOUND, "DenyAllOutBound", Access.DENY, 0),
    ),
    flows=(
        FlowCount(Direction.INBOUND, Access.ALLOW, Reason.RULE, 12),
        FlowCount(Direction.INBOUND, Access.DENY, Reason.RULE, 130),
    ),
    denied_packets={"rule": 130, "spoofed": 8, "invalid": 0},
    unparsable_packets={"fragment": 2, "empty": 0},
    unmanaged_packets={"accept": 20, "drop": 0},
    midstream_packets=1,
    not_admitted_packets={"sourceRate": 40, "sources": 0},
    queued_packets=150,
    undecided_packets=3,
    failsafe_packets=5,
    adopted_flows=6,
    reevaluated_flows=9,
    cut_flows=2,
    verdicts={"accept": 12, "drop": 132},
    workers=(WorkerSeen(9480, 4321, 1, QUEUE),),
    foreign_marks=0,
    kernel_denials=KernelDenials(7, 93, 1),
    foreign_acts=ForeignActs(3, 2, 4),
    applied=AppliedState(
        {"applied": 5, "confirmed": 1, "reverted": 2, "refused": 3}, is_standing=True
    ),
    conntrack=ConntrackState(900, 1000, 8),
    table_owned=True,
    mark_mask=0xFFFF3FFF,
    # Allowed and denied of what comes in, and of what goes out.
    nics={"web1": (7, 100, 3, 0), "idle": (0, 0, 0, 0)},
    decision_times=DecisionTimes((1000, 5000), (4, 2, 1), 12_000_000),
    open_flows=OpenFlows(9, {("web", Direction.INBOUND, "AllowHttp", Access.ALLOW): 8}),
)

# One of three workers is gone, and with it what is known of its queue.
SEVERAL = replace(
    SNAPSHOT,
    workers=(
        WorkerSeen(9480, 4321, 1, QUEUE),
        WorkerSeen(9481, None, 2, None),
        WorkerSeen(9482, 4323, 0, replace(QUEUE, number=9482, length=9)),
    ),
)
