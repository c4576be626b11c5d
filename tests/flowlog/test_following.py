"""What a flow log says of flows, whatever of their events is lost."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from nsgd.flowlog.following import Counts, FlowFollower, Saying
from nsgd.flowlog.record import FlowState
from nsgd.model.packet import PacketHeader
from nsgd.wire.flow_events import FlowSeen

MARK, OTHER_MARK, UNDECIDED = 100, 200, 0
MINUTE = 60_000
START = 1_000_000


def seen(
    number: int,
    counts: Counts | None = (0, 0, 0, 0),
    *,
    mark: int = MARK,
    ident: int = 1,
    start_ms: int = START,
    time_ms: int = 0,
) -> FlowSeen:
    """A flow by a number."""
    header = PacketHeader(4, 17, 1, 2, number, 53, False)
    return FlowSeen(b"%d" % number, ident, header, mark, counts, start_ms, time_ms)


def follower(most: int = 1000, since_ms: int = START) -> FlowFollower:
    """One that has had its first dump, of nothing."""
    made = FlowFollower(lambda mark: mark >= MARK, 5 * MINUTE, most, since_ms)
    made.dump_begins()
    assert made.dump_ends() == []
    return made


def said(sayings: Iterable[Saying]) -> list[tuple[str, int, Counts | None]]:
    """State, source port and counts."""
    return [(each.state.value, each.header.source_port, each.counts) for each in sayings]


def dump(made: FlowFollower, now_ms: int, *flows: FlowSeen) -> list[tuple[str, int, Counts | None]]:
    """A whole dump, and after it what is missing for good."""
    made.dump_begins()
    sayings = list(made.dumped(flows, now_ms))
    missing = made.dump_ends()
    return said([*sayings, *made.vanished(missing, now_ms)])


NOTHING = (0, 0, 0, 0)


def test_a_flow_from_begin_to_end() -> None:
    """B at once, C each five minutes with what is new, E with the rest."""
    made = follower()
    assert said(made.begun(seen(1, time_ms=START + 5), START + 9)) == [("B", 1, NOTHING)]
    assert dump(made, START + MINUTE, seen(1, (1, 10, 1, 20))) == []
    assert dump(made, START + 6 * MINUTE, seen(1, (5, 50, 4, 80))) == [("C", 1, (5, 50, 4, 80))]
    assert dump(made, START + 7 * MINUTE, seen(1, (6, 60, 4, 80))) == []
    assert said(made.ended(seen(1, (8, 80, 5, 100)), START + 8 * MINUTE)) == [
        ("E", 1, (3, 30, 1, 20))
    ]
    assert made.flows == {}
    assert (made.begun_unseen, made.ended_unseen) == (0, 0)


def test_times_are_those_of_the_kernel() -> None:
    """Where it says them, and else when it was heard."""
    made = follower()
    (begin,) = made.begun(seen(1, time_ms=START + 5), START + 9)
    (end,) = made.ended(seen(1), START + 20)
    assert (begin.time_ms, end.time_ms) == (START + 5, START + 20)


def test_a_flow_that_rests_is_not_said() -> None:
    """Its next packet is, at the next dump."""
    made = follower()
    list(made.begun(seen(1), START))
    assert dump(made, START + 6 * MINUTE, seen(1)) == []
    assert dump(made, START + 7 * MINUTE, seen(1, (1, 10, 0, 0))) == [("C", 1, (1, 10, 0, 0))]


def test_flows_without_our_decision_are_not_followed() -> None:
    """They are nobody's here."""
    made = follower()
    assert said(made.begun(seen(1, mark=UNDECIDED), START)) == []
    assert said(made.ended(seen(1, mark=UNDECIDED), START)) == []
    assert dump(made, START, seen(1, mark=UNDECIDED)) == []


def test_no_accounting() -> None:
    """Flows are still said, without counts."""
    made = follower()
    list(made.begun(seen(1, None), START))
    assert dump(made, START + 6 * MINUTE, seen(1, None)) == [("C", 1, None)]
    assert said(made.ended(seen(1, None), START)) == [("E", 1, None)]


def test_a_begin_that_was_lost() -> None:
    """The dump has the flow; all of its traffic is said, and the late event adds nothing."""
    made = follower()
    assert dump(made, START + 10, seen(1, (3, 30, 0, 0), start_ms=START + 1)) == [("B", 1, NOTHING)]
    assert said(made.begun(seen(1), START + 11)) == []
    assert said(made.ended(seen(1, (4, 40, 1, 10)), START + 12)) == [("E", 1, (4, 40, 1, 10))]
    assert made.begun_unseen == 1


