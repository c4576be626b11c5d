"""Details of a dumped flow; the kernel says only what it was told to keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.wire.conntrack_detail import FlowCounts, FlowDetail, parse_detail
from nsgd.wire.netlink import attribute, be32, be64, nested

NOTHING = FlowDetail(False, None, None, None, None)


def counts(kind: int, packets: int, octets: int) -> bytes:
    """An attribute of counters."""
    return nested(kind, be64(1, packets), be64(2, octets))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", NOTHING),
        (be32(3, 2), FlowDetail(True, None, None, None, None)),
        (be32(3, 8), NOTHING),  # confirmed, and not answered
        (nested(4, nested(1, attribute(1, b"\3"))), FlowDetail(False, "ESTABLISHED", *[None] * 3)),
        (nested(4, nested(1, attribute(1, b"\x0a"))), NOTHING),  # no state that we know
        (be32(7, 431_999), FlowDetail(False, None, 431_999, None, None)),
        (
            counts(9, 3, 180) + counts(10, 2, 120),
            FlowDetail(False, None, None, FlowCounts(3, 180, 2, 120), None),
        ),
        (counts(9, 3, 180), NOTHING),
        (nested(20, be64(1, 1_700)), FlowDetail(False, None, None, None, 1_700)),
        (attribute(7, b"\1\2"), NOTHING),  # shorter than it must be
    ],
)
def test_parse_detail(payload: bytes, expected: FlowDetail) -> None:
    """What is absent or malformed is not known, and nothing else suffers."""
    assert parse_detail(payload) == expected


@given(st.binary(max_size=200))
def test_any_bytes(payload: bytes) -> None:
    """Never an error."""
    parse_detail(payload)
