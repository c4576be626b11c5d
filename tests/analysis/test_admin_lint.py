"""Lint, diff and reach with security admin rules, by hand; and what lint says of a budget."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from nsgd.analysis.difference import compare
from nsgd.analysis.findings import Finding, Kind
from nsgd.analysis.flow_text import packet_text
from nsgd.analysis.lint import lint
from nsgd.model.admin import (
    AdminAccess,
    AdminAddress,
    AzureService,
    RuleCollection,
    SecurityAdminConfiguration,
    SecurityAdminRule,
)
from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.platform import Subscription, SubscriptionKind
from nsgd.model.rule import Direction, Protocol, RuleAddress, SecurityRule
from nsgd.spaces.budget import Budget
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    group,
    nic,
    port_ranges,
    prefixes,
    rule,
    side,
    subnet,
)

ALWAYS, MAY, NEVER = AdminAccess.ALWAYS_ALLOW, AdminAccess.ALLOW, AdminAccess.DENY
HUB = VirtualNetwork("hub", prefixes("10.0.0.0/16"), (subnet("s", "10.0.1.0/24", "g"),))
SPOKE = VirtualNetwork("spoke", prefixes("10.1.0.0/16"), (subnet("s", "10.1.1.0/24"),))


def admin(
    name: str,
    access: AdminAccess,
    source: str = "*",
    ports: str = "*",
    *,
    priority: int = 10,
    direction: Direction = INBOUND,
    destination: str = "*",
) -> SecurityAdminRule:
    return SecurityAdminRule(
        name,
        priority,
        direction,
        access,
        Protocol.TCP if ports != "*" else Protocol.ANY,
        sources=entries(source),
        destinations=entries(destination),
        destination_ports=port_ranges(ports),
    )


def entries(text: str) -> tuple[AdminAddress, ...]:
    found: list[RuleAddress] = [side(part) for part in text.split(",")]
    return tuple(found)  # type: ignore[arg-type]


def model(
    *rules: SecurityAdminRule,
    of_group: tuple[SecurityRule, ...] = (),
    to: tuple[str, ...] = ("hub", "spoke"),
) -> NetworkModel:
    """Two networks with the rules; one has a group."""
    configuration = SecurityAdminConfiguration("base", (RuleCollection("c", to, rules),))
    return NetworkModel(
        (HUB, SPOKE),
        (nic("vm", "10.0.1.4", "s", network="hub"),),
        (group("g", *of_group),),
        security_admin_configurations=(configuration,),
    )


def found(linted: NetworkModel, kind: Kind | None = None) -> list[Finding]:
    result = lint(linted, Budget())
    assert not result.unfinished
    return [each for each in result.findings if kind in (None, each.kind)]


def told(linted: NetworkModel) -> list[tuple[str, str | None]]:
    return [(each.kind.identity, each.rule) for each in found(linted)]


SSH = rule("ssh", 100, INBOUND, DENY, "Tcp", source="10.9.0.0/16", ports="22")
LOW = rule("low", 120, INBOUND, ALLOW, "Tcp", source="10.8.0.0/15", ports="0-400")
WEB = rule("web", 110, INBOUND, ALLOW, "Tcp", source="10.9.0.0/16", ports="443")


# -- rules of administrators -----------------------------------------------------------


def test_a_rule_behind_a_wider_one() -> None:
    """It is named as reports name it, with a packet of a network that has both."""
    rules = (admin("wide", NEVER, "10.8.0.0/15"), admin("in", ALWAYS, "10.9.0.0/16", priority=11))
    (finding,) = found(model(*rules))
    assert (finding.kind, finding.group) == (Kind.NEVER_MATCHES, "")
    assert finding.rule == "securityAdminRules/in"
    assert finding.message == "can never match: securityAdminRules/wide decides all that it matches"
    assert [tuple(other) for other in finding.others] == [("", "securityAdminRules/wide")]
    assert finding.witness is not None
    assert finding.subnet is not None
    assert packet_text(finding.witness).startswith("Tcp 10.9.0.4:50000 > 10.")


def test_what_matches_in_one_network_matches() -> None:
    """A collection of one network covers nothing in another; together they may cover."""
    rules = model(admin("tail", NEVER, "10.9.0.0/16", priority=20)).security_admin_configurations
    (configuration,) = rules
    wide = RuleCollection("w", ("spoke",), (admin("wide", NEVER, "10.8.0.0/15"),))
    other = RuleCollection("o", ("hub",), (admin("other", NEVER, "10.9.0.0/16", priority=12),))
    (tail,) = configuration.rule_collections
    some = replace(configuration, rule_collections=(wide, tail))
    assert told(replace(model(), security_admin_configurations=(some,))) == []
    every = replace(configuration, rule_collections=(wide, other, tail))
    linted = replace(model(), security_admin_configurations=(every,))
    (finding,) = found(linted, Kind.NEVER_MATCHES)
    assert [each.rule for each in finding.others] == [
        "securityAdminRules/wide",
        "securityAdminRules/other",
    ]


def test_an_allow_that_is_an_exception_of_nothing() -> None:
    """Allow leaves it to the groups, and so does no rule at all."""
    allow = admin("allow", MAY, "10.9.0.0/16", "443")
    (finding,) = found(model(allow))
    assert finding.kind is Kind.CHANGES_NOTHING
    assert finding.others == ()
    assert "groups are asked of all that it decides too" in finding.message
    deny = admin("deny", NEVER, "10.8.0.0/15", "443", priority=20)
    assert told(model(allow, deny)) == []
    # AlwaysAllow is an exception of groups.
    assert told(model(admin("always", ALWAYS, "10.9.0.0/16", "443"))) == []


def test_always_allow_and_deny_that_others_repeat() -> None:
    """What follows must be the same: an Allow behind an AlwaysAllow is something else."""
    for access in (ALWAYS, NEVER):
        ahead = admin("ahead", access, "10.9.0.0/16", "443")
        (finding,) = found(model(ahead, admin("behind", access, "10.8.0.0/15", priority=20)))
        assert (finding.kind, finding.rule) == (Kind.CHANGES_NOTHING, "securityAdminRules/ahead")
        assert f"{access.value} by others too, as by securityAdminRules/behind" in finding.message
    always = admin("always", ALWAYS, "10.9.0.0/16", "443")
    assert ("changes-nothing", "securityAdminRules/always") not in told(
        model(always, admin("may", MAY, "10.8.0.0/15", priority=20))
    )


def test_a_last_denial_is_deliberate_but_for_the_platform() -> None:
    """Where no group's rule denies DNS, a security admin rule does."""
    last = admin("last", NEVER, priority=4096)
    assert told(model(last, admin("web", MAY, "10.9.0.0/16", "443"))) == []
    outbound = replace(last, direction=OUTBOUND)
    (finding,) = found(model(outbound))
    assert (finding.kind, finding.rule) == (Kind.DENIES_PLATFORM, "securityAdminRules/last")
    assert finding.witness is not None
    assert packet_text(finding.witness) == "Udp 10.0.1.4:50000 > 168.63.129.16:67"


