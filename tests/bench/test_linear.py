"""The linear rulesets: the same rules in the same order, and every NIC in its maps."""

from __future__ import annotations

import re

import pytest

from nsgd.bench.linear import linear_ruleset
from nsgd.bench.policies import POLICIES, Size, group_rules, nic_addresses

SIZE = Size(100, 100)


def blocks(text: str) -> dict[str, list[str]]:
    """The lines of each chain, map and set, by its kind and name."""
    found = re.findall(r"^\t(\w+ \w+) \{\n(.*?)^\t\}$", text, re.MULTILINE | re.DOTALL)
    return {name: [line.strip() for line in body.splitlines()] for name, body in found}


@pytest.mark.parametrize("name", POLICIES)
def test_each_group_is_a_chain(name: str) -> None:
    """As many rules as the group has, each a match and a return, with the default rules behind."""
    found = blocks(linear_ruleset(name, SIZE))
    for side in ("client", "server"):
        for place in ("nic", "subnet"):
            *rules, allow_network, deny = found[f"chain {side}_{place}"]
            assert len(rules) == SIZE.rules
            assert all(rule.endswith(" return") and len(rule.split()) > 2 for rule in rules)
            assert len(set(rules)) == SIZE.rules
            assert (allow_network.endswith(" return"), deny) == (True, "drop")


def test_rules_are_in_their_order() -> None:
    """What a rule matches is what the document's rule of that priority has."""
    found = blocks(linear_ruleset("mixed", SIZE))
    words = {"Tcp": "tcp", "Udp": "udp", "*": "th"}
    expected = [
        f"ip saddr {rule['sourceAddressPrefix']} ip daddr {rule['destinationAddressPrefix']}"
        f" {words[rule['protocol']]} dport {rule['destinationPortRange']} return"
        for rule in group_rules("mixed", "server", SIZE)
    ]
    assert found["chain server_nic"][:-2] == expected


def test_lists_become_sets() -> None:
    """Members of all groups of a rule stand in one set; two rules with the same groups share it."""
    found = blocks(linear_ruleset("lists", SIZE))
    first, second = found["chain client_nic"][:2]
    assert "ip saddr @client_groups_1 " in first
    assert "ip saddr @client_groups_2 " in second
    assert "th dport { 1024-4023, 4024-7023 } return" in first
    sizes = [found[f"set client_groups_{count}"][1].count(".") // 3 for count in range(1, 11)]
    assert sizes == [5 * count for count in range(1, 11)]
    assert sum(name.startswith("set ") for name in found) == 20


def test_nics_are_found_by_a_map() -> None:
    """Each NIC once in the map of each direction, and the flow gets its mark in the end."""
    found = blocks(linear_ruleset("ports", SIZE))
    for direction in ("outbound", "inbound"):
        elements = found[f"map {direction}"][1]
        for side in ("client", "server"):
            assert elements.count(f" : jump {side}_{direction}") == len(nic_addresses(side, SIZE))
    hook, decided, *_, outbound, inbound, save = found["chain forward"]
    assert "hook forward" in hook
    assert "policy drop" in hook
    assert (decided, save) == (
        "ct mark and 0xffff != 0 accept",
        "ct mark set ct mark or 0x1 accept",
    )
    assert (outbound, inbound) == ("ip saddr vmap @outbound", "ip daddr vmap @inbound")
    assert found["chain client_outbound"] == ["jump client_nic", "jump client_subnet"]
    assert found["chain server_inbound"] == ["jump server_subnet", "jump server_nic"]
