"""The kernel engine after refused changes, with the longest names, and in a table of nobody."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from nsgd.kernel.error import KernelError
from nsgd.kernel.table import NftTable
from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.ruleset.written import Present
from tests.kernel.documents import document, nic, subnet
from tests.kernel.network import Network
from tests.kernel.test_kernel_engine import ALLOW_53, with_hosts
from tests.kernel.test_kernel_engine_depth import ladder
from tests.ruleset.nft_simulator import MOST_LEVELS


@pytest.fixture
def namespace() -> Iterator[NetworkNamespace]:
    """An empty one."""
    with Lab() as lab:
        yield lab.namespace("gateway")


def test_a_refused_change_leaves_nothing(namespace: NetworkNamespace) -> None:
    """NftTable promises: "the kernel's content is then what it was before"."""
    with namespace.call(NftTable) as table:
        table.apply(ladder(MOST_LEVELS))
        before = table.present()
        with pytest.raises(KernelError):
            table.apply(ladder(MOST_LEVELS + 1))
        table.tidy()
        assert table.present() == before


class NotServedError(Exception):
    """What was waited for did not come."""


def not_served() -> None:
    raise NotServedError


@pytest.mark.parametrize("levels", [MOST_LEVELS, MOST_LEVELS + 1], ids=["not served", "refused"])
def test_a_first_ruleset_that_fails_leaves_nothing(
    namespace: NetworkNamespace, levels: int
) -> None:
    """Neither where there was no table nor beside what an earlier daemon has left."""
    with namespace.call(NftTable) as table:
        with pytest.raises((NotServedError, KernelError)):
            table.apply(ladder(levels), not_served if levels == MOST_LEVELS else lambda: None)
        assert not table.remove()
    with namespace.call(NftTable) as earlier:
        earlier.apply(ladder(2))
        before = earlier.present()
    with namespace.call(NftTable) as table:
        with pytest.raises((NotServedError, KernelError)):
            table.apply(ladder(levels), not_served if levels == MOST_LEVELS else lambda: None)
        assert table.present() == before


def test_rules_change_when_nothing_is_waited_for_any_more(namespace: NetworkNamespace) -> None:
    """At the first ruleset what is new has been written by then, and no packet meets it."""
    seen = []
    with namespace.call(NftTable) as table:
        other = namespace.call(NftTable)
        with other:
            table.apply(ladder(2), lambda: seen.append(other.present()))
            first = other.present()
            assert seen[0].chains == first.chains
            table.apply(ladder(3), lambda: seen.append(other.present()))
    assert [bool(each.base_chains) for each in seen] == [False, True]
    assert seen[1] == first


def test_nothing_comes_before_a_switch_that_cannot_come(namespace: NetworkNamespace) -> None:
    """No number is saved and no flow adopted for rules of which the kernel refuses a part."""
    calls: list[Present] = []
    with namespace.call(NftTable) as owner, namespace.call(NftTable) as table:
        owner.apply(ladder(2))
        before = owner.present()
        with pytest.raises(KernelError):
            table.apply(ladder(2), lambda: calls.append(owner.present()))
        assert owner.present() == before
    assert not calls


def test_a_kernel_without_owners_is_asked_again_before_anything_else(
    namespace: NetworkNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is beside the rules by then, and what comes before the switch comes once."""
    monkeypatch.setattr("nsgd.kernel.table._OWNED", 1 << 30)
    seen: list[Present] = []
    with namespace.call(NftTable) as table, namespace.call(NftTable) as other:
        table.apply(ladder(2), lambda: seen.append(other.present()))
        assert other.present().base_chains
    assert seen == [Present()]


def policy(subnet_group: str, nic_group: str) -> dict[str, Any]:
    """A NIC and its subnet with a group each, in resource groups."""
    made = document(
        [subnet("one", 1, subnet_group)],
        [nic("server", "one", 4, 1, networkSecurityGroup=nic_group)],
        {subnet_group: [ALLOW_53], nic_group: [ALLOW_53]},
    )
    return made | {"daemon": {"engine": "kernel"}}


def test_the_longest_names_of_resource_groups_load(net: Network) -> None:
    """Azure allows parentheses in them, 90 characters."""
    with_hosts(net).start(policy("(" * 90 + "/web", ")" * 90 + "/nic"))
    assert net.udp("internet", "server", 53)


def test_profiles_of_groups_in_resource_groups_say_which(net: Network) -> None:
    """Who lists the table can tell them apart."""
    with_hosts(net).start(policy("rg/web", "rg/nic"))
    listed = net.gateway.run(["nft", "list", "chains"]).stdout
    assert "web" in listed.partition("chain to4/")[2].partition("{")[0]


@pytest.mark.parametrize(
    "verdict", ["accept", "jump nsg/web/in4", "drop"], ids=["accept", "jump", "drop"]
)
def test_a_foreign_base_chain_in_a_table_that_nobody_owns(net: Network, verdict: str) -> None:
    """It is removed with what it does."""
    with_hosts(net)
    original = net._nsgd

    def unowned(verb: str, *arguments: str) -> list[str]:
        if verb != "run":
            return original(verb, *arguments)
        code = (
            "import sys, nsgd.kernel.table as table\n"
            "table._OWNED = 0\n"
            "from nsgd.cli import main\n"
            "sys.exit(main())"
        )
        return [sys.executable, "-P", "-c", code, verb, *arguments]

    net._nsgd = unowned  # type: ignore[method-assign]
    made = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": [ALLOW_53]})
    net.start(made | {"daemon": {"engine": "kernel"}})
    text = "add chain inet nsgd evil { type filter hook forward priority 5; }"
    net.gateway.run(["nft", f"{text}; add rule inet nsgd evil {verdict}"])
    net.wait(lambda: net.status()["table"]["repaired"] == 1, "not noticed")
    listed = json.loads(net.gateway.run(["nft", "-j", "list", "table", "inet", "nsgd"]).stdout)
    rules = [each["rule"] for each in listed["nftables"] if "rule" in each]
    assert not [each for each in rules if each["chain"] == "evil"]
    assert net.udp("internet", "server", 53)
