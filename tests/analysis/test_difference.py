"""The difference holds every flow whose verdict changes, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nsgd.analysis.changes import PolicyDifference, SiteDifference, Verdict
from nsgd.analysis.difference import compare
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.answers.ip_flow import judge
from nsgd.model.address import Address, Prefix
from nsgd.model.dialect import DIALECT_2017
from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Direction
from nsgd.spaces.budget import Budget
from tests.analysis.agreement import changes_of, forwarding_links
from tests.analysis.drawn import (
    as_header,
    drawn_pair,
    holds,
    tiny_model,
    tiny_packets,
)
from tests.oracle.agreement import load_case
from tests.oracle.ends import EndOracle
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    group,
    nic,
    packet,
    prefixes,
    rule,
    subnet,
)

TINY_PAIRS = 12
DRAWN_PAIRS = 150
PACKETS = 20


def local_of(header: PacketHeader, direction: Direction) -> int:
    return header.destination if direction is INBOUND else header.source


def found_in(
    difference: PolicyDifference, header: PacketHeader, direction: Direction, network: str
) -> list[tuple[Verdict, Verdict]]:
    """The changes whose boxes hold a packet, at sites of one network."""
    return [
        (change.before, change.after)
        for each in difference.differences
        if each.direction is direction
        and each.version == header.version
        and any(site.subject.virtual_network == network for site in each.sites)
        for change in each.changes
        for box in change.boxes
        if holds(box, header)
    ]


def verdict_at(policy: AnalysedPolicy, header: PacketHeader, direction: Direction) -> Verdict:
    """By the trees that decide packets."""
    endpoint = policy.compiled.policy.endpoint_map.by_address(4, local_of(header, direction))
    answer = judge(policy.tables(endpoint if endpoint >= 0 else None, direction), header)
    return Verdict(answer.access, answer.reported)


@pytest.mark.parametrize("number", range(TINY_PAIRS))
def test_brute_force_over_a_tiny_space(number: int) -> None:
    """Every packet is in exactly one box if its verdict changes, and in none if not."""
    before = tiny_model(f"before-{number}")
    after = tiny_model(f"{'after' if number % 4 else 'before'}-{number}")
    if not number % 3:
        after = replace(after, network_interfaces=after.network_interfaces[:1])
    difference = compare(before, after, Budget())
    old, new = AnalysedPolicy(before), AnalysedPolicy(after)
    changed = 0
    for header in tiny_packets():
        for direction in (INBOUND, OUTBOUND):
            verdicts = verdict_at(old, header, direction), verdict_at(new, header, direction)
            found = found_in(difference, header, direction, "vnet")
            is_changed = verdicts[0].access is not verdicts[1].access
            changed += is_changed
            assert found == ([verdicts] if is_changed else []), header
    assert bool(changed) is bool(difference.differences) or any(
        each.version == 6 for each in difference.differences
    )


def test_every_witness_is_confirmed_by_the_oracle() -> None:
    """And packets on the edges of rules are in a box if and only if the oracle says they change."""
    witnesses = changes = 0
    for number in range(DRAWN_PAIRS):
        drawn = drawn_pair(f"difference-{number}", PACKETS)
        if drawn is None:
            continue
        before, after = (load_case(case).model for case in drawn)
        old, new = (EndOracle(case.document, case.tag_files) for case in drawn)
        difference = compare(before, after, Budget())
        assert not difference.undetermined
        for problem in changes_of(difference, old, new, before, after):
            assert problem is None
            witnesses += 1
        if forwarding_links(before, after):
            continue  # drawn packets have no links
        for drawn_packet in drawn[0].packets:
            for direction in (INBOUND, OUTBOUND):
                for network in before.virtual_networks:
                    answers = [
                        oracle.judge_end(
                            direction.value, network.name, drawn_packet._replace(in_link=None)
                        )
                        for oracle in (old, new)
                    ]
                    is_changed = answers[0].access != answers[1].access
                    changes += is_changed
                    found = found_in(difference, as_header(drawn_packet), direction, network.name)
                    assert len(found) == is_changed
    assert witnesses > DRAWN_PAIRS
    assert changes > DRAWN_PAIRS / 4


# -- by hand ---------------------------------------------------------------------------

ALLOW_SSH = rule("ssh", 100, INBOUND, ALLOW, "Tcp", source="10.9.0.0/16", ports="22")


def model(*rules: object, **parts: object) -> NetworkModel:
    """A network with one interface, whose subnet has the rules."""
    network = VirtualNetwork("vnet", prefixes("10.0.0.0/16"), (subnet("s", "10.0.1.0/24", "g"),))
    made = NetworkModel(
        (network,),
        (nic("vm", "10.0.1.4", "s"),),
        (group("g", *rules),),  # type: ignore[arg-type]
    )
    return replace(made, **parts)  # type: ignore[arg-type]


def only(difference: PolicyDifference) -> SiteDifference:
    (found,) = difference.differences
    return found


def test_equal_policies_have_no_difference() -> None:
    """Other names, priorities and spellings of one thing decide nothing."""
    before = model(ALLOW_SSH)
    halves = replace(
        ALLOW_SSH,
        name="other",
        priority=300,
        source=rule("", 100, INBOUND, ALLOW, source="10.9.0.0/17,10.9.128.0/17").source,
    )
    assert compare(before, model(halves), Budget()).is_equal


def test_a_rule_that_never_matched_makes_no_difference() -> None:
    """Though the rules are not the same."""
    shadowed = rule("never", 200, INBOUND, DENY, "Tcp", source="10.9.1.0/24", ports="22")
    assert compare(model(ALLOW_SSH), model(ALLOW_SSH, shadowed), Budget()).is_equal


def test_sites_that_change_alike_are_told_once() -> None:
    """The interface and what else is in its subnet, with all their addresses."""
    found = only(compare(model(), model(ALLOW_SSH), Budget()))
    assert {site.subject.name for site in found.sites} == {"vm", "vnet/s"}
    (change,) = found.changes
    assert (change.before.access, change.after.access) == (DENY, ALLOW)
    assert change.after.decision is not None
    assert change.after.decision.rule == "ssh"
    (box,) = change.boxes
    assert holds(box, packet("10.9.255.255", "10.0.1.255", 22))
    assert not holds(box, packet("10.9.255.255", "10.0.1.255", 23))
    assert not holds(box, packet("10.9.255.255", "10.0.2.0", 22))


def test_a_new_interface_is_compared_with_its_subnet() -> None:
    """By its address: it was a resource of the subnet before."""
    before = model(ALLOW_SSH)
    interfaces = (*before.network_interfaces, nic("new", "10.0.1.9", "s", "g"))
    assert compare(before, replace(before, network_interfaces=interfaces), Budget()).is_equal
    closed = (*before.network_interfaces, nic("new", "10.0.1.9", "s", "closed"))
    groups = (*before.network_security_groups, group("closed", rule("no", 100, INBOUND, DENY)))
    after = replace(before, network_interfaces=closed, network_security_groups=groups)
    found = only(compare(before, after, Budget()))
    (site,) = found.sites
    assert site.before is not None
    assert site.after is not None
    assert (site.before.name, site.after.name) == ("vnet/s", "new")
    assert found.addresses == ((Address.parse("10.0.1.9").value,) * 2,)


def test_what_only_one_policy_declares_is_told() -> None:
    """Even where its traffic passes as it did."""
    before = model()
    network = before.virtual_networks[0]
    more = replace(network, subnets=(*network.subnets, subnet("open", "10.0.2.0/24")))
    difference = compare(before, replace(before, virtual_networks=(more,)), Budget())
    assert [subject.name for subject in difference.only_after] == ["vnet/open"]
    assert not difference.differences
    assert not difference.is_equal
    back = compare(replace(before, virtual_networks=(more,)), before, Budget())
    assert [subject.name for subject in back.only_before] == ["vnet/open"]


def test_a_dialect_changes_what_rules_mean() -> None:
    """GRE is among every protocol now, and was not in 2017."""
    everything = rule("all", 100, INBOUND, ALLOW)
    before = model(everything)
    difference = compare(before, replace(before, dialect=DIALECT_2017), Budget())
    inbound = [each for each in difference.differences if each.direction is INBOUND]
    header = packet("8.8.8.8", "10.0.1.4", protocol=47)
    assert all(
        any(holds(box, header) for box in change.boxes) or each.version == 6
        for each in inbound
        for change in each.changes
    )
    assert found_in(difference, header, INBOUND, "vnet")
    assert not found_in(difference, packet("8.8.8.8", "10.0.1.4", 80), INBOUND, "vnet")


def test_a_forwarding_interface_is_compared_for_every_address() -> None:
    """Its link carries packets of others."""
    gateway = replace(nic("gw", "10.0.1.4", "s", link="eth1"), enable_ip_forwarding=True)
    foreign = rule("foreign", 100, INBOUND, ALLOW, destination="192.0.2.0/24")
    before = model(network_interfaces=(gateway,))
    after = model(foreign, network_interfaces=(gateway,))
    found = compare(before, after, Budget())
    assert found_in(found, packet("8.8.8.8", "192.0.2.1", 80), INBOUND, "vnet")


def test_too_much_is_undetermined_and_named() -> None:
    """Never silence: the sites are there, with direction and version."""
    difference = compare(model(), model(ALLOW_SSH), Budget(3))
    assert not difference.differences
    assert not difference.is_equal
    assert {
        (site.subject.name, each.direction, each.version)
        for each in difference.undetermined
        for site in each.sites
    } == {(name, INBOUND, 4) for name in ("vm", "vnet/s")}


def test_equal_tables_are_not_looked_at() -> None:
    """They cost no step: a budget of none is enough."""
    budget = Budget(0)
    other = model(ALLOW_SSH, rule("out", 100, OUTBOUND, DENY, destination="10.0.0.0/8"))
    assert compare(other, model(*other.network_security_groups[0].security_rules), budget).is_equal


def test_prefixes_are_exact() -> None:
    """One address less is one address of difference."""
    before = model(rule("r", 100, INBOUND, ALLOW, source="192.0.2.0/24"))
    sources = ",".join(
        str(part) for part in (Prefix.parse("192.0.2.0/25"), Prefix.parse("192.0.2.128/26"))
    )
    after = model(rule("r", 100, INBOUND, ALLOW, source=f"{sources},192.0.2.192/27"))
    (change,) = only(compare(before, after, Budget())).changes
    assert holds(change.boxes[0], packet("192.0.2.224", "10.0.1.4", 1))
    assert not holds(change.boxes[0], packet("192.0.2.223", "10.0.1.4", 1))
