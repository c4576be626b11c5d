"""The subscription section, and the days on which things were created."""

from __future__ import annotations

from datetime import date

import pytest

from nsgd.model.platform import Subscription, SubscriptionKind
from tests.config.documents import Raw, group, interface, load, network, refuse, refuse_one


def section(**fields: object) -> Raw:
    """A document with a subscription, some of its fields changed; None takes a field away."""
    values: Raw = {"kind": "PayAsYouGo", "created": "2018-01-31", **fields}
    return {"subscription": {key: value for key, value in values.items() if value is not None}}


@pytest.mark.parametrize("absent", [None, "", []])
def test_without_the_section(absent: object) -> None:
    """SMTP is then left alone."""
    assert load(group()).model.subscription is None
    assert load({"subscription": absent, **group()}).model.subscription is None


@pytest.mark.parametrize("kind", SubscriptionKind)
def test_kinds(kind: SubscriptionKind) -> None:
    """Compared without case."""
    for word in (kind.value, kind.value.upper(), kind.value.lower()):
        found = load(section(kind=word)).model.subscription
        assert found == Subscription(kind, date(2018, 1, 31))


def test_an_exemption() -> None:
    """EnterpriseDevTest may have one; in YAML a day needs no quotes."""
    expected = Subscription(
        SubscriptionKind.ENTERPRISE_DEV_TEST, date(2018, 1, 31), date(2019, 5, 1)
    )
    raw = section(kind="EnterpriseDevTest", smtpExempted="2019-05-01")
    assert load(raw).model.subscription == expected
    yaml = "subscription: {kind: enterpriseDevTest, created: 2018-01-31, smtpExempted: 2019-05-01}"
    assert load(yaml).model.subscription == expected


@pytest.mark.parametrize(
    "kind", [kind for kind in SubscriptionKind if kind is not SubscriptionKind.ENTERPRISE_DEV_TEST]
)
def test_an_exemption_that_azure_does_not_give(kind: SubscriptionKind) -> None:
    """It would open what stays closed there."""
    path, message, way_out = refuse_one(section(kind=kind.value, smtpExempted="2019-05-01"))
    assert path == "subscription.smtpExempted"
    assert f"of kind {kind.value}" in message
    assert ("needs no exemption" in message) is (kind is SubscriptionKind.ENTERPRISE_AGREEMENT)
    assert way_out == "remove it, or correct kind: EnterpriseDevTest has it"


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"kind": None}, "kind", "kind is missing"),
        ({"created": None}, "created", "created is missing"),
        ({"kind": "Free"}, "kind", "'Free' is not allowed"),
        ({"smtpExempt": "2019-05-01"}, "smtpExempt", "unknown key 'smtpExempt'"),
        ({"created": "2018-1-31"}, "created", "'2018-1-31' is not a date"),
        ({"created": "20180131"}, "created", "'20180131' is not a date"),
        ({"created": "2018-W05-3"}, "created", "'2018-W05-3' is not a date"),
        ({"created": "2018-01-31T00:00:00Z"}, "created", "'2018-01-31T00:00:00Z' is not a date"),
        ({"created": "2018-01-31 "}, "created", "'2018-01-31 ' is not a date"),
        ({"created": "٢٠١٨-01-31"}, "created", "'٢٠١٨-01-31' is not a date"),
        ({"created": 20180131}, "created", "20180131 is not a date"),
        ({"created": True}, "created", "true is not a date"),
        ({"created": "2018-02-29"}, "created", "'2018-02-29' is no day of the calendar"),
        ({"created": "2018-13-01"}, "created", "'2018-13-01' is no day of the calendar"),
        ({"created": "0000-01-01"}, "created", "'0000-01-01' is no day of the calendar"),
    ],
)
def test_what_is_refused(fields: Raw, path: str, message: str) -> None:
    """With the place and a way out."""
    found, said, way_out = refuse_one(section(**fields))
    assert found == f"subscription.{path}"
    assert said == message
    assert way_out


def test_in_one_document_at_most() -> None:
    """Two could contradict one another."""
    path, message, _ = refuse_one(section(), section())
    assert path == "subscription"
    assert message == "the subscription section is already given by subscription in d0"


def test_created_of_an_interface() -> None:
    """Optional; a wrong day is refused with its place."""
    document: Raw = {
        "virtualNetworks": [network()],
        "networkInterfaces": [
            interface(created="2020-02-29"),
            interface("web2", "10.0.1.5", created=""),
        ],
    }
    first, second = load(document).model.network_interfaces
    assert (first.created, second.created) == (date(2020, 2, 29), None)
    document["networkInterfaces"][1]["created"] = "2021-02-29"
    (problem,) = refuse(document)
    assert problem.path == "networkInterfaces[1].created"
    assert problem.message == "'web2': '2021-02-29' is no day of the calendar"
