"""The ruleset of a small model, as a worked example, and what its batch holds."""

from __future__ import annotations

from pathlib import Path

from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonSettings, UnmanagedTraffic
from nsgd.ruleset.batch import (
    DELCHAIN,
    DELRULE,
    DELSET,
    NEWCHAIN,
    NEWRULE,
    Present,
    replace_ruleset,
)
from nsgd.ruleset.chains import QueueRule
from nsgd.ruleset.gateway import BASE_CHAINS, gateway_ruleset
from nsgd.wire.netlink import split_attributes
from tests.models import SMALL

GOLDEN = Path(__file__).parent.parent / "golden" / "small-gateway.nft"


def test_golden_text() -> None:
    """The ruleset as text is what the golden file holds."""
    made = gateway_ruleset(
        SMALL, DaemonSettings(), QueueRule(9480, False), inward_links=("veth-stray",)
    )
    assert made.text() == (GOLDEN.read_text())


def test_unmanaged_traffic_can_be_dropped() -> None:
    """The last rule of the gateway chain follows the setting."""
    settings = DaemonSettings(unmanaged_traffic=UnmanagedTraffic.DROP)
    ruleset = gateway_ruleset(SMALL, settings, QueueRule(1, False))
    gateway = next(chain for chain in ruleset.chains if chain.name == "gateway")
    assert gateway.rules[-1].text() == 'counter name "unmanaged_dropped" drop'


def test_an_empty_model_has_the_same_base_chains() -> None:
    """Base chains are made once and never depend on the policy."""
    empty = gateway_ruleset(NetworkModel(), DaemonSettings(), QueueRule(1, True))
    assert empty.base_chains == BASE_CHAINS
    assert {base.target for base in BASE_CHAINS} <= {chain.name for chain in empty.chains}


def test_a_batch_never_deletes_a_base_chain_or_a_counter() -> None:
    """It empties rules, replaces sets, removes stale chains, and touches nothing else."""
    desired = gateway_ruleset(SMALL, DaemonSettings(), QueueRule(1, False))
    present = Present(frozenset({"links", "stale_set"}), frozenset({"gateway", "stale_chain"}))
    messages = replace_ruleset(desired, present, table_flags=6)
    deleted_chains = [split_attributes(body)[3] for kind, _, body in messages if kind == DELCHAIN]
    assert deleted_chains == [b"stale_chain\0"]
    deleted_sets = [split_attributes(body)[2] for kind, _, body in messages if kind == DELSET]
    assert deleted_sets == [b"links\0", b"stale_set\0"]
    kinds = [kind for kind, _, _ in messages]
    # Rules go before what they refer to, and come after it.
    assert kinds.index(DELRULE) < kinds.index(DELSET)
    assert max(i for i, kind in enumerate(kinds) if kind == NEWCHAIN) < kinds.index(NEWRULE)