def test_both_lost_but_the_end() -> None:
    """B and E come together."""
    made = follower()
    first, second = made.ended(seen(1, (4, 40, 1, 10), start_ms=START + 1, time_ms=START + 9), 0)
    assert said([first, second]) == [("B", 1, NOTHING), ("E", 1, (4, 40, 1, 10))]
    assert (first.time_ms, second.time_ms) == (START + 1, START + 9)


def test_an_end_that_was_lost() -> None:
    """E with what was counted when the flow was last seen; nothing is said twice."""
    made = follower()
    list(made.begun(seen(1), START))
    assert dump(made, START + MINUTE, seen(1, (3, 30, 0, 0))) == []
    assert dump(made, START + 2 * MINUTE) == [("E", 1, (3, 30, 0, 0))]
    assert made.ended_unseen == 1
    assert made.flows == {}


def test_an_end_that_is_told_after_the_dump() -> None:
    """What a dump does not have may only have run out: its end is waited for."""
    made = follower()
    list(made.begun(seen(1), START))
    made.dump_begins()
    missing = made.dump_ends()
    assert missing == [b"1"]
    assert said(made.ended(seen(1, (3, 30, 0, 0)), START)) == [("E", 1, (3, 30, 0, 0))]
    assert said(made.vanished(missing, START)) == []


def test_an_end_that_a_dump_does_not_know_yet() -> None:
    """A part of a dump may be older than an event that was read before it."""
    made = follower()
    list(made.begun(seen(1), START))
    made.dump_begins()
    assert said(made.ended(seen(1, (3, 30, 0, 0)), START)) == [("E", 1, (3, 30, 0, 0))]
    assert said(made.dumped([seen(1, (2, 20, 0, 0))], START)) == []
    assert made.dump_ends() == []
    assert made.flows == {}


def test_one_flow_after_another_with_the_same_ports() -> None:
    """The end between them was lost, or the begin, or both."""
    made = follower()
    list(made.begun(seen(1, ident=1), START))
    assert said(made.begun(seen(1, ident=2), START)) == [("E", 1, NOTHING), ("B", 1, NOTHING)]
    found = said(made.ended(seen(1, (1, 10, 0, 0), ident=3), START))
    assert found == [("E", 1, NOTHING), ("B", 1, NOTHING), ("E", 1, (1, 10, 0, 0))]
    list(made.begun(seen(1, ident=4), START))
    assert dump(made, START, seen(1, (2, 20, 0, 0), ident=5)) == [
        ("E", 1, NOTHING),
        ("B", 1, NOTHING),
    ]


def test_flows_of_before_the_log() -> None:
    """They are not said to begin, and of their traffic only what comes now is said."""
    made = FlowFollower(lambda mark: mark >= MARK, 5 * MINUTE, 10, START)
    old = seen(1, (100, 1000, 0, 0), start_ms=START - 1)
    unknown = seen(2, (100, 1000, 0, 0), start_ms=0)
    new = seen(3, (100, 1000, 0, 0), start_ms=START)
    assert dump(made, START, old, unknown, new) == [("B", 3, NOTHING)]
    for number in (1, 2):
        assert said(made.ended(seen(number, (101, 1010, 0, 0)), START)) == [
            ("E", number, (1, 10, 0, 0))
        ]
    assert said(made.ended(seen(3, (101, 1010, 0, 0)), START)) == [("E", 3, (101, 1010, 0, 0))]
    # One that ended before a dump could have it: how much of it is of the log is not known.
    assert said(made.ended(seen(4, (5, 50, 0, 0), start_ms=START - 1), START)) == [("E", 4, None)]


def test_a_decision_that_is_taken_back() -> None:
    """The flow has ended in the log until it is decided again; nothing is said twice."""
    made = follower()
    list(made.begun(seen(1), START))
    assert dump(made, START, seen(1, (2, 20, 0, 0), mark=UNDECIDED)) == [("E", 1, (2, 20, 0, 0))]
    assert dump(made, START, seen(1, (3, 30, 0, 0), mark=UNDECIDED)) == []
    assert dump(made, START, seen(1, (4, 40, 0, 0), mark=OTHER_MARK)) == [("B", 1, NOTHING)]
    (end,) = made.ended(seen(1, (5, 50, 0, 0), mark=OTHER_MARK), START)
    # The third packet was let through by no decision.
    assert (end.mark, end.counts) == (OTHER_MARK, (2, 20, 0, 0))
    # And one that is never decided again.
    list(made.begun(seen(2), START))
    assert dump(made, START, seen(2, (2, 20, 0, 0), mark=UNDECIDED)) == [("E", 2, (2, 20, 0, 0))]
    assert said(made.ended(seen(2, (3, 30, 0, 0), mark=UNDECIDED), START)) == []
    list(made.begun(seen(3), START))
    dump(made, START, seen(3, mark=UNDECIDED))
    assert dump(made, START) == []
    assert (made.flows, made.ended_unseen) == ({}, 0)


