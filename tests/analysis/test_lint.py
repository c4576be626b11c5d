"""Each finding by hand: what is found, what shows it, and what is near it and is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nsgd.analysis.findings import Finding, Kind
from nsgd.analysis.flow_text import packet_text
from nsgd.analysis.lint import lint
from nsgd.model.address import Prefix
from nsgd.model.dialect import DIALECT_2017
from nsgd.model.network import (
    ApplicationSecurityGroup,
    NetworkModel,
    NetworkSecurityGroup,
    ServiceTagPrefixes,
    VirtualNetwork,
)
from nsgd.model.rule import SecurityRule
from nsgd.spaces.budget import Budget
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    group,
    nic,
    prefixes,
    rule,
    subnet,
)

NETWORK = VirtualNetwork("vnet", prefixes("10.0.0.0/16"), (subnet("s", "10.0.1.0/24", "g"),))
TAGS = (
    ServiceTagPrefixes("Storage", prefixes("20.0.0.0/16", "20.1.0.0/16")),
    ServiceTagPrefixes("Storage.WestEurope", prefixes("20.1.0.0/16")),
)
BACKSTOP = rule("last", 4096, INBOUND, DENY)


def model(*rules: SecurityRule, others: tuple[NetworkSecurityGroup, ...] = ()) -> NetworkModel:
    """A subnet with the rules, and one interface."""
    return NetworkModel((NETWORK,), (nic("vm", "10.0.1.4", "s"),), (group("g", *rules), *others))


def found(linted: NetworkModel, kind: Kind) -> list[Finding]:
    result = lint(linted, Budget())
    assert not result.unfinished
    return [finding for finding in result.findings if finding.kind is kind]


def rules_found(*rules: SecurityRule, kind: Kind) -> list[str | None]:
    return [finding.rule for finding in found(model(*rules), kind)]


def web(name: str, priority: int, **fields: str) -> SecurityRule:
    """An Allow of TCP 80 from some network."""
    return rule(
        name, priority, INBOUND, ALLOW, "Tcp", **{"source": "10.9.0.0/16", "ports": "80", **fields}
    )


# -- never-matches ---------------------------------------------------------------------


def test_a_rule_behind_a_wider_one() -> None:
    """It is named, and a packet that the rule was for."""
    wide = rule("wide", 100, INBOUND, DENY, source="10.9.0.0/16")
    (finding,) = found(model(wide, web("narrow", 200)), Kind.NEVER_MATCHES)
    assert finding.rule == "narrow"
    assert [other.rule for other in finding.others] == ["wide"]
    assert finding.message == "can never match: wide decides all that it matches"
    assert finding.witness is not None
    assert packet_text(finding.witness) == "Tcp 10.9.0.4:50000 > 10.0.1.4:80"


def test_a_rule_behind_several_that_cover_it_together() -> None:
    """Those that add nothing are not named."""
    halves = (
        web("low", 100, source="10.9.0.0/17"),
        web("other", 110, source="10.9.0.0/18"),
        web("high", 120, source="10.9.128.0/17", ports="80-90"),
    )
    (finding,) = found(model(*halves, web("both", 200)), Kind.NEVER_MATCHES)[-1:]
    assert finding.rule == "both"
    assert [other.rule for other in finding.others] == ["low", "high"]
    nearly = (web("low", 100, source="10.9.0.0/17"), web("high", 120, source="10.9.128.0/18"))
    assert rules_found(*nearly, web("both", 200), kind=Kind.NEVER_MATCHES) == []


def test_both_ip_versions_count() -> None:
    """A rule for every address matches IPv6 behind one for all of IPv4."""
    ipv4 = rule("ipv4", 100, INBOUND, DENY, source="0.0.0.0/0")
    linted = model(ipv4, web("any", 200, source="*"))
    assert [f.rule for f in found(linted, Kind.NEVER_MATCHES)] == ["any"]  # nothing has IPv6 here
    both = replace(NETWORK, address_space=prefixes("10.0.0.0/16", "fd00::/48"))
    assert found(replace(linted, virtual_networks=(both,)), Kind.NEVER_MATCHES) == []


def test_every_view_counts() -> None:
    """A group of two networks: what matches in one of them matches."""
    member = rule("member", 100, INBOUND, ALLOW, source="asg:a")
    vnet = rule("vnet", 90, INBOUND, DENY, source="tag:VirtualNetwork")
    other = replace(NETWORK, name="other", address_space=prefixes("10.2.0.0/16"))
    other = replace(other, subnets=(subnet("s", "10.2.1.0/24", "g"),))
    inside = replace(
        model(vnet, member),
        network_interfaces=(nic("vm", "10.0.1.4", "s", asgs=("a",)),),
        application_security_groups=(ApplicationSecurityGroup("a", "vnet"),),
    )
    assert [f.rule for f in found(inside, Kind.NEVER_MATCHES)] == ["member"]
    both = replace(inside, virtual_networks=(NETWORK, other))
    assert [f.rule for f in found(both, Kind.NEVER_MATCHES)] == ["member"]
    seen = web("seen", 100, source="tag:VirtualNetwork")  # of the other network too
    ahead = rule("ahead", 90, INBOUND, DENY, source="10.0.0.0/16,168.63.129.16")
    once = replace(inside, network_security_groups=(group("g", ahead, seen),))
    assert [f.rule for f in found(once, Kind.NEVER_MATCHES)] == ["seen"]
    assert found(replace(once, virtual_networks=(NETWORK, other)), Kind.NEVER_MATCHES) == []


# -- changes-nothing -------------------------------------------------------------------


def test_a_rule_that_others_make_superfluous() -> None:
    """Behind it the same is decided, though not by one rule."""
    (finding,) = found(model(web("inside", 100, source="10.0.0.0/16")), Kind.CHANGES_NOTHING)
    assert finding.rule == "inside"
    assert [other.rule for other in finding.others] == ["AllowVnetInBound"]
    assert rules_found(web("outside", 100), kind=Kind.CHANGES_NOTHING) == []
    exception = rule("but", 200, INBOUND, DENY, source="10.0.9.0/24")
    kept = rules_found(
        web("inside", 100, source="10.0.0.0/16"), exception, kind=Kind.CHANGES_NOTHING
    )
    assert kept == []


def test_deliberate_backstops_and_default_rules_yield_nothing() -> None:
    """A last Deny of everything, whether or not it changes something; nor do the defaults."""
    assert lint(model(), Budget()).findings == ()
    assert lint(model(BACKSTOP), Budget()).findings == ()
    out = rule("last-out", 4096, OUTBOUND, DENY)
    assert lint(model(web("w", 100), BACKSTOP, out), Budget()).findings == ()
    nothing_left = rule("vnet", 100, INBOUND, DENY, source="tag:VirtualNetwork")
    balancer = rule("lb", 110, INBOUND, DENY, source="tag:AzureLoadBalancer")
    assert {f.rule for f in lint(model(nothing_left, balancer, BACKSTOP), Budget()).findings} <= {
        "vnet",
        "lb",
    }


# -- conflicting-rules -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "is_conflict"),
    [
        ({"ports": "80-100"}, {"ports": "90-110"}, True),
        ({"ports": "80,443"}, {"ports": "443,8443"}, True),
        ({"source": "10.9.0.0/24,10.9.1.0/24"}, {"source": "10.9.1.0/24,10.9.2.0/24"}, True),
        ({"ports": "80-100"}, {"ports": "80-110"}, False),  # an exception, and the rest
        ({"ports": "80-100"}, {"ports": "101-110"}, False),
        ({"source": "10.9.0.0/24", "ports": "*"}, {"ports": "80"}, False),  # they cross
        ({"source": "tag:VirtualNetwork"}, {"source": "tag:Internet"}, False),  # at one address
        ({"ports": "80-100", "source": "10.8.0.0/16"}, {"ports": "90-110"}, False),
    ],
)
def test_overlaps_in_part(first: dict[str, str], second: dict[str, str], is_conflict: bool) -> None:
    """Where two lists or ranges of one field overlap and neither holds the other."""
    allow = web("allow", 100, **first)
    deny = replace(web("deny", 200, **second), access=DENY)
    findings = found(model(allow, deny), Kind.CONFLICTING_RULES)
    assert [finding.rule for finding in findings] == (["deny"] if is_conflict else [])
    for finding in findings:
        assert [other.rule for other in finding.others] == ["allow"]
    assert found(model(allow, replace(deny, access=ALLOW)), Kind.CONFLICTING_RULES) == []


# -- what other tables do --------------------------------------------------------------


def test_an_allow_that_the_other_group_denies() -> None:
    """Of the interface's group what the subnet's denies, everywhere where it is asked."""
    opening = group("n", web("open", 100, source="tag:Internet", ports="8080"))
    shut = (rule("shut", 100, INBOUND, DENY, "Tcp", ports="8080"),)
    linted = replace(
        model(*shut, others=(opening,)), network_interfaces=(nic("vm", "10.0.1.4", "s", "n"),)
    )
    (finding,) = found(linted, Kind.DENIED_ELSEWHERE)
    assert (finding.group, finding.rule) == ("n", "open")
    assert [tuple(other) for other in finding.others] == [("g", "shut")]
    open_there = replace(NETWORK, subnets=(*NETWORK.subnets, subnet("free", "10.0.2.0/24", "n")))
    assert found(replace(linted, virtual_networks=(open_there,)), Kind.DENIED_ELSEWHERE) == []


@pytest.mark.parametrize(
    ("fields", "ports"),
    [
        ({"source": "tag:Internet", "ports": "22"}, "22 (SSH)"),
        ({"source": "*", "ports": "*"}, "22 (SSH), 23 (Telnet), 135 (RPC), 445 (SMB)"),
        ({"source": "0.0.0.0/1,128.0.0.0/1", "ports": "3389"}, "3389 (RDP)"),
        ({"source": "198.0.0.0/7", "ports": "5985-5986"}, "5985 (WinRM), 5986 (WinRM over TLS)"),
        ({"source": "203.0.113.0/24", "ports": "22"}, None),  # an administrator's
        ({"source": "10.0.0.0/8,11.0.0.0/9", "ports": "22"}, None),  # half a /8 is public
        ({"source": "tag:Internet", "ports": "443"}, None),
        ({"source": "tag:Internet", "ports": "22", "destination": "10.0.2.0/24"}, None),
    ],
)
def test_management_ports(fields: dict[str, str], ports: str | None) -> None:
    """Open to much of the Internet, at an address that is asked by the rule."""
    findings = found(model(web("open", 100, **fields)), Kind.MANAGEMENT_PORT_OPEN)
    assert len(findings) == (ports is not None)
    for finding in findings:
        assert finding.message.startswith(f"opens TCP {ports}")


def test_a_management_port_that_another_table_shuts_is_not_open() -> None:
    """Only what passes all of them is."""
    ssh = web("ssh", 100, source="*", ports="22")
    both = replace(
        model(ssh, others=(group("n", web("other", 100)),)),
        network_interfaces=(nic("vm", "10.0.1.4", "s", "n"),),
    )
    only_vm = replace(NETWORK, subnets=(subnet("s", "10.0.1.4/32", "g"),))
    assert found(replace(both, virtual_networks=(only_vm,)), Kind.MANAGEMENT_PORT_OPEN) == []
    assert len(found(both, Kind.MANAGEMENT_PORT_OPEN)) == 1  # the subnet has other addresses


def test_probes_that_are_denied_by_chance() -> None:
    """VirtualNetwork holds the address that they come from."""
    service = web("service", 100)
    vnet = rule("vnet", 4000, INBOUND, DENY, source="tag:VirtualNetwork")
    (finding,) = found(model(service, vnet), Kind.DENIES_PROBES)
    assert finding.rule == "vnet"
    assert finding.witness is not None
    assert packet_text(finding.witness) == "Tcp 168.63.129.16:50000 > 10.0.1.4:80"
    probes = rule("probes", 90, INBOUND, ALLOW, source="tag:AzureLoadBalancer")
    assert found(model(probes, service, vnet), Kind.DENIES_PROBES) == []
    assert found(model(vnet), Kind.DENIES_PROBES) == []  # nothing is served
    everything = rule("shut", 4000, INBOUND, DENY, "Tcp")
    assert found(model(service, everything, web("late", 4001)), Kind.DENIES_PROBES) == []


def test_platform_services_that_are_denied() -> None:
    """By the tags that reach them; in 2017 by any rule on their addresses."""
    dns = rule("dns", 100, OUTBOUND, DENY, destination="platform:DNS")
    (finding,) = found(model(dns), Kind.DENIES_PLATFORM)
    assert finding.message.startswith("denies DNS, DNS over TCP, which")
    internet = rule("internet", 100, OUTBOUND, DENY, destination="tag:Internet")
    assert found(model(internet), Kind.DENIES_PLATFORM) == []
    old = replace(model(internet), dialect=DIALECT_2017)
    (finding,) = found(old, Kind.DENIES_PLATFORM)
    assert "DHCP, DNS, DNS over TCP, the agent" in finding.message


# -- declarations ----------------------------------------------------------------------


def test_empty_groups() -> None:
    """Without a member that the group's network sees; and nothing else is said of the rule."""
    for_members = rule("members", 100, INBOUND, DENY, destination="asg:a")
    linted = replace(
        model(for_members), application_security_groups=(ApplicationSecurityGroup("a"),)
    )
    assert [(f.kind, f.rule) for f in lint(linted, Budget()).findings] == [
        (Kind.EMPTY_GROUP, "members")
    ]
    joined = replace(linted, network_interfaces=(nic("vm", "10.0.1.4", "s", asgs=("a",)),))
    assert lint(joined, Budget()).findings == ()
    # A document of groups alone does not know who is a member.
    assert found(replace(linted, network_interfaces=()), Kind.EMPTY_GROUP) == []


