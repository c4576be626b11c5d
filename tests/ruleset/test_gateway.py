"""The ruleset of a small model, as a worked example, and what its batch holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonRole, DaemonSettings, UnmanagedTraffic
from nsgd.ruleset.commands import (
    DELCHAIN,
    DELOBJ,
    DELRULE,
    DELSET,
    NEWCHAIN,
    NEWOBJ,
    NEWRULE,
    NEWSET,
    NEWSETELEM,
    NEWTABLE,
)
from nsgd.ruleset.gateway import BASE_CHAINS, gateway_ruleset
from nsgd.ruleset.queues import QueueRule
from nsgd.ruleset.replace import replace_ruleset
from nsgd.ruleset.written import Present
from nsgd.wire.netlink import split_attributes
from tests.models import SMALL

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("gateway", {DaemonRole.GATEWAY}),
        ("host", {DaemonRole.HOST}),
        ("gateway-and-host", {*DaemonRole}),
    ],
)
def test_golden_text(name: str, roles: set[DaemonRole]) -> None:
    """The ruleset as text is what the golden file holds."""
    made = gateway_ruleset(
        SMALL,
        DaemonSettings(roles=frozenset(roles)),
        QueueRule(9480, False),
        inward_links=("veth-stray",),
    )
    assert made.text() == (GOLDEN / f"small-{name}.nft").read_text()


def test_unmanaged_traffic_can_be_dropped() -> None:
    """The last rule of the gateway chain follows the setting."""
    settings = DaemonSettings(unmanaged_traffic=UnmanagedTraffic.DROP)
    ruleset = gateway_ruleset(SMALL, settings, QueueRule(1, False))
    gateway = next(chain for chain in ruleset.chains if chain.name == "hook_forward")
    assert gateway.rules[-1].text() == 'counter name "unmanaged_dropped" drop'


def test_an_empty_model_has_the_same_base_chains() -> None:
    """Base chains are made once and never depend on the policy, nor on the roles."""
    for roles in ({DaemonRole.GATEWAY}, {DaemonRole.HOST}, {*DaemonRole}):
        settings = DaemonSettings(roles=frozenset(roles))
        empty = gateway_ruleset(NetworkModel(), settings, QueueRule(1, True))
        assert empty.base_chains == BASE_CHAINS
        assert {base.name for base in BASE_CHAINS} <= {chain.name for chain in empty.chains}


def test_a_batch_never_deletes_a_base_chain_or_a_counter() -> None:
    """It puts new sets beside the old, refills chains, and then removes what is stale."""
    desired = gateway_ruleset(SMALL, DaemonSettings(), QueueRule(1, False), epoch="b")
    present = Present(
        frozenset({"links.a", "stale_set"}),
        frozenset({"managed", "stale_chain"}),
        counters=frozenset({"queued", "deny/old/in/Gone", "nic/gone/in/deny"}),
    )
    change = replace_ruleset(desired, present, table_flags=6)
    prepare, switch, clean = list(change.prepare), list(change.switch), list(change.clean)
    everything = [*prepare, *switch, *clean]
    deleted = {
        kind: [split_attributes(body)[at] for command, _, body in everything if command == kind]
        for kind, at in ((DELCHAIN, 3), (DELSET, 2), (DELOBJ, 2))
    }
    assert deleted == {
        DELCHAIN: [b"stale_chain\0"],
        DELSET: [b"links.a\0", b"stale_set\0"],
        DELOBJ: [],  # of interfaces, nsgd.kernel.table ends them with what they have counted
    }
    # Nothing is deleted before the rules have changed over, nor refilled before all is there.
    assert {kind for kind, _, _ in prepare} == {
        NEWTABLE,
        NEWCHAIN,
        NEWOBJ,
        NEWSET,
        NEWSETELEM,
        NEWRULE,
    }
    assert {kind for kind, _, _ in switch} == {NEWCHAIN, DELRULE, NEWRULE}
    filled = [split_attributes(body)[2] for kind, _, body in prepare if kind == NEWRULE]
    assert b"managed\0" not in filled