def test_pairs_that_overlap_in_part() -> None:
    """Of Deny and AlwaysAllow, as of groups; nested ranges are exceptions."""
    low = admin("low", ALWAYS, "10.9.0.0/16", "80-100")
    (finding,) = found(model(low, admin("high", NEVER, "10.9.0.0/16", "90-110", priority=20)))
    assert finding.kind is Kind.CONFLICTING_RULES
    assert [each.rule for each in finding.others] == ["securityAdminRules/low"]
    assert told(model(low, admin("all", NEVER, "10.9.0.0/16", "80-110", priority=20))) == []


def test_open_ports() -> None:
    """AlwaysAllow opens whatever groups say; an Allow where there is no group."""
    always = admin("always", ALWAYS, "*", "22")
    (finding,) = found(model(always), Kind.MANAGEMENT_PORT_OPEN)
    assert finding.rule == "securityAdminRules/always"
    may = replace(always, access=MAY)
    (finding,) = found(model(may), Kind.MANAGEMENT_PORT_OPEN)
    assert finding.subnet == "spoke/s"
    assert found(model(may, to=("hub",)), Kind.MANAGEMENT_PORT_OPEN) == []


def test_probes() -> None:
    """A Deny of VirtualNetwork holds the address that probes come from."""
    web = admin("web", MAY, "10.9.0.0/16", "443", priority=9)
    deny = admin("deny", NEVER, "tag:VirtualNetwork", "400-500")
    (finding,) = found(model(web, deny), Kind.DENIES_PROBES)
    assert finding.rule == "securityAdminRules/deny"


