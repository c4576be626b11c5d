"""The ``subscription`` section: what decides whether SMTP may be sent to the Internet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from nsgd.config.compound import Field
from nsgd.config.dialect import DialectInForce
from nsgd.config.problem import Refusal
from nsgd.config.report import Report
from nsgd.config.sections import Section
from nsgd.config.shape import Choice, Parsed
from nsgd.config.wording import show
from nsgd.model.platform import Subscription, SubscriptionKind

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_date(value: object) -> date:
    """Read a day, as text YYYY-MM-DD. Raises Refusal."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise Refusal(
                f"{show(value)} is no day of the calendar", "write a day such as 2019-05-01"
            ) from None
    raise Refusal(f"{show(value)} is not a date", "write it as YYYY-MM-DD, such as 2019-05-01")


DATE = Parsed("a date, as YYYY-MM-DD", parse_date)

SUBSCRIPTION: Mapping[str, Field] = {
    "kind": Field(Choice({kind.value: kind for kind in SubscriptionKind}), is_required=True),
    "created": Field(DATE, is_required=True),
    "smtpExempted": Field(DATE),
}


def assemble_subscription(
    section: Section | None, report: Report, in_force: DialectInForce
) -> Subscription | None:
    """The subscription of the one section; None without one, or where a part was refused.

    An exemption where Azure gives none would open what Azure keeps closed, so it is refused.
    """
    if section is None:
        return None
    place, raw = section
    kind: SubscriptionKind | None = raw.get("kind")
    created: date | None = raw.get("created")
    exempted: date | None = raw.get("smtpExempted")
    terms = in_force.dialect.smtp
    if kind is not None and kind not in terms.offers:
        offers = ", ".join(each.value for each in SubscriptionKind if each in terms.offers)
        what = f"subscription of kind {kind.value}"
        in_force.lacks(what, f"write one of {offers}", place.at("kind"), report)
    if kind is None or created is None:
        return None
    if exempted is not None and kind not in terms.exemptible and in_force.is_known:
        if kind in terms.unrestricted:
            message = f"a subscription of kind {kind.value} needs no exemption"
        else:
            message = f"Azure gives subscriptions of kind {kind.value} no exemption"
        having = ", ".join(each.value for each in SubscriptionKind if each in terms.exemptible)
        way_out = f"remove it, or correct kind: {having} has it"
        report.add(place.at("smtpExempted"), message, way_out)
    return Subscription(kind, created, exempted)
