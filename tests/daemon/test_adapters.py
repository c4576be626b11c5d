"""What the kernel lacks is said in the words of the documents, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from nsgd.daemon.adapters import GatewayTable
from nsgd.kernel.table import NftTable
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.commands import NEWOBJ, Message
from nsgd.ruleset.objects import Ruleset
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.open_flows import RefusedByKernel


class Kernel:
    """In the place of a table: a kernel without timeouts of flows, or with."""

    epoch_letter = "a"

    def __init__(self, *, has_timeouts: bool) -> None:
        self.has_timeouts = has_timeouts
        self.trials = 0
        self.written: Ruleset | None = None

    def has_queue_statement(self) -> bool:
        return True

    def takes(self, probe: Iterable[Message]) -> bool:
        assert any(command == NEWOBJ for command, _, _ in probe)
        self.trials += 1
        return self.has_timeouts

    def epoch(self) -> str:
        return "a"

    def apply(self, desired: Ruleset, before_switch: Callable[[], None]) -> bool:
        self.written = desired
        return True


def loaded(directory: Path, **fields: Any) -> LoadedPolicy:
    """A policy of one network with these fields."""
    path = directory / "policy.yaml"
    more = "".join(f", {name}: {value}" for name, value in fields.items())
    path.write_text(f"virtualNetworks: [{{name: lab, addressSpace: [10.0.0.0/16]{more}}}]\n")
    return load_policy([path], DecisionNumbers(), None)


@pytest.mark.parametrize("has_timeouts", [False, True])
def test_idle_timeouts_that_the_kernel_lacks(tmp_path: Path, has_timeouts: bool) -> None:
    """Refused with the field's name and the way out; asked once, and only where they are wanted."""
    kernel = Kernel(has_timeouts=has_timeouts)
    table = GatewayTable(cast(NftTable, kernel))
    table.install(loaded(tmp_path), is_served=False)
    assert kernel.trials == 0
    asking = loaded(tmp_path, flowTimeoutInMinutes=10)
    before = kernel.written
    for _ in range(2):
        if has_timeouts:
            table.install(asking, is_served=False)
        else:
            with pytest.raises(RefusedByKernel, match=r"flowTimeoutInMinutes: .*remove it"):
                table.install(asking, is_served=False)
    assert (kernel.written is before) is not has_timeouts
    assert kernel.trials == (1 if has_timeouts else 2)
