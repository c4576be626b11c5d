"""Checks of the host role, by facts on both sides of their edges."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from nsgd.doctor.check import State
from nsgd.doctor.facts import Policy
from nsgd.kernel.probe import BaseChainSeen
from nsgd.model.address import Address, PortRange
from nsgd.model.rule import Protocol
from nsgd.model.settings import DaemonRole, DaemonSettings, Engine, Failsafe
from tests.doctor.facts import HEALTHY, NFTABLES, POLICY, check, nftables, sysctls

OK, UNKNOWN, WARNING, PROBLEM = State.OK, State.UNKNOWN, State.WARNING, State.PROBLEM
GATEWAY, HOST = DaemonRole.GATEWAY, DaemonRole.HOST
FAILSAFE = (Failsafe(Protocol.TCP, (PortRange(22, 22),)),)
WEB1, WEB2 = "10.0.1.4", "10.0.1.5"  # of NICs with a link and without


def policy(*roles: DaemonRole, **settings: Any) -> Policy:
    """The policy of a healthy host in other roles."""
    return dataclasses.replace(POLICY, settings=DaemonSettings(roles=frozenset(roles), **settings))


def own(*addresses: str) -> frozenset[Address]:
    """Addresses of the machine."""
    return frozenset(map(Address.parse, addresses))


@pytest.mark.parametrize(
    ("roles", "addresses", "state", "words"),
    [
        ((GATEWAY,), own("192.0.2.1"), OK, "not set"),
        ((GATEWAY,), own(WEB2), WARNING, "web2; what it receives and sends itself is not filtered"),
        ((GATEWAY,), own(WEB1), PROBLEM, "web1 (veth-web1)"),
        ((GATEWAY, HOST), own(WEB1), PROBLEM, "web1 (veth-web1)"),
        ((GATEWAY, HOST), own(WEB2), OK, "of this machine: web2"),
        ((GATEWAY, HOST), own("192.0.2.1"), WARNING, "nothing of it is filtered"),
        ((HOST,), own(WEB1, WEB2), OK, "web1, web2"),
        ((HOST,), own("192.0.2.1"), OK, "by links"),
        ((HOST,), None, UNKNOWN, "cannot be read"),
    ],
)
def test_the_role(
    roles: tuple[DaemonRole, ...], addresses: frozenset[Address] | None, state: State, words: str
) -> None:
    """Which declared interfaces are the machine's, and what becomes of them."""
    found = check("host role", policy=policy(*roles), own_addresses=addresses)
    assert found.state is state
    assert words in found.found


@pytest.mark.parametrize(
    ("roles", "failsafe", "state"),
    [
        ((GATEWAY,), (), OK),
        ((HOST,), (), WARNING),
        ((GATEWAY, HOST), (), WARNING),
        ((HOST,), FAILSAFE, OK),
    ],
)
def test_failsafe(
    roles: tuple[DaemonRole, ...], failsafe: tuple[Failsafe, ...], state: State
) -> None:
    """A host without a way in that stays open."""
    assert check("failsafe", policy=policy(*roles, failsafe=failsafe)).state is state


@pytest.mark.parametrize(
    ("roles", "marks", "engine", "state", "words"),
    [
        ((GATEWAY,), {0x1}, Engine.QUEUE, OK, ""),
        ((HOST,), {0x4000, 0x8000}, Engine.QUEUE, OK, ""),
        ((HOST,), {0x4000, 0x1}, Engine.QUEUE, WARNING, "0x1; first packets"),
        ((GATEWAY, HOST), {0xFFFFFFFF}, Engine.QUEUE, WARNING, "0xffffffff"),
        ((HOST,), {0x1}, Engine.KERNEL, WARNING, "leaves to the worker"),
        ((HOST,), None, Engine.QUEUE, UNKNOWN, "cannot be read"),
    ],
)
def test_routing_by_marks(
    roles: tuple[DaemonRole, ...], marks: set[int] | None, engine: Engine, state: State, words: str
) -> None:
    """What the machine sends is routed again by the mark with which it leaves the queue."""
    seen = None if marks is None else frozenset(marks)
    found = check("routing by marks", policy=policy(*roles, engine=engine), rule_marks=seen)
    assert found.state is state
    assert words in found.found


def test_a_host_forwards_nothing() -> None:
    """Forwarding may be off, and neighbours may share a segment."""
    off = sysctls(ip_forward="0", forwarding="0")
    for name in ("IPv4 forwarding", "IPv6 forwarding"):
        assert check(name, policy=policy(HOST), sysctls=off).state is OK
        assert check(name, policy=policy(GATEWAY, HOST), sysctls=off).state is WARNING
    assert check("shared segments", policy=policy(HOST), routes=None).state is OK


@pytest.mark.parametrize("hook", ["forward", "input", "output"])
def test_other_chains_at_the_hooks_of_the_roles(hook: str) -> None:
    """Of a gateway the forward hook, of a host the other two."""
    late = BaseChainSeen("inet", "filter", "c", hook, 20, False)
    facts = {"nftables": nftables(chains=(*NFTABLES.chains, late))}
    for roles, hooks in (((GATEWAY,), {"forward"}), ((HOST,), {"input", "output"})):
        found = check("other base chains", policy=policy(*roles), **facts)
        assert found.state is (WARNING if hook in hooks else OK)
    assert HEALTHY.settings.is_gateway
