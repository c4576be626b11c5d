"""Slots of network interfaces: kept as long as the interface is declared, then another's."""

from __future__ import annotations

import pytest

from nsgd.runtime import nic_slots
from nsgd.runtime.nic_slots import NicSlots


def test_an_interface_keeps_its_slot() -> None:
    """Whatever comes and goes beside it, in whatever order."""
    slots, cleared = NicSlots(), list[int]()
    assert slots.give(["a", "b"], cleared.append) == [1, 2]
    assert slots.give(["c", "b"], cleared.append) == [3, 2]
    assert slots.give(["b"], cleared.append) == [2]
    assert slots.by_name == {"b": 2}
    assert cleared == []


def test_a_slot_is_another_s_only_after_the_worker_has_left_it() -> None:
    """By the policy that first has an interface no more, the worker before may still count."""
    slots, cleared = NicSlots(), list[int]()
    slots.give(["a", "b"], cleared.append)
    assert slots.give(["b", "c"], cleared.append) == [2, 3]
    assert cleared == []
    assert slots.give(["b", "c", "d"], cleared.append) == [2, 3, 1]
    assert cleared == [1]
    assert slots.give([], cleared.append) == []
    assert sorted(slots.give(["d", "e", "f", "g"], cleared.append)) == [1, 2, 3, 4]
    assert sorted(cleared) == [1, 1, 2, 3]


def test_more_interfaces_than_slots(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those beyond are not counted, which is said once, and counted where others leave."""
    monkeypatch.setattr(nic_slots, "MOST_NICS", 3)
    slots = NicSlots()
    for _ in range(2):
        assert slots.give(["a", "b", "c"], lambda slot: None) == [1, 2, 0]
    assert slots.by_name == {"a": 1, "b": 2}
    assert caplog.text.count("1 network interfaces have no counters: room for 3") == 1
    slots.give(["b", "c"], lambda slot: None)
    assert slots.give(["b", "c"], lambda slot: None) == [2, 1]
