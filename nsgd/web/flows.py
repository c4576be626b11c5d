"""Open flows that were decided, with the rules that allowed them, by a filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.web.filters import filter_form
from nsgd.web.markup import Content, Markup, element, link, markup, table
from nsgd.web.page import Page, end, group_link, number, plural, url
from nsgd.web.source import FoundFlows

MOST_LISTED = 200
_REASONS = {"noNetworkSecurityGroup": "no group", "adopted": "adopted", "audit": "audit mode"}


def flows_page(
    found: FoundFlows | None, given: Mapping[str, str], problem: str | None = None
) -> Page:
    """What the verb ``flows`` answered; None, with a *problem*, where the filter is none."""
    form = filter_form("/flows", given, problem)
    if found is None:
        return Page("Flows", "/flows", form, status=400, every_s=0)
    shown = plural(len(found.flows), "open flow")
    more = "" if found.is_whole else "; there may be more, and a filter finds them"
    again = url("/flows", **{name: text for name, text in given.items() if name != "format"})
    body = markup(
        form,
        element("p", f"{shown}{more}. ", link(again, "Look again"), role="status"),
        element(
            "section",
            table(
                "Open flows; sent and received in packets / bytes",
                (
                    "Source",
                    "Destination",
                    "Protocol",
                    "Outbound",
                    "Inbound",
                    "State",
                    "Age",
                    "Sent",
                    "Received",
                ),
                [_row(flow) for flow in found.flows],
                numeric=(6, 7, 8),
                empty="No open flow is so. Only flows that nsgd has decided are listed.",
            ),
            aria_label="Open flows",
        ),
        element(
            "p",
            "Age, packets and bytes are there where conntrack keeps them"
            " (net.netfilter.nf_conntrack_timestamp and nf_conntrack_acct).",
            class_="hint",
        ),
    )
    return Page("Flows", "/flows", body, every_s=0)


def _row(flow: Mapping[str, Any]) -> tuple[Content, ...]:
    return (
        markup(end(flow["source"], flow["sourcePort"]), _name(flow["from"])),
        markup(end(flow["destination"], flow["destinationPort"]), _name(flow["to"])),
        flow["protocol"],
        _side(flow["outbound"]),
        _side(flow["inbound"]),
        element("span", flow["state"], class_="word"),
        _age(flow["ageSeconds"]),
        _counts(flow["packets"], flow["bytes"]),
        _counts(flow["replyPackets"], flow["replyBytes"]),
    )


def _name(name: str | None) -> Markup | None:
    return element("span", f" ({name})", class_="quiet") if name else None


def _side(side: Mapping[str, Any]) -> Markup:
    if side["rule"] is None:
        return element("span", _REASONS.get(side["reason"], "unknown"), class_="quiet")
    group = side["networkSecurityGroup"]
    before = [
        (", after " if n == 0 else ", ", group_link(name))
        for n, name in enumerate(side.get("allowedBeforeBy", ()))
    ]
    return markup(
        group_link(group) if group else None, " / " if group else None, side["rule"], *before
    )


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _counts(packets: int | None, octets: int | None) -> str:
    if packets is None or octets is None:
        return "-"
    return f"{number(packets)} / {number(octets)} B"