def test_unattached_groups() -> None:
    """Where there is something to attach them to; their rules are looked at all the same."""
    spare = group("spare", web("ssh", 100, source="*", ports="22"))
    findings = lint(model(others=(spare,)), Budget()).findings
    assert {(f.kind, f.group, f.rule) for f in findings} == {
        (Kind.UNATTACHED_GROUP, "spare", None),
        (Kind.MANAGEMENT_PORT_OPEN, "spare", "ssh"),
    }
    alone = NetworkModel(network_security_groups=(spare,))
    (finding,) = lint(alone, Budget()).findings
    assert (finding.kind, finding.subnet) == (Kind.MANAGEMENT_PORT_OPEN, None)


def test_addresses_that_nothing_has() -> None:
    """The rule's own side, as where a public address was written."""
    public = web("public", 100, destination="52.1.2.3")
    (finding,) = found(model(public), Kind.NO_SUCH_ADDRESS)
    assert "destination 52.1.2.3" in finding.message
    assert rules_found(web("own", 100, destination="10.0.1.0/28"), kind=Kind.NO_SUCH_ADDRESS) == []
    outbound = rule("out", 100, OUTBOUND, DENY, destination="52.1.2.3")
    assert rules_found(outbound, kind=Kind.NO_SUCH_ADDRESS) == []
    ipv6 = web("ipv6", 100, source="2a00::/16", destination="2a01::/16")
    assert rules_found(ipv6, kind=Kind.NO_SUCH_ADDRESS) == []


