"""What resources are called in flow logs."""

from __future__ import annotations

import pytest

from nsgd.flowlog import names


def test_a_path_is_azures() -> None:
    """Ids in upper case, the hour in UTC with two digits, the interface's address last."""
    assert names.hour_path("lab", "02ABCDEF0123", 1_700_000_000_123) == (
        "insights-logs-flowlogflowevent/flowLogResourceID="
        "/SUBSCRIPTIONS/00000000-0000-0000-0000-000000000000/RESOURCEGROUPS/NETWORKWATCHERRG"
        "/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/NETWORKWATCHER_NSGD/FLOWLOGS/LAB"
        "/y=2023/m=11/d=14/h=22/m=00/macAddress=02ABCDEF0123/PT1H.json"
    )


def test_a_path_has_no_more_parts_for_a_name_with_a_group() -> None:
    """``group/name`` is one name."""
    assert "/FLOWLOGS/PROD_LAB/y=" in names.hour_path("prod/lab", "0" * 12, 0)


@pytest.mark.parametrize(
    ("rule", "written"),
    [
        ("AllowHttps", "AllowHttps"),
        ("DenyAllInBound", "DefaultRule_DenyAllInBound"),
        ("platformRules/DenySmtpOutBound", "PlatformRule_DenySmtpOutBound"),
        ("securityAdminRules/NoTelnet", "NoTelnet"),
        ("", "PlatformRule"),
    ],
)
def test_rules(rule: str, written: str) -> None:
    """The user's have no prefix in version 4; of nobody's there is the platform's."""
    assert names.rule_name(rule) == written


@pytest.mark.parametrize(
    ("rule", "written"),
    [
        ("AllowHttps", "UserRule_AllowHttps"),
        ("DefaultRule_DenyAllInBound", "DefaultRule_DenyAllInBound"),
        ("PlatformRule", "PlatformRule"),
    ],
)
def test_rules_of_version_2(rule: str, written: str) -> None:
    """Every rule has a prefix there, and what comes back is what was."""
    assert names.with_user_prefix(rule) == written
    assert names.without_user_prefix(written) == rule


def test_ids_are_of_names() -> None:
    """The same tomorrow and in any case, others for others; none for what no group decided."""
    assert names.acl_id("web") == names.acl_id("Web") != names.acl_id("db")
    assert names.acl_id("") == names.NO_ACL != names.acl_id("", "securityAdminRules/NoTelnet")
    assert names.mac_address("web1") == names.mac_address("WEB1") != names.mac_address("web2")
    # Locally administered, of one station.
    assert int(names.mac_address("web1")[:2], 16) & 3 == 2
    assert names.mac_address("") == "000000000000"


def test_times() -> None:
    """Three digits of a second, or Azure's seven."""
    assert names.iso_time(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
    assert names.iso_time(1_700_000_000_007, 7) == "2023-11-14T22:13:20.0070000Z"
