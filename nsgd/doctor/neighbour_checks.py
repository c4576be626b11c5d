"""Checks of who else filters here: their base chains at the guarded hooks, and their marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nsgd.doctor.check import Check, ok, unknown, warning
from nsgd.doctor.facts import Facts
from nsgd.kernel.probe import BaseChainSeen
from nsgd.ruleset.objects import TABLE

# Between the two nsgd's verdict is still in the packet's mark; after them it is done.
DECIDE_PRIORITY = 10
SAVE_PRIORITY = 15
_SHOWN = 5


def neighbour_checks(facts: Facts) -> Iterator[Check]:
    """Other chains, iptables' legacy tables, flowtables and marks."""
    yield _chains(facts)
    yield _legacy(facts)
    yield _flowtables(facts)
    yield _marks(facts)


def _chains(facts: Facts) -> Check:
    name = "other base chains"
    if facts.nftables is None:
        return unknown(name, "not seen")
    others = [chain for chain in facts.nftables.chains if chain.table != TABLE]
    hooks = [
        *(["forward"] if facts.settings.is_gateway else []),
        *(["input", "output"] if facts.settings.is_host else []),
    ]
    where = "the forward hook" if hooks == ["forward"] else f"the hooks {', '.join(hooks)}"
    beside = [
        chain for chain in others if chain.hook in hooks and chain.family in ("inet", "ip", "ip6")
    ]
    if not beside:
        return ok(name, f"none at {where}, {len(others)} elsewhere")
    drops = [chain for chain in beside if chain.is_drop_policy]
    late = [chain for chain in beside if chain.priority >= DECIDE_PRIORITY]
    found = f"at {where} {_listed([_describe(chain) for chain in beside])}"
    if not drops and not late:
        return ok(name, f"{found}: they see packets before nsgd does")
    fixes = []
    if drops:
        fixes.append("let them accept what nsgd is to decide: a packet must pass both")
    if late:
        fixes.append(
            f"keep others below priority {DECIDE_PRIORITY}: what they drop later was counted as"
            f" allowed, and before {SAVE_PRIORITY} they see nsgd's verdict in the packet mark"
        )
    return warning(name, found, "; ".join(fixes))


def _describe(chain: BaseChainSeen) -> str:
    policy = ", policy drop" if chain.is_drop_policy else ""
    return f"{chain.family} {chain.table} {chain.name} (priority {chain.priority}{policy})"


def _legacy(facts: Facts) -> Check:
    name = "iptables legacy"
    known = {family: tables for family, tables in facts.legacy_tables.items() if tables is not None}
    used = [f"{family} {table}" for family, tables in known.items() for table in tables]
    if used:
        return warning(
            name,
            f"in use: {_listed(used)}; nft does not list their rules",
            "look at them by iptables-legacy -S, or move them to nftables",
        )
    if len(known) < len(facts.legacy_tables):
        return unknown(name, "the kernel shows its tables to root alone")
    return ok(name, "not in use")


def _flowtables(facts: Facts) -> Check:
    name = "flowtables"
    if facts.nft is None or facts.nft.mark_uses is None:
        return unknown(name, "not seen: they are read by the nft command")
    if facts.nft.flowtables:
        return warning(
            name,
            f"{_listed(facts.nft.flowtables)}: its flows pass the forward hook by",
            "do not offload flows that nsgd is to go on watching",
        )
    return ok(name, "none")


def _marks(facts: Facts) -> Check:
    name = "marks"
    mask = facts.settings.mark_mask
    if facts.nft is None or facts.nft.mark_uses is None:
        return unknown(name, "not seen: others' marks are read by the nft command")
    # Of the packet mark others may well look at our bits, which are clean after the forward hook.
    uses = [
        use
        for use in facts.nft.mark_uses
        if (use.is_write or use.mark == "conntrack") and (use.bits is None or use.bits & mask)
    ]
    if not uses:
        return ok(name, f"nobody else uses bits of {mask:#010x}")
    shown = []
    for use in uses:
        verb = "writes" if use.is_write else "compares"
        bits = "bits of the" if use.bits is None else f"{use.bits & mask:#010x} of the"
        shown.append(f"{use.place} {verb} {bits} {use.mark} mark")
    return warning(
        name,
        f"in nsgd's {mask:#010x}: {_listed(shown)}",
        "leave these bits out of daemon.markMask, or have the other tool use a mask;"
        " of iptables' rules see iptables-save",
    )


def _listed(texts: Sequence[str]) -> str:
    more = f", and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
