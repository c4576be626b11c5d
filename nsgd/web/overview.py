"""The first page: is all well, what is decided, and is anything lost. From a status alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.health.judge import checks
from nsgd.health.losses import losses
from nsgd.web.markup import Markup, element, facts, link, markup, table
from nsgd.web.page import Live, Page, access, badge, group_link, moment, number, url

_MOST_RULES = 8
_KINDS = {"ok": "well", "warn": "look", "bad": "wrong"}


def overview_page(status: Mapping[str, Any]) -> Page:
    """Health, totals, the busiest denying rules, and losses."""
    live = Live()
    return Page(
        "Overview",
        "/",
        markup(
            _section("health", "Health", live.part("health", _health(status))),
            _section("policy", "Policy in force", _policy(status)),
            _section("flows", "Flows since the daemon started", _totals(status, live)),
            _section("denied", "Denied most", live.part("denied", _denied(status))),
            _section("reasons", "Denied, by reason", live.part("reasons", _reasons(status))),
            _section("lost", "Is anything lost unseen?", live.part("lost", _lost(status))),
        ),
        live,
    )


def _section(name: str, title: str, *content: Markup) -> Markup:
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *content, id=name, aria_labelledby=f"{name}-title")


def _health(status: Mapping[str, Any]) -> Markup:
    return element(
        "ul",
        [
            element(
                "li",
                element("span", badge(check.kind, _KINDS[check.kind]), class_="state-of"),
                element(
                    "span",
                    element("strong", check.name),
                    ": ",
                    check.text,
                    element("span", check.way_out, class_="way-out") if check.way_out else None,
                ),
                class_=check.kind,
            )
            for check in checks(status)
        ],
        class_="checks",
    )


def _policy(status: Mapping[str, Any]) -> Markup:
    reloads = status["reloads"]
    return markup(
        facts(
            ("Policy", f"{status['generation']}, counted from the daemon's start"),
            ("In force since", moment(status["loadedAt"])),
            ("Documents", element("code", status["policyHash"])),
            ("Reloads", f"{reloads['succeeded']} succeeded, {reloads['refused']} refused"),
            ("Engine", status["engine"]),
            ("Roles", ", ".join(status["roles"])),
            ("Failure mode", status["failureMode"]),
            ("Daemon", markup(f"nsgd {status['version']}, since ", moment(status["startedAt"]))),
        ),
        element(
            "p",
            "Is what you have edited in force? It is where ",
            element("code", "nsgd check PATH"),
            " names your documents as they are named here. What would change: ",
            element("code", "nsgd diff --against-running PATH"),
            ".",
            class_="hint",
        ),
    )


def _totals(status: Mapping[str, Any], live: Live) -> Markup:
    totals = dict.fromkeys(("Allow", "Deny"), 0)
    for row in status["flows"]:
        totals[row["access"]] += row["flows"]
    boxes = [
        element(
            "div",
            element("dt", access(word)),
            element("dd", live.value(f"total:{word}", count)),
        )
        for word, count in totals.items()
    ]
    text = "First packets of flows, each counted once; a retry after a denial counts again."
    return markup(
        element("dl", boxes, class_="totals"),
        element("p", text, class_="hint"),
    )


def _denied(status: Mapping[str, Any]) -> Markup:
    rows = sorted(
        (row for row in status["ruleHits"] if row["access"] == "Deny" and row["hits"]),
        key=lambda row: -row["hits"],
    )
    return markup(
        table(
            "Rules that denied most, since the daemon started",
            ("Rule", "Direction", "Network security group", "Hits", "Who"),
            [
                (
                    row["rule"],
                    row["direction"],
                    group_link(row["networkSecurityGroup"]),
                    number(row["hits"]),
                    link(
                        url("/denials", nsg=row["networkSecurityGroup"], rule=row["rule"]),
                        "recent denials",
                        element("span", f" by {row['rule']}", class_="unseen"),
                    ),
                )
                for row in rows[:_MOST_RULES]
            ],
            numeric=(3,),
            empty="No rule has denied anything yet.",
        ),
    )


def _reasons(status: Mapping[str, Any]) -> Markup:
    packets = status["packets"]
    counts = {**packets["denied"]}
    rows = sorted(
        [(reason, count) for reason, count in counts.items() if count],
        key=lambda row: -row[1],
    )
    unparsable = sorted((reason, n) for reason, n in packets["unparsable"].items() if n)
    odd = ", ".join(f"{reason} {number(count)}" for reason, count in unparsable)
    return markup(
        table(
            "Packets that were denied, by reason",
            ("Reason", "Packets"),
            [(reason, number(count)) for reason, count in rows],
            numeric=(1,),
            empty="No packet was denied yet.",
        ),
        element("p", f"Could not be read: {odd}.", class_="hint") if odd else None,
    )


def _lost(status: Mapping[str, Any]) -> Markup:
    found = losses(status)
    lost = [loss for loss in found if loss.count]
    unknown = [loss for loss in found if loss.count is None]
    if lost:
        verdict = badge("warn", "yes, see below")
    elif unknown:
        verdict = badge("warn", "cannot be known in part, see below")
    else:
        verdict = badge("ok", "no: every count below is 0")
    return markup(
        element("p", verdict),
        table(
            "What may be lost, and how often it was",
            ("What", "How many", "Meaning"),
            [
                (loss.name, "unknown" if loss.count is None else number(loss.count), loss.meaning)
                for loss in found
            ],
            numeric=(1,),
        ),
    )
