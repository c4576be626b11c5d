"""Flow tuples of each version, both ways."""

from __future__ import annotations

import pytest

from nsgd.flowlog.record import FlowRecord, FlowState, NotAFlowLogError
from nsgd.flowlog.tuples import read_nsg, read_v4, write_v2
from nsgd.model.rule import Access, Direction
from tests.flowlog.entries import entry_of, v4_tuples
from tests.flowlog.records import BEGIN, DENIED, END, PING

V4 = "1700000000123,10.0.1.4,203.0.113.10,40000,443,6,O,C,NX,5,400,4,5200"
V2 = "1700000000,10.0.1.4,203.0.113.10,40000,443,T,O,A,C,5,400,4,5200"
V1 = "1700000000,10.0.1.4,203.0.113.10,40000,443,U,I,D"


def test_v4_is_read() -> None:
    """Every field, at its place."""
    assert read_v4(V4) == FlowRecord(
        1_700_000_000_123,
        "10.0.1.4",
        "203.0.113.10",
        40000,
        443,
        6,
        Direction.OUTBOUND,
        FlowState.CONTINUE,
        5,
        400,
        4,
        5200,
        "NX",
    )


@pytest.mark.parametrize(
    "text",
    [
        V4,
        V4.replace("5,400,4,5200", ",,,"),
        V4.replace("C,NX,5,400,4,5200", "B,NX,0,0,0,0"),
        V4.replace("O,C,NX", "I,D,NX"),
        V4.replace("10.0.1.4,203.0.113.10", "fd00::4,2001:db8::10"),
    ],
)
def test_v4_both_ways(text: str) -> None:
    """What is written is what was read, empty counts included."""
    assert v4_tuples(entry_of(read_v4(text))) == [text]


def test_zero_is_not_empty() -> None:
    """A count of nothing differs from none that was taken."""
    assert read_v4(V4.replace("5,400,4,5200", "0,0,0,0")).packets_sent == 0
    assert read_v4(V4.replace("5,400,4,5200", ",,,")).packets_sent is None


def test_nsg_versions_are_read() -> None:
    """Version 2 with state and counts, version 1 with neither; times become milliseconds."""
    assert read_nsg(V2, 2) == read_v4(V4)._replace(time_ms=1_700_000_000_000, encryption="")
    denied = read_nsg(V1, 1)
    assert (denied.state, denied.protocol, denied.access) == (FlowState.DENY, 17, Access.DENY)
    allowed = read_nsg(V1.replace(",D", ",A"), 1)
    assert (allowed.state, allowed.access, allowed.bytes_sent) == (None, Access.ALLOW, None)


def test_a_denied_flow_of_v2_has_no_state_but_denied() -> None:
    """Azure writes D,B for it."""
    assert read_nsg(V2.replace("A,C,5,400,4,5200", "D,B,,,,"), 2).state is FlowState.DENY


@pytest.mark.parametrize(
    ("record", "tail"),
    [
        (BEGIN, "T,O,A,B,,,,"),
        (END, "T,O,A,E,5,400,4,5200"),
        (DENIED, "U,I,D,B,,,,"),
        (read_nsg(V1.replace(",D", ",A"), 1), "U,I,A,B,,,,"),
    ],
)
def test_v2_is_written(record: FlowRecord, tail: str) -> None:
    """As Azure's sample has it: four empty fields where there is nothing to count."""
    written = write_v2(record)
    assert written is not None
    assert written.endswith(tail)
    assert read_nsg(written, 2).access is record.access


def test_v2_has_no_letter_for_icmp() -> None:
    """It cannot be written, and is not made something else."""
    assert write_v2(PING) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        V4 + ",",
        V4.rpartition(",")[0],
        V4.replace("10.0.1.4", "10.0.1"),
        V4.replace("10.0.1.4", "fe80::1%eth0"),
        V4.replace("40000", "65536"),
        V4.replace("40000", "-1"),
        V4.replace("40000", "4e4"),
        V4.replace(",6,", ",256,"),
        V4.replace(",O,", ",X,"),
        V4.replace(",C,", ",A,"),
        V4.replace(",NX,", ",,"),
        V4.replace("1700000000123", "253402300800000"),
        V4.replace(",5200", f",{1 << 64}"),
        V4.replace("1700000000123", "\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
def test_what_is_no_v4_tuple(text: str) -> None:
    """It is refused, not guessed."""
    with pytest.raises(NotAFlowLogError):
        read_v4(text)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (V1, 2),
        (V2, 1),
        (V2.replace(",T,", ",I,"), 2),
        (V2.replace(",A,", ",X,"), 2),
        (V2.replace("A,C", "A,D"), 2),
        (V2.replace(",C,", ",,"), 2),
        # Milliseconds, which these versions do not have.
        (V2.replace("1700000000,", "1700000000123,"), 2),
    ],
)
def test_what_is_no_nsg_tuple(text: str, version: int) -> None:
    """A version's tuple is not another's."""
    with pytest.raises(NotAFlowLogError):
        read_nsg(text, version)
