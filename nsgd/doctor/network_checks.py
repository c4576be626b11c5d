"""Checks of how hosts are reached: only what is forwarded between links can be filtered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nsgd.doctor.check import Check, ok, problem, unknown, warning
from nsgd.doctor.facts import Facts
from nsgd.kernel.topology import LinkSeen, RouteSeen
from nsgd.model.address import ADDRESS_BITS, Address

_FORWARDING = (
    ("IPv4 forwarding", "net.ipv4.ip_forward"),
    ("IPv6 forwarding", "net.ipv6.conf.all.forwarding"),
)
_BRIDGE_CALLS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")


def network_checks(facts: Facts) -> Iterator[Check]:
    """Forwarding, bridges, segments that several hosts share, and the policy's links."""
    for name, sysctl in _FORWARDING:
        yield _forwarding(facts, name, sysctl)
    yield _bridges(facts)
    yield _shared_segments(facts)
    yield _links(facts)


def _forwarding(facts: Facts, name: str, sysctl: str) -> Check:
    value = facts.sysctls.get(sysctl)
    if value is None:
        return unknown(name, "cannot be seen")
    if value != "0":
        return ok(name, "on")
    if facts.settings.is_host_only:
        return ok(name, "off, and the daemon is no gateway")
    return warning(name, "off: nothing is forwarded, allowed or not", f"sysctl -w {sysctl}=1")


def _bridge_ports(links: Sequence[LinkSeen]) -> dict[str, list[str]]:
    """Names of the ports of each bridge."""
    bridges = {link.index: link.name for link in links if link.kind == "bridge"}
    ports: dict[str, list[str]] = {}
    for link in links:
        if link.master in bridges:
            ports.setdefault(bridges[link.master], []).append(link.name)
    return ports


def _is_bridged_traffic_seen(facts: Facts) -> bool:
    return all(facts.sysctls.get(name, "0") != "0" for name in _BRIDGE_CALLS)


def _bridges(facts: Facts) -> Check:
    name = "bridges"
    if facts.links is None:
        return unknown(name, "links cannot be read")
    several = {b: ports for b, ports in _bridge_ports(facts.links).items() if len(ports) > 1}
    if not several:
        return ok(name, "none with several ports")
    shown = ", ".join(f"{bridge} ({', '.join(ports)})" for bridge, ports in several.items())
    if _is_bridged_traffic_seen(facts):
        return ok(name, f"{shown}; what passes between ports crosses the forward hook")
    settings = " ".join(f"{sysctl}=1" for sysctl in _BRIDGE_CALLS)
    return warning(
        name,
        f"{shown}: what passes between ports is not filtered",
        f"modprobe br_netfilter and sysctl -w {settings}, or route the hosts apart",
    )


def _shared_segments(facts: Facts) -> Check:
    name = "shared segments"
    if facts.settings.is_host_only:
        return ok(name, "each machine guards itself")
    if facts.policy is None:
        return unknown(name, "needs the policy's addresses")
    if facts.links is None or facts.routes is None:
        return unknown(name, "routes cannot be read")
    names = {link.index: link.name for link in facts.links}
    seen_bridges = _bridge_ports(facts.links) if _is_bridged_traffic_seen(facts) else {}
    shared: dict[str, dict[str, None]] = {}
    for interface in facts.policy.model.network_interfaces:
        for address in interface.private_ip_addresses:
            route = _route_to(address, facts.routes)
            if route is None or not route.is_direct:
                continue
            link = names.get(route.link, "")
            is_host_route = route.prefix.length == ADDRESS_BITS[route.prefix.version]
            if link and not is_host_route and link not in seen_bridges:
                shared.setdefault(link, {})[interface.name] = None
    found = [
        f"{', '.join(interfaces)} on {link}"
        for link, interfaces in shared.items()
        if len(interfaces) > 1
    ]
    if not found:
        return ok(name, "no two network interfaces are behind one connected subnet")
    return warning(
        name,
        f"{'; '.join(found)}: they reach one another without crossing this gateway",
        "give each host a link of its own with a host route (/32, /128)",
    )


def _route_to(address: Address, routes: Sequence[RouteSeen]) -> RouteSeen | None:
    matching = (route for route in routes if route.prefix.contains(address))
    return max(matching, key=lambda route: route.prefix.length, default=None)


def _links(facts: Facts) -> Check:
    name = "links of the policy"
    if facts.policy is None:
        return unknown(name, "needs the policy")
    if facts.links is None:
        return unknown(name, "links cannot be read")
    declared = [nic.link for nic in facts.policy.model.network_interfaces if nic.link]
    enslaved = _masters(facts.links)
    ports = [f"{link} (of {enslaved[link]})" for link in declared if link in enslaved]
    if ports:
        return problem(
            name,
            f"{', '.join(ports)}: the forward hook sees the bridge, so that these bind nothing",
            "bind the network interface by its addresses, or take the link out of the bridge",
        )
    present = {link.name for link in facts.links}
    absent = [link for link in declared if link not in present]
    if absent:
        return warning(
            name,
            f"absent: {', '.join(absent)}",
            "create them, or correct the names; rules for them wait until they come",
        )
    return ok(name, f"{len(declared)} named, all there")


def _masters(links: Sequence[LinkSeen]) -> Mapping[str, str]:
    return {port: bridge for bridge, ports in _bridge_ports(links).items() for port in ports}