def test_a_decision_that_gives_way_to_another() -> None:
    """Between two dumps: what the old one let through is its own, and so is the end."""
    made = follower()
    list(made.begun(seen(1), START))
    made.dump_begins()
    end, begin = made.dumped([seen(1, (2, 20, 1, 10), mark=OTHER_MARK)], START + MINUTE)
    made.dump_ends()
    assert said([end, begin]) == [("E", 1, (2, 20, 1, 10)), ("B", 1, NOTHING)]
    assert (end.mark, begin.mark) == (MARK, OTHER_MARK)
    # One that nobody has seen in between: each record of a rule has its begin.
    (end,) = made.ended(seen(1, (5, 50, 1, 10), mark=MARK), START)
    assert (end.mark, end.counts) == (OTHER_MARK, (3, 30, 0, 0))
    # Bits of others are nobody's decision.
    made = FlowFollower(lambda mark: mark >= MARK, 5 * MINUTE, 10, START, mark_mask=0xFFF)
    list(made.begun(seen(1), START))
    assert dump(made, START + MINUTE, seen(1, (2, 20, 1, 10), mark=MARK | 0x1000)) == []


def test_as_many_as_can_be_followed() -> None:
    """What is not followed is still said at its end."""
    made = follower(most=1)
    list(made.begun(seen(1), START))
    assert said(made.begun(seen(2), START)) == []
    assert dump(made, START, seen(1), seen(2)) == []
    assert said(made.ended(seen(2, (1, 10, 0, 0)), START)) == [
        ("B", 2, NOTHING),
        ("E", 2, (1, 10, 0, 0)),
    ]
    assert made.not_followed == 2


def test_counters_that_were_set_back() -> None:
    """``conntrack -z`` makes nothing negative."""
    made = follower()
    list(made.begun(seen(1), START))
    dump(made, START + 6 * MINUTE, seen(1, (9, 90, 9, 90)))
    assert said(made.ended(seen(1, (1, 10, 0, 0)), START)) == [("E", 1, NOTHING)]


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_lost_nothing_is_said_twice_or_left_out(seed: int) -> None:
    """Random flows, a third of the events lost, dumps at random moments.

    Each flow that is seen at all begins and ends once; what is said of it is what the kernel had
    counted at its end, or where that was lost, when it was last seen.
    """
    chance = random.Random(seed)
    made = follower()
    is_open: dict[int, tuple[int, list[int]]] = {}  # ident and counts, by number
    records: list[Saying] = []
    expected: dict[tuple[int, int], int] = {}  # packets, by number and ident
    ident = dict.fromkeys(range(8), 0)
    now = START
    lost_ends = 0
    for _ in range(300):
        now += 1000
        number = chance.randrange(8)
        if number not in is_open:
            ident[number] += 1
            is_open[number] = ident[number], [0]
            if chance.random() < 0.67:
                records += made.begun(flow_of(number, is_open[number], now), now)
        elif chance.random() < 0.6:
            is_open[number][1][0] += chance.randrange(1, 9)
        else:
            gone = is_open.pop(number)
            if chance.random() < 0.67:
                expected[number, gone[0]] = gone[1][0]
                records += made.ended(flow_of(number, gone, now), now)
            else:
                lost_ends += 1
        if chance.random() < 0.1:
            made.dump_begins()
            for each, what in is_open.items():
                records += made.dumped([flow_of(each, what, now)], now)
            records += made.vanished(made.dump_ends(), now)
    for number, gone in is_open.items():
        expected[number, gone[0]] = gone[1][0]
        records += made.ended(flow_of(number, gone, now), now)
    made.dump_begins()
    records += made.vanished(made.dump_ends(), now)

    open_now: set[int] = set()
    packets: dict[int, int] = {}
    totals: list[tuple[int, int]] = []
    for saying in records:
        number = saying.header.source_port
        if saying.state is FlowState.BEGIN:
            assert number not in open_now
            open_now.add(number)
            packets[number] = 0
        else:
            assert number in open_now
            assert saying.counts is not None
            packets[number] += saying.counts[0]
            if saying.state is FlowState.END:
                open_now.discard(number)
                totals.append((number, packets[number]))
    # Flows whose ends were told are there with all of their packets.
    for (number, _), count in expected.items():
        assert (number, count) in totals
        totals.remove((number, count))
    # The others are those whose ends were lost.
    assert len(totals) <= lost_ends
    assert not open_now
    assert not made.flows


def flow_of(number: int, what: tuple[int, list[int]], now: int) -> FlowSeen:
    """A flow as the kernel has it now."""
    ident, (packets,) = what
    return seen(number, (packets, 10 * packets, 0, 0), ident=ident, start_ms=now, time_ms=now)
