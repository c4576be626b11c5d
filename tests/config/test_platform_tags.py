"""Rules with tags of platform traffic: Deny only, and for DNS every protocol and port."""

from __future__ import annotations

import pytest

from nsgd.model.rule import Access, PlatformService, PlatformTag
from tests.config.documents import Raw, group, load, refuse, refuse_one, rule

RULE = "networkSecurityGroups[0].securityRules[0]"
ANY_PORTS = {"sourcePortRange": "*", "destinationPortRange": "*"}


def denying(tag: str = "AzurePlatformDNS", side: str = "destination", **fields: object) -> Raw:
    """A document with one good rule of the tag, some fields changed."""
    other = "source" if side == "destination" else "destination"
    good: Raw = {
        "direction": "Outbound",
        "access": "Deny",
        "protocol": "*",
        **ANY_PORTS,
        f"{side}AddressPrefix": tag,
        f"{other}AddressPrefix": "*",
    }
    return group(rule(**{**good, **fields}))


@pytest.mark.parametrize("service", list(PlatformService))
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("direction", ["Inbound", "Outbound"])
def test_deny(service: PlatformService, side: str, direction: str) -> None:
    """In every position, spelt in any case."""
    document = denying(service.value.upper(), side, direction=direction)
    (found,) = load(document).model.network_security_groups[0].security_rules
    assert (found.source if side == "source" else found.destination) == PlatformTag(service)
    assert found.access is Access.DENY
    assert load(document).model.service_tags == ()


@pytest.mark.parametrize("service", list(PlatformService))
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("direction", ["Inbound", "Outbound"])
def test_allow_is_refused(service: PlatformService, side: str, direction: str) -> None:
    """With Azure's code, in every position."""
    path, message, way_out = refuse_one(
        denying(service.value, side, direction=direction, access="Allow")
    )
    assert path == f"{RULE}.access"
    assert message == (
        f"'AllowHttp' of 'web': SecurityRuleInvalidAccessType: a rule with {service.value} can "
        "only deny"
    )
    assert way_out.startswith("write access: Deny")


@pytest.mark.parametrize(
    ("fields", "key", "message"),
    [
        ({"protocol": "Udp"}, "protocol", "has '*' as protocol, not 'Udp'"),
        ({"protocol": "Tcp"}, "protocol", "has '*' as protocol, not 'Tcp'"),
        ({"protocol": "Icmp"}, "protocol", "has '*' as protocol, not 'Icmp'"),
        ({"destinationPortRange": 53}, "destinationPortRange", "has '*' as ports, not 53"),
        ({"sourcePortRange": "1-65535"}, "sourcePortRange", "has '*' as ports, not 1-65535"),
        (
            {"destinationPortRange": None, "destinationPortRanges": [53, "80-81"]},
            "destinationPortRanges",
            "has '*' as ports, not 53, 80-81",
        ),
        (
            {"destinationPortRange": None, "destinationPortRanges": ["0-65535", 53]},
            "destinationPortRanges",
            "has '*' as ports, not 0-65535, 53",
        ),
    ],
)
@pytest.mark.parametrize("side", ["source", "destination"])
def test_dns_has_every_protocol_and_port(fields: Raw, key: str, message: str, side: str) -> None:
    """Others may have theirs; the tag's own port is 53 whatever the rule says."""
    path, found, _ = refuse_one(denying(side=side, **fields))
    assert path == f"{RULE}.{key}"
    assert found.endswith(f"a rule with AzurePlatformDNS {message}")
    for tag in ("AzurePlatformIMDS", "AzurePlatformLKM"):
        load(denying(tag, side, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"sourcePortRange": "0-65535"},
        {"sourcePortRange": None, "sourcePortRanges": ["*"]},
        {"destinationPortRange": "", "destinationPortRanges": ["0-65535"]},
    ],
)
def test_other_ways_to_write_every_port(fields: Raw) -> None:
    """They mean the same."""
    assert load(denying(**fields)) == load(denying())


def test_all_problems_at_once() -> None:
    """Also those of the tag on the other side, and of a rule that has others."""
    document = denying(
        sourceAddressPrefix="AzurePlatformIMDS",
        access="Allow",
        protocol="Tcp",
        sourcePortRange=1,
        destinationPortRange=53,
        priority=99,
    )
    keys = [problem.path.rpartition(".")[2] for problem in refuse(document)]
    assert sorted(keys) == sorted(
        ["priority", "access", "protocol", "sourcePortRange", "destinationPortRange"]
    )


def test_a_part_that_was_refused_is_not_judged_again() -> None:
    """One mistake, one problem."""
    assert refuse_one(denying(access="Permit"))[0] == f"{RULE}.access"
    assert refuse_one(denying(protocol="Sctp"))[0] == f"{RULE}.protocol"
    assert refuse_one(denying(destinationPortRange="x"))[0] == f"{RULE}.destinationPortRange"
    plural: Raw = {"destinationPortRange": None, "destinationPortRanges": ["x"]}
    assert refuse_one(denying(**plural))[0] == f"{RULE}.destinationPortRanges[0]"
    absent: Raw = {"destinationPortRange": None}
    assert refuse_one(denying(**absent))[1].endswith("destinationPortRange is missing")