def test_addresses_that_nothing_has() -> None:
    """Of all entries, in all networks that the rule is applied in."""
    public = admin("public", NEVER, ports="443", destination="20.0.0.4,20.0.0.5")
    (finding,) = found(model(public))
    assert finding.kind is Kind.NO_SUCH_ADDRESS
    assert "is of nothing that it is applied to" in finding.message
    assert told(model(replace(public, destinations=entries("20.0.0.4,10.1.1.0/24")))) == []
    assert told(model(replace(public, destinations=entries("20.0.0.4,tag:Internet")))) == []


def test_a_rule_that_is_applied_nowhere() -> None:
    """No network, no subnet that Azure applies it in."""
    deny = admin("deny", NEVER, "10.9.0.0/16")
    assert told(model(deny, to=())) == [("applied-nowhere", "securityAdminRules/deny")]
    (own,) = SPOKE.subnets
    exempt = replace(SPOKE, subnets=(replace(own, services=(AzureService.BASTION,)),))
    bastion = replace(model(deny, to=("spoke",)), virtual_networks=(HUB, exempt))
    assert told(bastion) == [("applied-nowhere", "securityAdminRules/deny")]
    assert told(model(deny, to=("spoke",))) == []


def test_what_the_platform_denies_anyway() -> None:
    """AlwaysAllow of SMTP, where the subscription may not send any."""
    smtp = admin("smtp", ALWAYS, ports="25", direction=OUTBOUND, destination="20.0.0.0/16")
    free = Subscription(SubscriptionKind.FREE_TRIAL, date(2024, 1, 1))
    (finding,) = found(replace(model(smtp), subscription=free), Kind.DENIED_ELSEWHERE)
    assert finding.rule == "securityAdminRules/smtp"
    assert [each.rule for each in finding.others] == ["platformRules/DenySmtpOutBound"]
    # That an Allow leaves to groups what they deny is how it is meant.
    no_web = rule("no", 100, INBOUND, DENY, "Tcp", source="10.9.0.0/16", ports="443")
    allow = admin("allow", MAY, "10.9.0.0/16", "443", priority=5)
    deny = admin("deny", NEVER, "10.8.0.0/15", priority=20)
    more = replace(LOW, destination_ports=port_ranges("443-444"))
    linted = model(allow, deny, of_group=(no_web, more), to=("hub",))
    assert "denied-elsewhere" not in [kind for kind, rule in told(linted) if rule != "low"]


# -- what they make of groups ----------------------------------------------------------


def test_a_deny_that_always_allow_overrides() -> None:
    """It denies nothing; the packet passes."""
    always = admin("always", ALWAYS, "10.8.0.0/15", "20-30")
    (finding,) = found(model(always, of_group=(SSH, WEB, LOW)))
    assert (finding.kind, finding.group, finding.rule) == (Kind.ALWAYS_ALLOWED, "g", "ssh")
    assert [each.rule for each in finding.others] == ["securityAdminRules/always"]
    assert finding.witness is not None
    assert packet_text(finding.witness) == "Tcp 10.9.0.4:50000 > 10.0.1.4:22"
    some = admin("some", ALWAYS, "10.9.0.0/17", "22")
    assert told(model(some, of_group=(SSH, WEB, LOW))) == []


