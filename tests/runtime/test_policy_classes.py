"""Classes that are taken over from the policy before are those that would be made anew."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.policy.compile import Compiled, compile_after
from nsgd.runtime import policy_classes
from nsgd.runtime.policy_classes import PolicyClassesMaker
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


@pytest.mark.parametrize(
    ("changes", "made_again"),
    [
        ({"sourcePortRange": "1000-2000"}, {"source ports"}),
        ({"destinationPortRange": "8443"}, {"destination ports"}),
        ({"protocol": "*"}, {"destination ports"}),
        ({"sourceAddressPrefix": "10.8.0.0/16"}, {"addresses"}),
        ({"access": "Deny"}, set()),
        ({"name": "Another"}, set()),
    ],
)
def test_what_a_change_leaves_is_not_made_again(
    changes: dict[str, object], made_again: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all is as if it were."""
    maker = PolicyClassesMaker()
    before = compiled(None)
    maker.of(before.policy)
    after = compiled(before, changes)
    anew = PolicyClassesMaker().of(after.policy)
    made: set[str] = set()

    def telling(name: str, what: str) -> None:
        make = getattr(policy_classes, name)

        def tell(*arguments: object) -> object:
            made.add(what)
            return make(*arguments)

        monkeypatch.setattr(policy_classes, name, tell)

    telling("_address_classes", "addresses")
    telling("_port_classes", "source ports")
    telling("_destination_port_classes", "destination ports")
    assert maker.of(after.policy) == anew
    assert made == made_again


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
