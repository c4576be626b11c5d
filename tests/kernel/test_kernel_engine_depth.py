"""The kernel loads the policy with the longest way, and refuses one level more."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nsgd.kernel.error import KernelError
from nsgd.kernel.table import NftTable
from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.ruleset.objects import Chain, NftRule, Ruleset
from nsgd.ruleset.statements import Goto
from tests.ruleset.deepest import deepest_policy
from tests.ruleset.nft_simulator import MOST_LEVELS
from tests.ruleset.policies import Daemon, worst_policy


@pytest.fixture
def namespace() -> Iterator[NetworkNamespace]:
    """An empty one."""
    with Lab() as lab:
        yield lab.namespace("gateway")


def listed(namespace: NetworkNamespace) -> str:
    """The whole table as nft reads it."""
    return namespace.run(["nft", "list", "table", "inet", "nsgd"]).stdout


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_the_longest_way_loads(namespace: NetworkNamespace, mode: str) -> None:
    """And changes, in both modes; nothing else can."""
    daemon = Daemon()
    table = namespace.call(NftTable)
    with table:
        assert table.apply(daemon.load(worst_policy(mode), table.epoch()))
        assert "chain nsg/nic/in4 {" in listed(namespace)
        assert not table.apply(daemon.load(worst_policy(mode), table.epoch()))
        other = worst_policy("audit" if mode == "enforce" else "enforce", rules=300)
        assert table.apply(daemon.load(other, table.epoch()))
        table.tidy()
        assert table.present().sets == {
            each.name for each in daemon.load(other, table.epoch()).whole().sets
        }
        assert table.apply(daemon.load(deepest_policy(mode), table.epoch()))
        table.tidy()


def ladder(levels: int) -> Ruleset:
    """A hook, and a way of so many steps below it."""
    whole = Daemon().load({**worst_policy("enforce", rules=1), "daemon": {"engine": "queue"}})
    steps = [
        Chain(f"step{number}", (NftRule((Goto(f"step{number + 1}"),)),) if number < levels else ())
        for number in range(1, levels + 1)
    ]
    hooks = {base.name for base in whole.base_chains}
    first = (NftRule((Goto("step1"),)),)
    chains = [Chain(name, first if name == "hook_output" else ()) for name in sorted(hooks)]
    return replace(whole, sets=(), chains=(*chains, *steps))


def test_the_kernel_counts_as_the_model_of_it_does(namespace: NetworkNamespace) -> None:
    """One step more than the pure tests allow is refused."""
    table = namespace.call(NftTable)
    with table:
        assert table.apply(ladder(MOST_LEVELS))
        with pytest.raises(KernelError) as refused:
            table.apply(ladder(MOST_LEVELS + 1))
        assert refused.value.number == errno.EMLINK
