"""What workers get of a policy: little where little differs, and never of another one than theirs.

That packets are decided alike is for tests/runtime/test_verdict_reloads.py.
"""

from __future__ import annotations

import pytest

from nsgd.model.settings import DaemonSettings, Mode
from nsgd.policy.compile import Compiled
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.policy_handover import HandOver, HandOverMaker, changed_policy
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.runtime.test_policy_classes import compiled

SETTINGS = DaemonSettings()
CAPACITY = MarkLayout(SETTINGS.mark_mask).capacity
SLOTS = (1, 2)


class Supervisor:
    """Makes hand-overs, and numbers rules for them."""

    def __init__(self, most_apart_bytes: int = 1 << 20) -> None:
        self.maker = HandOverMaker(most_apart_bytes)
        self.numbers = DecisionNumbers()
        self.generation = 0

    def hand_over(
        self,
        found: Compiled,
        settings: DaemonSettings = SETTINGS,
        slots: tuple[int, ...] = SLOTS,
    ) -> HandOver:
        """The next policy."""
        self.generation += 1
        self.numbers = self.numbers.extended(found.policy, FIRST_RULE_NUMBER, CAPACITY)
        return self.maker.of(self.generation, found.policy, self.numbers, settings, slots)


def is_whole(policy: HandOver) -> bool:
    return not policy.changes


def test_what_a_change_leaves_is_taken_over() -> None:
    """A worker makes again what depends on the changed rule, and nothing else."""
    supervisor, counters = Supervisor(), SharedCounters.create(CAPACITY)
    before = compiled(None)
    first = supervisor.hand_over(before)
    assert is_whole(first)
    path = VerdictPath(WorkerPolicy.from_bytes(first.whole()), counters)
    after = compiled(before, {"access": "Deny"})
    second = supervisor.hand_over(after)
    policy = changed_policy(path.lookups.policy, second.changes)
    assert policy == WorkerPolicy.from_bytes(second.whole())
    changed = VerdictPath(policy, counters, path.lookups)
    one, other = path.lookups, changed.lookups
    assert (other.judges, other.nics) == (one.judges, one.nics)
    tables = zip(one.tables[4], other.tables[4], strict=True)
    same = [new.table.network_security_group for old, new in tables if new is old]
    assert same == ["g0", "g1", "g1"]  # of the changed group, one direction
    assert len(second.changes) < len(second.whole()) / 50
    counters.close()


@pytest.mark.parametrize(
    ("changes", "others"),
    [
        ({"sourceAddressPrefix": "10.8.0.0/16"}, {"judges", "nics"}),
        ({"sourcePortRange": "1-5"}, set()),
        ({"name": "Another"}, set()),
    ],
)
def test_what_depends_on_addresses_is_made_again_with_them(
    changes: dict[str, object], others: set[str]
) -> None:
    """And only then."""
    supervisor, counters = Supervisor(), SharedCounters.create(CAPACITY)
    before = compiled(None)
    path = VerdictPath(WorkerPolicy.from_bytes(supervisor.hand_over(before).whole()), counters)
    second = supervisor.hand_over(compiled(before, changes))
    policy = changed_policy(path.lookups.policy, second.changes)
    assert policy == WorkerPolicy.from_bytes(second.whole())
    assert len(second.changes) < len(second.whole()) / 50
    changed = VerdictPath(policy, counters, path.lookups).lookups
    made = {
        name
        for name in ("judges", "nics")
        if getattr(changed, name) is not getattr(path.lookups, name)
    }
    assert made == others
    counters.close()


def test_endpoints_slots_and_settings_are_told_where_they_differ() -> None:
    """A worker has all of them as if it had got all of the policy."""
    supervisor = Supervisor()
    before = compiled(None, links=True)
    policy = WorkerPolicy.from_bytes(supervisor.hand_over(before).whole())
    for found in (compiled(before, {"protocol": "Udp"}, links=True), before):
        for settings in (SETTINGS, DaemonSettings(mode=Mode.AUDIT)):
            second = supervisor.hand_over(found, settings)
            policy = changed_policy(policy, second.changes)
            assert policy == WorkerPolicy.from_bytes(second.whole())


def test_interfaces_are_counted_where_they_are_now() -> None:
    """Also where the slots are all that differs, as where metricsDetail does."""
    supervisor, counters = Supervisor(), SharedCounters.create(CAPACITY)
    found = compiled(None)
    path = VerdictPath(WorkerPolicy.from_bytes(supervisor.hand_over(found).whole()), counters)
    for slots in ((), SLOTS, (2, 1)):
        changes = supervisor.hand_over(found, slots=slots).changes
        policy = changed_policy(path.lookups.policy, changes)
        path = VerdictPath(policy, counters, path.lookups)
        assert tuple(policy.nic_slots) == slots
        assert path.nics.is_counted is bool(slots)
        assert [path.ends_v4.find_slot(0x0A000004 + n) for n in range(2)] == list(slots or (0, 0))
    counters.close()


def test_changes_are_of_the_policy_before_only() -> None:
    """A worker never takes others."""
    supervisor = Supervisor()
    before = compiled(None)
    policy = WorkerPolicy.from_bytes(supervisor.hand_over(before).whole())
    supervisor.hand_over(compiled(before, {"access": "Deny"}))
    third = supervisor.hand_over(before)
    with pytest.raises(ValueError, match="changes of policy 2, and this is 1"):
        changed_policy(policy, third.changes)


def test_other_marks_or_numbers_are_no_changes() -> None:
    """What tables have in common with those before is then not the same."""
    supervisor = Supervisor()
    before = compiled(None)
    supervisor.hand_over(before)
    assert not is_whole(supervisor.hand_over(before))
    assert is_whole(supervisor.hand_over(before, DaemonSettings(mark_mask=0xFFFFFFF0)))
    other = DecisionNumbers().extended(before.policy, FIRST_RULE_NUMBER + 1, CAPACITY)
    assert is_whole(supervisor.maker.of(9, before.policy, other, SETTINGS, SLOTS))


def test_many_tables_that_share_nothing_are_not_left_so() -> None:
    """A worker gets all anew; one table that is changed again and again counts once."""
    first: dict[str, object]
    second: dict[str, object]
    first, second = {"destinationPortRange": "53"}, {"destinationPortRange": "54"}
    before = compiled(None)
    supervisor = Supervisor()
    supervisor.hand_over(before)
    room = len(supervisor.hand_over(compiled(before, first)).changes)
    supervisor = Supervisor(room)
    found = before
    supervisor.hand_over(found)
    for changes in (first, second) * 3:
        found = compiled(found, changes)
        assert not is_whole(supervisor.hand_over(found))
    supervisor = Supervisor(10)
    supervisor.hand_over(before)
    found = compiled(before, first)
    assert is_whole(supervisor.hand_over(found))
    assert not is_whole(supervisor.hand_over(found))