def test_rules_that_are_never_asked() -> None:
    """An Allow behind AlwaysAllow, and a Deny behind a Deny, do nothing and harm nobody."""
    always = admin("always", ALWAYS, "10.8.0.0/15", "443")
    assert told(model(always, of_group=(SSH, WEB, LOW))) == [("never-asked", "web")]
    never = admin("never", NEVER, "10.8.0.0/15", "22")
    assert told(model(never, of_group=(SSH, WEB, LOW))) == [("never-asked", "ssh")]
    # An Allow that is denied is told as before.
    no_web = admin("noWeb", NEVER, "10.8.0.0/15", "443")
    assert told(model(no_web, of_group=(SSH, WEB, LOW))) == [("denied-elsewhere", "web")]
    # After an Allow, groups are asked.
    may = admin("may", MAY, "10.8.0.0/15", "22", priority=5)
    assert told(model(may, never, of_group=(SSH, WEB, LOW))) == [
        ("never-matches", "securityAdminRules/never")
    ]


def test_who_is_asked_elsewhere_counts() -> None:
    """Where the group is attached without security admin rules, its rules decide."""
    always = admin("always", ALWAYS, "10.8.0.0/15", "22")
    spoke = replace(SPOKE, subnets=(subnet("s", "10.1.1.0/24", "g"),))
    both = replace(model(always, of_group=(SSH, LOW)), virtual_networks=(HUB, spoke))
    assert told(both) == [("always-allowed", "ssh")]
    hub_alone = model(always, of_group=(SSH, LOW), to=("hub",))
    assert told(replace(hub_alone, virtual_networks=(HUB, spoke))) == []


# -- budget ----------------------------------------------------------------------------


def test_beyond_the_budget_is_said_where_there_is_no_group() -> None:
    """Of a network without groups too."""
    rules = (
        admin("probe", NEVER, "168.63.129.16/31", "430-440", priority=8),
        admin("web", MAY, "168.63.129.0/24", "420-443", priority=9),
        admin("deny", NEVER, "tag:VirtualNetwork", "400-500"),
    )
    result = lint(
        replace(model(*rules, to=("spoke",)), virtual_networks=(SPOKE,), network_interfaces=()),
        Budget(1),
    )
    assert {(each.kind, each.rule) for each in result.unfinished if not each.group} >= {
        (Kind.DENIES_PROBES, None),
        (Kind.NEVER_MATCHES, "securityAdminRules/deny"),
    }


# -- diff ------------------------------------------------------------------------------


def test_diff_tells_changes_of_security_admin_rules() -> None:
    """At every resource of the network, with and without a group."""
    before = model(admin("deny", NEVER, "10.9.0.0/16", "22"), of_group=(WEB,))
    after = model(admin("deny", NEVER, "10.9.0.0/16", "443"), of_group=(WEB,))
    difference = compare(before, after, Budget())
    assert not difference.undetermined
    changes = {
        (
            str(each.sites[0].subject),
            *(
                (verdict.access.value, verdict.decision.rule if verdict.decision else None)
                for verdict in (change.before, change.after)
            ),
        )
        for each in difference.differences
        for change in each.changes
    }
    rest = "undeclared resources of subnet spoke/s"
    assert {each for each in changes if each[0] == rest} == {
        (rest, ("Deny", "securityAdminRules/deny"), ("Allow", None)),
        (rest, ("Allow", None), ("Deny", "securityAdminRules/deny")),
    }
    of_hub = {each[1:] for each in changes if each[0] != rest}
    assert (("Allow", "web"), ("Deny", "securityAdminRules/deny")) in of_hub


def test_diff_is_silent_where_groups_decide_alike() -> None:
    """An Allow that becomes none, another name, and the order of rules that never meet."""
    deny = admin("deny", NEVER, "10.9.0.0/16", "22")
    before = model(admin("allow", MAY, "10.8.0.0/16", priority=5), deny, of_group=(WEB,))
    after = model(replace(deny, name="other", priority=300), of_group=(WEB,))
    assert compare(before, after, Budget()).differences == ()
    always = model(admin("allow", ALWAYS, "10.8.0.0/16", priority=5), deny, of_group=(WEB,))
    assert compare(before, always, Budget()).differences != ()
