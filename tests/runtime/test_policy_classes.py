"""Classes that are taken over from the policy before tell apart what those made anew would."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import replace
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.policy.compile import Compiled, compile_after
from nsgd.runtime import policy_classes
from nsgd.runtime.policy_classes import PolicyClasses, PolicyClassesMaker
from tests.oracle.choose import RandomChooser, pick
from tests.oracle.generate import random_case

RULE = {
    "name": "Some",
    "priority": 100,
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "sourceAddressPrefix": "10.9.0.0/16",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "443",
}


def compiled(
    before: Compiled | None, changes: dict[str, object] | None = None, *, links: bool = False
) -> Compiled:
    """A policy of two groups, of which one has a rule with *changes*."""
    document: dict[str, Any] = {
        "virtualNetworks": [
            {
                "name": "v",
                "addressSpace": ["10.0.0.0/8"],
                "subnets": [{"name": "s", "addressPrefixes": ["10.0.0.0/24"]}],
            }
        ],
        "networkInterfaces": [
            {
                "name": f"n{number}",
                "subnet": "v/s",
                "privateIPAddresses": [f"10.0.0.{number + 4}"],
                "networkSecurityGroup": f"g{number}",
                **({"link": f"eth{number}"} if links else {}),
            }
            for number in range(2)
        ],
        "networkSecurityGroups": [
            {"name": "g0", "securityRules": [RULE | (changes or {})]},
            {"name": "g1", "securityRules": [RULE | {"destinationPortRange": "80"}]},
        ],
    }
    model = load_documents([Document("policy.json", json.dumps(document).encode())]).model
    if before is not None and not links:
        # As the loader does it: what is the same is the same object.
        same = before.model
        model = replace(
            model,
            virtual_networks=same.virtual_networks,
            network_interfaces=same.network_interfaces,
        )
    return compile_after(before, model)


def tells_apart(classes: PolicyClasses, others: PolicyClasses) -> bool:
    """Whether values of one class are so in the others too."""
    for version, (starts, of_start) in classes.addresses.items():
        other_starts, other = others.addresses[version]
        places = sorted({*starts, *other_starts})
        pairs = {
            (of_start[bisect_right(starts, at) - 1], other[bisect_right(other_starts, at) - 1])
            for at in places
        }
        if len(pairs) != len(set(of_start)):
            return False
    # A port of UDP may be of the class of one of TCP.
    ports = zip(
        (*classes.tcp_ports, *classes.udp_ports),
        (*others.tcp_ports, *others.udp_ports),
        strict=True,
    )
    sources = set(zip(classes.source_ports, others.source_ports, strict=True))
    return (
        len(set(ports)) == len({*classes.tcp_ports, *classes.udp_ports})
        and len(sources) == len(set(classes.source_ports))
        and classes.links == others.links
    )


@pytest.mark.parametrize(
    ("changes", "others"),
    [
        ({"sourcePortRange": "1000-2000"}, {"source_ports"}),
        ({"destinationPortRange": "8443"}, {"tcp_ports", "udp_ports"}),
        ({"destinationPortRanges": ["1-70", "80-443", "500"]}, {"tcp_ports", "udp_ports"}),
        ({"protocol": "*"}, {"tcp_ports", "udp_ports"}),
        ({"sourceAddressPrefix": "10.8.0.0/16"}, {"addresses"}),
        ({"destinationAddressPrefixes": ["10.0.0.0/31", "10.0.0.5", "11.0.0.0/8"]}, {"addresses"}),
        ({"sourceAddressPrefix": "2001:db8::/32"}, {"addresses"}),
        ({"sourceAddressPrefix": "*", "destinationPortRange": "80"}, set()),
        ({"access": "Deny"}, set()),
        ({"name": "Another"}, set()),
    ],
)
def test_what_a_change_leaves_is_taken_over(changes: dict[str, object], others: set[str]) -> None:
    """And nothing is taken for alike that would not be if all were made anew."""
    maker = PolicyClassesMaker()
    before = compiled(None)
    known = maker.of(before.policy)
    for each in ("sourcePortRange", "destinationPortRange", "destinationAddressPrefix"):
        if f"{each}s" in changes or f"{each}es" in changes:
            changes = changes | {each: None}
    after = compiled(before, changes)
    made = maker.of(after.policy)
    names = ("addresses", "links", "source_ports", "tcp_ports", "udp_ports")
    assert {n for n in names if getattr(made, n) is not getattr(known, n)} == others
    assert maker.added is not None
    assert tells_apart(made, PolicyClassesMaker().of(after.policy))
    # What is gone may be told apart still, and need not.
    again = maker.of(before.policy)
    assert all(getattr(again, name) is getattr(made, name) for name in names)
    assert tells_apart(again, PolicyClassesMaker().of(before.policy))


def test_many_changes_after_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is gone not much is kept: now and then all is made anew."""
    monkeypatch.setattr(policy_classes, "_MOST_SPARE", 6)
    chooser = RandomChooser("refined")
    maker = PolicyClassesMaker()
    before = compiled(None)
    maker.of(before.policy)
    made_anew = 0
    for _ in range(60):
        first, last = sorted((chooser.integer(65535), chooser.integer(65535)))
        key = pick(chooser, ("sourcePortRange", "destinationPortRange"))
        prefix = f"10.{chooser.integer(255)}.0.0/{16 + chooser.integer(3)}"
        others: dict[str, object] = {
            key: f"{first}-{last}",
            "sourceAddressPrefix": pick(chooser, ("*", f"{prefix[:-3]}/16", "10.0.0.5", "::/0")),
            "protocol": pick(chooser, ("Tcp", "Udp", "*")),
        }
        before = compiled(before, others)
        made = maker.of(before.policy)
        anew = PolicyClassesMaker().of(before.policy)
        made_anew += maker.added is None
        assert tells_apart(made, anew)
        assert max(made.source_ports) <= max(anew.source_ports) + 6
    assert 3 < made_anew < 40


def test_more_ranges_than_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is made anew."""
    monkeypatch.setattr(policy_classes, "_MOST_RANGES", 1)
    maker = PolicyClassesMaker()
    before = compiled(None)
    maker.of(before.policy)
    after = compiled(before, {"sourcePortRange": None, "sourcePortRanges": ["1-2", "5-6"]})
    assert maker.of(after.policy) == PolicyClassesMaker().of(after.policy)
    assert maker.added is None


def test_links_and_random_policies_after_one_another() -> None:
    """Where the endpoints are others nothing is taken over."""
    maker = PolicyClassesMaker()
    before = compiled(None)
    for policy in (before.policy, compiled(before, links=True).policy, before.policy):
        assert maker.of(policy) == PolicyClassesMaker().of(policy)
    for seed in range(20):
        policy = compile_after(None, load_documents(random_documents(seed)).model).policy
        assert maker.of(policy) == PolicyClassesMaker().of(policy)


def random_documents(seed: int) -> list[Document]:
    """The documents of a random case."""
    return [Document("random.json", json.dumps(random_case(f"classes:{seed}", 1)[0]).encode())]
