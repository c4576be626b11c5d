"""Open flows by rule, from marks, counted no oftener than is cheap."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import ADOPTED, NO_TABLE, MarkLayout
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.open_flow_count import OpenFlowCount
from nsgd.runtime.open_flows import RefusedByKernel

from .test_policy_in_force import document


class Kernel:
    """A clock, and a table that takes its time."""

    def __init__(self, marks: Mapping[int, int]) -> None:
        self.marks: Mapping[int, int] | None = marks
        self.now_s = 1000.0
        self.takes_s = self.used_s = 0.0
        self.reads = 0

    def count(self) -> OpenFlowCount:
        """That of this table."""
        return OpenFlowCount(self.read, lambda: self.now_s, lambda: self.used_s)

    def read(self) -> Mapping[int, int]:
        """As KernelFlows.marks()."""
        self.reads += 1
        self.used_s += self.takes_s
        if self.marks is None:
            raise RefusedByKernel("no")
        return self.marks


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedPolicy:
    """One rule."""
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(document("Allow")))
    return load_policy([file], DecisionNumbers(), None)


def test_by_rule(loaded: LoadedPolicy) -> None:
    """Each side of a flow by its rule; cut, undecided and others' marks are no open flows."""
    layout = MarkLayout(loaded.settings.mark_mask)
    ((identity, number),) = (
        item
        for item in loaded.numbers.by_direction[Direction.INBOUND].items()
        if item[0][2] is Access.ALLOW and item[0][1] not in ("AllowVnetInBound",)
        if "Azure" not in item[0][1]
    )
    group, rule, access = identity
    kernel = Kernel(
        {
            layout.outbound(NO_TABLE) | layout.inbound(number): 5,
            layout.outbound(NO_TABLE) | layout.inbound(number) | 0x4000: 2,
            layout.outbound(ADOPTED) | layout.inbound(ADOPTED): 3,
            layout.cut: 7,
            0: 9,
            0x4000: 11,
        }
    )
    count = kernel.count().get(loaded)
    assert count is not None
    assert count.flows == 10
    assert count.by_rule == {(group, Direction.INBOUND, rule, access): 7}


def test_a_count_is_good_for_a_while(loaded: LoadedPolicy) -> None:
    """For fifty times what it took, and a second at least."""
    kernel = Kernel({})
    count = kernel.count()
    for _ in range(3):
        count.get(loaded)
    assert kernel.reads == 1
    kernel.now_s += 1.0
    kernel.takes_s = 2.0
    count.get(loaded)
    kernel.now_s += 99.0
    count.get(loaded)
    assert kernel.reads == 2
    kernel.now_s += 1.0
    count.get(loaded)
    assert kernel.reads == 3


def test_a_table_that_cannot_be_read(
    loaded: LoadedPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    """Is no table without flows; it is tried again."""
    kernel = Kernel({})
    count = kernel.count()
    kernel.marks = None
    assert count.get(loaded) is None
    assert "open flows are not counted: no" in caplog.text
    kernel.marks = {}
    kernel.now_s += 1.0
    found = count.get(loaded)
    assert found is not None
    assert found.flows == 0
