"""Two numbers share a mark without touching each other or anybody else's bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.model.settings import DEFAULT_MARK_MASK
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, NO_TABLE, MarkLayout

masks = st.sets(st.integers(0, 31), min_size=24).map(lambda bits: sum(1 << bit for bit in bits))


def test_default_mask_numbers_twenty_thousand_rules_a_side() -> None:
    """The size that the first ADR promises."""
    layout = MarkLayout(DEFAULT_MARK_MASK)
    assert layout.capacity - FIRST_RULE_NUMBER == 32_736
    assert DEFAULT_MARK_MASK & 0xC000 == 0


@given(masks, st.data())
def test_numbers_come_back(mask: int, data: st.DataObject) -> None:
    """What is written is read, within the mask, whatever the other bits hold."""
    layout = MarkLayout(mask)
    outbound = data.draw(st.integers(0, layout.capacity - 1))
    inbound = data.draw(st.integers(0, layout.capacity - 1))
    others = data.draw(st.integers(0, 0xFFFFFFFF)) & ~mask
    mark = layout.outbound(outbound) | layout.inbound(inbound)
    assert mark & ~mask == 0
    assert layout.numbers(mark | others) == (outbound, inbound)


@given(masks, st.data())
def test_decisions_and_requests_are_told_apart(mask: int, data: st.DataObject) -> None:
    """Every number from NO_TABLE on shows in the decided bits; no request does."""
    layout = MarkLayout(mask)
    number = data.draw(st.integers(NO_TABLE, layout.capacity - 1))
    assert layout.outbound(number) & layout.outbound_decided
    assert layout.inbound(number) & layout.inbound_decided
    requests = (layout.is_reply, layout.is_open, layout.is_decided, layout.is_each)
    assert len(set(requests)) == 4
    assert not sum(requests) & (layout.outbound_decided | layout.inbound_decided)
    assert sum(requests) & ~mask == 0


@pytest.mark.parametrize("mask", [0, 0xFF, 0x007FFFFF, 0x1FFFFFFFF])
def test_narrow_masks_are_refused(mask: int) -> None:
    """23 bits are too few, 33 too many."""
    with pytest.raises(ValueError, match="24 of 32 bits"):
        MarkLayout(mask)


def test_a_number_beyond_the_capacity_is_refused() -> None:
    """It would spill into somebody else's bits."""
    layout = MarkLayout(0x00FFFFFF)
    assert layout.outbound(4095) == 0xFFF
    with pytest.raises(ValueError, match="4096"):
        layout.outbound(4096)


@given(masks, st.data())
def test_a_cut_flow_has_no_decision(mask: int, data: st.DataObject) -> None:
    """Nor is any decision, or any other tool's bit, taken for a cut."""
    layout = MarkLayout(mask)
    others = data.draw(st.integers(0, 0xFFFFFFFF)) & ~mask
    assert layout.cut & ~mask == 0
    assert not layout.is_decision(layout.cut | others)
    numbers = st.integers(NO_TABLE, layout.capacity - 1)
    mark = layout.outbound(data.draw(numbers)) | layout.inbound(data.draw(numbers))
    assert layout.is_decision(mark | others)
    assert mark != layout.cut
    assert layout.cut.bit_count() > 1
