"""Checks of the host role: are the machine's own interfaces guarded, and not shut for good."""

from __future__ import annotations

from collections.abc import Iterator

from nsgd.doctor.check import Check, ok, problem, unknown, warning
from nsgd.doctor.facts import Facts
from nsgd.model.network import NetworkInterface
from nsgd.model.settings import Engine


def host_checks(facts: Facts) -> Iterator[Check]:
    """The role, the way in that stays open, and routing by marks."""
    yield _role(facts)
    yield _failsafe(facts)
    yield _routing(facts)


def _role(facts: Facts) -> Check:
    name = "host role"
    if facts.policy is None:
        return unknown(name, "needs the policy")
    if facts.own_addresses is None:
        return unknown(name, "the machine's addresses cannot be read")
    settings = facts.settings
    interfaces = facts.policy.model.network_interfaces
    own = [i for i in interfaces if not facts.own_addresses.isdisjoint(i.private_ip_addresses)]
    bound = [i for i in own if i.link is not None]
    if bound and settings.is_gateway:
        links = ", ".join(f"{i.name} ({i.link})" for i in bound)
        return problem(
            name,
            f"of this machine, and bound to a link: {links}; to a gateway a link leads to the"
            " interface of another machine, so that what comes by it is dropped as spoofed",
            "take the link away: the gateway's own interfaces are known by their addresses",
        )
    if not settings.is_host:
        if not own:
            return ok(name, "not set, and no declared network interface is this machine's")
        return warning(
            name,
            f"not set, and of this machine: {_names(own)}; what it receives and sends itself is not"
            " filtered",
            "set daemon.roles to [gateway, host]",
        )
    if own:
        return ok(name, f"set, and of this machine: {_names(own)}")
    if settings.is_host_only and any(i.link for i in interfaces):
        return ok(name, "set, by links")
    return warning(
        name,
        "set, and no declared network interface has an address of this machine: nothing of it is"
        " filtered, apart from addresses in declared subnets",
        "declare the machine's addresses, or leave the role out",
    )


def _names(interfaces: list[NetworkInterface]) -> str:
    return ", ".join(interface.name for interface in interfaces)


def _failsafe(facts: Facts) -> Check:
    name = "failsafe"
    entries = len(facts.settings.failsafe)
    if entries or not facts.settings.is_host:
        return ok(name, f"{entries} entries")
    return warning(
        name,
        "none, and this machine's own traffic is filtered: a mistake in the rules, or a daemon that"
        " does not start, can lock everybody out",
        "name the ports and sources of your management traffic in daemon.failsafe",
    )


def _routing(facts: Facts) -> Check:
    """The kernel routes anew what the machine sends itself and a queue has given a mark."""
    name = "routing by marks"
    settings = facts.settings
    if facts.rule_marks is None:
        return unknown(name, "routing rules cannot be read")
    shared = sorted(mask for mask in facts.rule_marks if mask & settings.mark_mask)
    if not shared or not settings.is_host:
        return ok(name, "no routing rule compares bits that nsgd gives to what this machine sends")
    masks = ", ".join(f"{mask:#x}" for mask in shared)
    if settings.engine is Engine.KERNEL:
        return warning(
            name,
            f"rules compare bits of daemon.markMask: {masks}; what this machine sends and the"
            " kernel engine leaves to the worker may take another route",
            "leave these bits out of daemon.markMask, or have the rules compare others",
        )
    return warning(
        name,
        f"rules compare bits of daemon.markMask: {masks}; first packets that this machine sends are"
        " routed by nsgd's bits in their place",
        "leave these bits out of daemon.markMask, have the rules compare others, or set engine:"
        " kernel",
    )
