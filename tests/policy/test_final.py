"""Tables that say more than allow and deny: silent matches, and an Allow that settles a side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nsgd.model.decision import Decision, Reason
from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.rule import Access, Direction, Protocol
from nsgd.policy.address_set import ALL_ADDRESSES
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.effective import ALL_PORT_RANGES, EffectiveSecurityRule
from nsgd.policy.endpoints import Endpoint
from nsgd.policy.evaluate import decide
from nsgd.policy.table import CompiledTable, compile_table
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    group,
    nic,
    packet,
    prefixes,
    rule,
    subnet,
)


def ahead(direction: Direction) -> CompiledTable:
    """Port 1 is denied, 2 allowed as by a group, 3 allowed finally; nothing is said of others."""

    def on(port: int, name: str, access: Access, is_final: bool = False) -> EffectiveSecurityRule:
        return replace(
            last,
            name=name,
            access=access,
            destination_ports=((port, port),),
            is_final=is_final,
            is_silent=False,
            protocol=Protocol.TCP,
        )

    last = EffectiveSecurityRule(
        "silent",
        0,
        ALLOW,
        Protocol.ANY,
        ALL_ADDRESSES,
        ALL_PORT_RANGES,
        ALL_ADDRESSES,
        ALL_PORT_RANGES,
        is_silent=True,
    )
    rules = (on(1, "no", DENY), on(2, "go-on", ALLOW), on(3, "always", ALLOW, True), last)
    return compile_table("admin", direction, rules)


def policy_with(direction: Direction) -> CompiledPolicy:
    """Two NICs whose groups deny ports 1 to 9 inbound and outbound, and that table ahead."""
    denials = tuple(
        rule(f"deny-{way.value}", 100, way, DENY, "Tcp", ports="1-4") for way in Direction
    )
    policy = compile_policy(
        NetworkModel(
            (
                VirtualNetwork(
                    "vnet", prefixes("10.0.0.0/16"), (subnet("s", "10.0.0.0/24", "sub"),)
                ),
            ),
            (nic("a", "10.0.0.4", "s", "nic"), nic("b", "10.0.0.5", "s", "nic")),
            (group("nic", *denials), group("sub")),
        )
    )
    index = len(policy.tables)

    def with_table(endpoint: Endpoint) -> Endpoint:
        if direction is OUTBOUND:
            return replace(endpoint, outbound=(index, *endpoint.outbound))
        return replace(endpoint, inbound=(index, *endpoint.inbound))

    endpoints = tuple(with_table(each) for each in policy.endpoint_map.endpoints)
    return CompiledPolicy(
        (*policy.tables, ahead(direction)), replace(policy.endpoint_map, endpoints=endpoints)
    )


def path(decision: Decision) -> list[tuple[str, str]]:
    return [(each.network_security_group, each.rule) for each in decision.consulted]


@pytest.mark.parametrize(
    ("direction", "port", "access", "consulted"),
    [
        (OUTBOUND, 1, DENY, [("admin", "no")]),
        (OUTBOUND, 2, DENY, [("admin", "go-on"), ("nic", "deny-Outbound")]),
        # Only the sender's groups are passed over: the receiver's answer for themselves.
        (
            OUTBOUND,
            3,
            DENY,
            [("admin", "always"), ("sub", "AllowVnetInBound"), ("nic", "deny-Inbound")],
        ),
        (OUTBOUND, 4, DENY, [("nic", "deny-Outbound")]),
        (INBOUND, 4, DENY, [("nic", "deny-Outbound")]),
    ],
)
def test_between_two_machines(
    direction: Direction, port: int, access: Access, consulted: list[tuple[str, str]]
) -> None:
    """Sender's tables, then the receiver's."""
    decision = decide(policy_with(direction), packet("10.0.0.4", "10.0.0.5", port), None, None)
    assert (decision.access, path(decision)) == (access, consulted)


@pytest.mark.parametrize(
    ("port", "access", "consulted"),
    [
        (1, DENY, [("admin", "no")]),
        (2, DENY, [("admin", "go-on"), ("sub", "DenyAllInBound")]),
        (3, ALLOW, [("admin", "always")]),
        (4, DENY, [("sub", "DenyAllInBound")]),
    ],
)
def test_inbound_from_outside(port: int, access: Access, consulted: list[tuple[str, str]]) -> None:
    """A final Allow delivers what the groups would deny."""
    decision = decide(policy_with(INBOUND), packet("203.0.113.7", "10.0.0.4", port), None, None)
    assert (decision.access, decision.reason) == (access, Reason.RULE)
    assert path(decision) == consulted
