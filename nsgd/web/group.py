"""One network security group: its rules with hits, and what it is associated with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nsgd.answers.group_rules import group_rows
from nsgd.model.network import NetworkModel, NetworkSecurityGroup
from nsgd.web.markup import Content, element, link, markup, table
from nsgd.web.page import Live, Page, nic_link, plural, url
from nsgd.web.rules import Counts, rule_table

_MOST = 100


def group_page(model: NetworkModel, group: NetworkSecurityGroup, status: Mapping[str, Any]) -> Page:
    """The page of a group of the policy in force."""
    live = Live()
    counts = Counts.of(status)
    rows = group_rows(group)
    used = list(_used(model, group.name))
    more = len(used) - _MOST
    body = markup(
        element("p", link("/networks", "Networks"), class_="path"),
        element(
            "p",
            link(url("/flows", nsg=group.name), "Open flows that it allowed"),
            " \u00b7 ",
            link(url("/denials", nsg=group.name), "Recent denials by it"),
            class_="actions",
        ),
        [
            element(
                "section",
                element("h2", direction, id=f"{direction.lower()}-title"),
                rule_table(
                    f"{direction} rules, by priority: the first that matches decides",
                    group.name,
                    rows,
                    direction,
                    counts,
                    live,
                ),
                aria_labelledby=f"{direction.lower()}-title",
            )
            for direction in ("Inbound", "Outbound")
        ],
        counts.hint(),
        element(
            "section",
            element("h2", "Where it is asked", id="used-title"),
            table(
                "Subnets, network interfaces and scale sets that have this group",
                ("Name", "Kind", "Virtual network"),
                used[:_MOST],
                empty="Nothing has this group, so it decides nothing. Give it to a subnet or to a"
                " network interface, as networkSecurityGroup, and reload.",
            ),
            element("p", f"And {plural(more, 'other')}.") if more > 0 else None,
            aria_labelledby="used-title",
        ),
    )
    return Page(f"Network security group {group.name}", "/networks", body, live)


def _used(model: NetworkModel, group: str) -> Iterator[tuple[Content, ...]]:
    for network in model.virtual_networks:
        for subnet in network.subnets:
            if subnet.network_security_group == group:
                where = link(url("/networks", q=subnet.name), subnet.name)
                yield where, "subnet", network.name
    for nic in model.network_interfaces:
        if nic.network_security_group == group:
            yield nic_link(nic.name), "network interface", nic.virtual_network
    for scale_set in model.scale_sets:
        if scale_set.network_security_group == group:
            yield scale_set.name, "scale set", scale_set.virtual_network
