"""What offline questions accept and a gateway cannot run."""

from __future__ import annotations

from itertools import combinations

from nsgd.model.network import NetworkModel
from nsgd.policy.service_tags import mutual_peers


def what_cannot_run(model: NetworkModel, *, is_gateway: bool = True) -> list[str]:
    """Say, with the way out, what keeps a gateway from running a policy; empty where nothing does.

    Unpeered virtual networks may use the same addresses. Their flows would share conntrack
    entries, and so decisions, on a machine that knows a flow by its addresses and ports.
    """
    problems = []
    for first, second in combinations(model.virtual_networks, 2):
        if second in mutual_peers(model, first):
            continue
        if any(a.overlaps(b) for a in first.address_space for b in second.address_space):
            problems.append(
                f"virtual networks {first.name} and {second.name} overlap, and one gateway cannot"
                " tell their flows apart; give each a gateway or network namespace of its own"
            )
    problems += [
        f"network interface {interface.name} forwards and has no link: what it forwards has"
        " addresses of others; add the link that leads to it"
        for interface in model.network_interfaces
        if interface.enable_ip_forwarding and interface.link is None and is_gateway
    ]
    return problems
