"""Checks of connection tracking, which holds the state of every flow."""

from __future__ import annotations

from collections.abc import Iterator

from nsgd.doctor.check import Check, ok, problem, unknown, warning
from nsgd.doctor.facts import Facts

NEARLY_FULL_PERCENT = 80
_PREFIX = "net.netfilter.nf_conntrack_"


def conntrack_checks(facts: Facts) -> Iterator[Check]:
    """Whether it is there, has room, and keeps what flow records need."""
    yield _presence(facts)
    yield _idle_timeouts(facts)
    yield _room(facts)
    yield _accounting(facts)
    yield _timestamps(facts)
    yield _events(facts)
    yield _loose(facts)


def _presence(facts: Facts) -> Check:
    name = "conntrack"
    if facts.nftables is None:
        return unknown(name, "not tried")
    if facts.nftables.has_conntrack:
        return ok(name, "rules can ask for a packet's flow")
    return problem(name, "rules cannot ask for a packet's flow", "modprobe -a nf_conntrack nft_ct")


def _idle_timeouts(facts: Facts) -> Check:
    name = "idle timeouts"
    if facts.nftables is None:
        return unknown(name, "not tried")
    if facts.nftables.has_flow_timeouts:
        return ok(name, "flows of a virtual network can have their own (flowTimeoutInMinutes)")
    networks = () if facts.policy is None else facts.policy.model.virtual_networks
    asking = [network.name for network in networks if network.flow_timeout_minutes is not None]
    if not asking:
        return ok(name, "the kernel's for all flows: flowTimeoutInMinutes would be refused")
    return problem(
        name,
        f"the kernel cannot give flows of {asking[0]} flowTimeoutInMinutes: nsgd does not start",
        "remove it, or run a kernel with CONFIG_NF_CONNTRACK_TIMEOUT",
    )


def _room(facts: Facts) -> Check:
    name = "conntrack table"
    maximum, count = (_number(facts, key) for key in ("max", "count"))
    if maximum is None or count is None:
        return unknown(name, "its size cannot be seen")
    # The maximum is the host's; the count is this namespace's.
    found = f"{count} of at most {maximum} flows"
    if maximum and count * 100 >= maximum * NEARLY_FULL_PERCENT:
        return warning(
            name,
            f"{found}; when it is full, new flows are dropped before any rule",
            f"raise {_PREFIX}max",
        )
    return ok(name, found)


def _accounting(facts: Facts) -> Check:
    counted = "bytes and packets"
    return _switch(facts, "accounting", "acct", f"{counted} of new flows are counted", counted)


def _timestamps(facts: Facts) -> Check:
    return _switch(facts, "timestamps", "timestamp", "the age of new flows is known", "age")


def _switch(facts: Facts, what: str, key: str, on: str, unseen: str) -> Check:
    """Something that conntrack notes of a flow, where a setting says so as the flow begins."""
    name = f"conntrack {what}"
    value = _number(facts, key)
    if value is None:
        return unknown(name, "cannot be seen")
    if value:
        return ok(name, on)
    return warning(
        name,
        f"off: flows that begin now never show their {unseen}",
        f"sysctl -w {_PREFIX}{key}=1, and at boot by nsgd.sysctl",
    )


def _events(facts: Facts) -> Check:
    name = "conntrack events"
    value = _number(facts, "events")
    if value is None:
        return unknown(name, "cannot be seen")
    fix = f"sysctl -w {_PREFIX}events=1, and at boot by nsgd.sysctl"
    if value == 0:
        return warning(name, "off: the end of a flow is not told", fix)
    if value == 1:
        return ok(name, "for every flow")
    return warning(
        name, "on demand: the end of a flow that began while nobody listened is not told", fix
    )


def _loose(facts: Facts) -> Check:
    name = "mid-stream TCP"
    value = _number(facts, "tcp_loose")
    if value is None:
        return unknown(name, "cannot be seen")
    if value:
        return ok(name, "a connection seen from its middle is judged as a new flow")
    return ok(name, "a connection seen from its middle is invalid, and dropped (tcp_loose is 0)")


def _number(facts: Facts, key: str) -> int | None:
    text = facts.sysctls.get(_PREFIX + key, "")
    return int(text) if text.isascii() and text.isdigit() else None