def test_tags_wider_than_the_region_in_use() -> None:
    """The packet is of another region."""
    wide = rule("wide", 200, OUTBOUND, ALLOW, destination="published:Storage")
    narrow = rule("narrow", 100, OUTBOUND, ALLOW, destination="published:Storage.WestEurope")
    linted = replace(model(wide, narrow), service_tags=TAGS)
    (finding,) = found(linted, Kind.WIDE_TAG)
    assert finding.rule == "wide"
    assert finding.witness is not None
    address = finding.witness.destination
    assert Prefix.parse("20.0.0.0/16").first <= address <= Prefix.parse("20.0.0.0/16").last
    assert found(replace(model(wide), service_tags=TAGS[:1]), Kind.WIDE_TAG) == []
    parts = (
        ServiceTagPrefixes("Frontier", prefixes("20.0.0.0/15")),
        ServiceTagPrefixes("Frontier.Backend", prefixes("20.1.0.0/16")),
    )
    no_region = rule("wide", 200, OUTBOUND, ALLOW, destination="published:Frontier")
    part = rule("part", 100, OUTBOUND, ALLOW, destination="published:Frontier.Backend")
    assert found(replace(model(no_region, part), service_tags=parts), Kind.WIDE_TAG) == []


# -- budget ----------------------------------------------------------------------------


def test_what_is_too_much_is_named() -> None:
    """Each rule for itself: a question without an answer, and no finding."""
    rules = [
        rule(f"r{i}", 100 + i, INBOUND, DENY, "Tcp", source=f"10.9.{i}.0/25", ports=f"{i}-{i + 40}")
        for i in range(20)
    ]
    covered = web("covered", 900, source="10.9.0.0/16", ports="1-60")
    result = lint(model(*rules, covered), Budget(20))
    assert ("g", "covered") in {(each.group, each.rule) for each in result.unfinished}
    assert not lint(model(*rules, covered), Budget()).unfinished


def test_steps_stay_few() -> None:
    """A thousand rules of a usual kind cost some steps each, whatever the machine."""
    rules = [
        web(f"r{i}", 100 + i, source=f"10.{i % 200}.{i % 7}.0/24", ports=str(1000 + i))
        for i in range(1000)
    ]
    budget = Budget(200_000)
    result = lint(model(*rules), budget)
    assert not result.unfinished
    assert budget.spent < 200_000
