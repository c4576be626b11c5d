"""One network interface: what it is, its effective rules with hits, and who was denied there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nsgd.answers.admin_rules import as_rows as admin_rows
from nsgd.answers.effective_rules import as_rows
from nsgd.answers.policy import QuestionedPolicy
from nsgd.model.network import NetworkInterface
from nsgd.web.denial_rows import denial_table
from nsgd.web.markup import Content, Markup, element, facts, link, markup
from nsgd.web.page import Live, Page, group_link, number, url
from nsgd.web.rules import Counts, rule_table

DENIALS_SHOWN = 10
_MOST_PREFIXES = 64
_KINDS = {"subnet": "subnet", "networkInterface": "interface", "scaleSet": "scale set"}


def interface_page(
    policy: QuestionedPolicy,
    nic: NetworkInterface,
    status: Mapping[str, Any],
    denials: Sequence[Mapping[str, Any]],
) -> Page:
    """The page of a declared interface; *denials* are recent ones with it at either end."""
    live = Live()
    counts = Counts.of(status)
    answer = policy.effective_rules(nic.name)
    resource = policy.resources.of_interface(nic)
    address = nic.private_ip_addresses[0]
    body = markup(
        facts(
            ("Addresses", ", ".join(map(str, nic.private_ip_addresses))),
            ("Virtual network", nic.virtual_network),
            ("Subnet", nic.subnet),
            ("Group of the subnet", group_link(resource.subnet.network_security_group)),
            ("Group of its own", group_link(nic.network_security_group)),
            ("Application security groups", ", ".join(nic.application_security_groups) or None),
            ("Known by", f"link {nic.link}" if nic.link else "its addresses"),
            ("Forwards for others", "yes" if nic.enable_ip_forwarding else None),
            *_first_packets(nic.name, status, live),
        ),
        element(
            "p",
            link(url("/verify", nic=nic.name, local=address), "Ask whether a flow passes here"),
            " \u00b7 ",
            link(url("/flows", nic=nic.name), "Its open flows"),
            " \u00b7 ",
            link(url("/denials", nic=nic.name), "Its recent denials"),
            class_="actions",
        ),
        element(
            "p",
            "A flow must be allowed by every group below, in this order; the first that denies ends"
            " it. Hits are of the rule wherever its group is used, not of this interface alone.",
            class_="hint",
        ),
        counts.hint(),
        [_direction(answer, word, counts, live) for word in ("Inbound", "Outbound")],
        _tags(answer),
        element(
            "section",
            element("h2", "Recent denials here", id="denials-title"),
            live.part(
                "denials", denial_table(denials, "Of flows with this interface, newest first")
            ),
            aria_labelledby="denials-title",
        ),
    )
    return Page(f"Network interface {nic.name}", "/networks", markup(_path(nic), body), live)


def _first_packets(
    name: str, status: Mapping[str, Any], live: Live
) -> Iterator[tuple[str, Content]]:
    """What was decided at the interface, where the daemon counts that."""
    if status.get("metricsDetail") != "full":
        return
    counts = {each["name"]: each for each in status["networkInterfaces"]}.get(name, {})
    for direction in ("inbound", "outbound"):
        of_direction = counts.get(direction, {})
        words = (
            (live.value(f"{direction}/{word}", of_direction.get(word, 0)), f" {text}")
            for word, text in (("allow", "allowed, "), ("deny", "denied"))
        )
        yield f"First packets {direction}", markup(words)


def _path(nic: NetworkInterface) -> Markup:
    where = markup(link("/networks", "Networks"), f" / {nic.virtual_network} / {nic.subnet}")
    return element("p", where, class_="path")


def _direction(answer: Mapping[str, Any], direction: str, counts: Counts, live: Live) -> Markup:
    tables = []
    ahead = answer.get("effectiveSecurityAdminRules", ())
    if ahead:
        caption = "Security admin rules, ahead of every group"
        tables.append(rule_table(caption, "", admin_rows(ahead), direction, counts, live))
    elements = answer["value"]
    # Azure: inbound the subnet's rules first, then the interface's; outbound the other way round.
    for order, each in enumerate(elements if direction == "Inbound" else elements[::-1], 1):
        group = each["networkSecurityGroup"]["id"]
        ((kind, owner),) = each["association"].items()
        caption = markup(
            f"{order}. ", group_link(group), f", of the {_KINDS.get(kind, kind)} {owner['id']}"
        )
        tables.append(rule_table(caption, group, as_rows(each), direction, counts, live))
    if not elements:
        text = "No network security group is associated: all traffic is allowed."
        tables.append(element("p", text, class_="empty"))
    title = f"{direction.lower()}-title"
    return element(
        "section",
        element("h2", direction, id=title),
        tables,
        aria_labelledby=title,
    )


def _tags(answer: Mapping[str, Any]) -> Markup | None:
    """What each tag stands for here."""
    tags: dict[str, list[str]] = {}
    for each in answer["value"]:
        tags |= each["tagMap"]
    for rule in answer.get("effectiveSecurityAdminRules", ()):
        tags |= rule.get("tagMap", {})
    if not tags:
        return None
    return element(
        "section",
        element("h2", "Service tags, as seen from here", id="tags-title"),
        [_tag(name, prefixes) for name, prefixes in tags.items()],
        aria_labelledby="tags-title",
    )


def _tag(name: str, prefixes: Sequence[str]) -> Markup:
    more = len(prefixes) - _MOST_PREFIXES
    text = ", ".join(prefixes[:_MOST_PREFIXES]) or "nothing"
    return element(
        "details",
        element("summary", f"{name} ({_prefixes(len(prefixes))})"),
        element("p", text, f", and {more} more" if more > 0 else None, class_="prefixes"),
    )


def _prefixes(count: int) -> str:
    return "1 prefix" if count == 1 else f"{number(count)} prefixes"
