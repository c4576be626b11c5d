"""Recent denials: who is denied most and why, and each one, by a filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.web.denial_rows import denial_table, grouped_table
from nsgd.web.filters import filter_form
from nsgd.web.markup import Markup, element, markup
from nsgd.web.page import Live, Page, moment, number, plural
from nsgd.web.rules import Counts

MOST_LISTED = 100
_MOST_GROUPS = 20


def denials_page(
    answer: Mapping[str, Any] | None,
    status: Mapping[str, Any],
    given: Mapping[str, str],
    problem: str | None = None,
) -> Page:
    """What the verb ``denials`` answered; None, with a *problem*, where the filter is none."""
    live = Live()
    form = filter_form("/denials", given, problem)
    if answer is None:
        return Page("Denials", "/denials", form, live, 400, 0)
    denials = answer["denials"]
    body = markup(
        form,
        _section(
            "most",
            "Who is denied most",
            live.part("most", grouped_table(denials, _MOST_GROUPS, Counts.of(status).hits)),
        ),
        _section(
            "recent",
            "One by one",
            live.part("recent", denial_table(denials[:MOST_LISTED], _caption(denials))),
        ),
        _section("unseen", "What is not here", live.part("unseen", _unseen(answer, status))),
    )
    return Page("Denials", "/denials", body, live)


def _section(name: str, title: str, content: Markup) -> Markup:
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, content, aria_labelledby=f"{name}-title")


def _caption(denials: list[Any]) -> str:
    if len(denials) > MOST_LISTED:
        return f"The last {MOST_LISTED} of {number(len(denials))}, newest first"
    return f"{plural(len(denials), 'denial')}, newest first"


def _unseen(answer: Mapping[str, Any], status: Mapping[str, Any]) -> Markup:
    kernel = status["kernelDenials"]
    not_told = answer["notTold"] + kernel["untold"] + kernel["lost"]
    reasons = {
        reason: count
        for reason, count in status["packets"]["denied"].items()
        if count and reason != "rule"
    }
    by_reason = ", ".join(f"{reason} {number(count)}" for reason, count in reasons.items())
    return markup(
        element(
            "ul",
            element(
                "li",
                f"{plural(answer['kept'], 'denial')} by rules are kept since ",
                moment(answer["since"]),
                f", {number(answer['mostKept'])} at most, of each rule and source the newest;"
                f" {number(answer['givenUp'])} went for newer ones of the same. Told has them.",
            ),
            element(
                "li",
                f"{plural(not_told, 'denial')} beyond the limits of 10 a second of each rule and"
                " 500 of all: counted in the hits of their rules, and not kept one by one.",
            ),
            element(
                "li",
                f"Denied for other reasons than a rule, and counted only: {by_reason or 'none'}.",
            ),
        )
    )
