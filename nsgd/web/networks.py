"""Virtual networks with their subnets, interfaces and scale sets, and the groups of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet, VirtualNetwork
from nsgd.web.markup import Markup, element, facts, link, markup, table
from nsgd.web.page import Page, group_link, nic_link, plural, url

MOST_AT_ONCE = 200


def networks_page(model: NetworkModel, wanted: str, first: int) -> Page:
    """A policy's networks.

    Args:
        model: The policy in force.
        wanted: A part of a name or address that listed interfaces have; empty for all.
        first: How many interfaces to leave out, for the pages behind the first.
    """
    found = [nic for nic in model.network_interfaces if _is_meant(nic, wanted)]
    shown = found[first : first + MOST_AT_ONCE]
    networks = [_network(model, network, shown, wanted) for network in model.virtual_networks]
    if not model.virtual_networks:
        networks = [
            element(
                "p",
                "The documents declare no virtual network, so nothing is filtered. Write one into"
                " the policy document, then: nsgd reload",
                class_="empty",
            )
        ]
    body = markup(
        _search(wanted),
        element("p", _count(model, found, shown, first), role="status"),
        networks,
        _pages(wanted, first, len(found)),
    )
    return Page("Networks", "/networks", body, every_s=0)


def _is_meant(nic: NetworkInterface, wanted: str) -> bool:
    word = wanted.casefold()
    names = (nic.name, nic.subnet, nic.virtual_network, nic.network_security_group or "")
    return any(word in name.casefold() for name in names) or any(
        word in str(address) for address in nic.private_ip_addresses
    )


def _search(wanted: str) -> Markup:
    return element(
        "form",
        element("label", "Find an interface by name, subnet, group or address", for_="q"),
        element("input", type="search", id="q", name="q", value=wanted, maxlength="100"),
        element("button", "Find", type="submit"),
        method="get",
        action="/networks",
        role="search",
        class_="inline",
    )


def _count(
    model: NetworkModel, found: Sequence[object], shown: Sequence[object], first: int
) -> str:
    total = plural(len(model.network_interfaces), "network interface")
    if not found:
        return f"None of {total} is so."
    if len(shown) == len(model.network_interfaces):
        return f"All of {total}."
    return f"{first + 1} to {first + len(shown)} of {len(found)} found, of {total}."


def _pages(wanted: str, first: int, count: int) -> Markup | None:
    if count <= MOST_AT_ONCE:
        return None
    before = max(0, first - MOST_AT_ONCE)
    after = first + MOST_AT_ONCE
    links = [
        link(url("/networks", q=wanted, first=before or None), "Those before") if first else None,
        " ",
        link(url("/networks", q=wanted, first=after), "More") if after < count else None,
    ]
    return element("nav", links, aria_label="Further interfaces", class_="further")


def _network(
    model: NetworkModel,
    network: VirtualNetwork,
    shown: Sequence[NetworkInterface],
    wanted: str,
) -> Markup:
    title = f"network-{network.name}"
    groups = {subnet.name: subnet.network_security_group for subnet in network.subnets}
    nics = [nic for nic in shown if nic.virtual_network == network.name]
    sets = [each for each in model.scale_sets if each.virtual_network == network.name]
    return element(
        "section",
        element("h2", network.name, id=title),
        facts(
            ("Address space", ", ".join(map(str, network.address_space))),
            (
                "Peered with",
                ", ".join(each.remote_virtual_network for each in network.peerings) or None,
            ),
            ("On premises", ", ".join(map(str, network.on_premises)) or None),
        ),
        table(
            f"Subnets of {network.name}",
            ("Subnet", "Address prefixes", "Network security group"),
            [
                (
                    subnet.name,
                    ", ".join(map(str, subnet.address_prefixes)),
                    group_link(subnet.network_security_group),
                )
                for subnet in network.subnets
            ],
            empty="It has no subnet.",
        ),
        table(
            f"Network interfaces in {network.name}",
            ("Network interface", "Addresses", "Subnet", "Groups", "Link"),
            [_row(nic, groups) for nic in nics],
            empty="None of those that were found." if wanted else "None on this page.",
        ),
        table(
            f"Scale sets in {network.name}",
            ("Scale set", "Address prefixes", "Subnet", "Groups"),
            [_set_row(each, groups) for each in sets],
        )
        if sets
        else None,
        aria_labelledby=title,
    )


def _row(nic: NetworkInterface, groups: dict[str, str | None]) -> tuple[object, ...]:
    return (
        nic_link(nic.name),
        ", ".join(map(str, nic.private_ip_addresses)),
        nic.subnet,
        list(_groups(groups.get(nic.subnet), nic.network_security_group)),
        nic.link or "by address",
    )


def _set_row(scale_set: ScaleSet, groups: dict[str, str | None]) -> tuple[object, ...]:
    return (
        scale_set.name,
        ", ".join(map(str, scale_set.private_ip_address_prefixes)),
        scale_set.subnet,
        list(_groups(groups.get(scale_set.subnet), scale_set.network_security_group)),
    )


def _groups(of_subnet: str | None, own: str | None) -> Iterator[object]:
    """Links to both, the subnet's first."""
    if not of_subnet and not own:
        yield group_link(None)
    if of_subnet:
        yield from (group_link(of_subnet), " (subnet)")
    if of_subnet and own:
        yield ", "
    if own:
        yield from (group_link(own), " (own)")
