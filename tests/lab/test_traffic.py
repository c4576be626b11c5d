"""Probes over real namespaces: what is dropped fails, and only that, each in its own state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nsgd.lab.netns import Lab
from nsgd.lab.topology import LabHost, Topology, topology_problems
from nsgd.lab.traffic import AgentFailed, Observed, Probe, Service, Traffic, all_probes
from nsgd.model.address import Address
from nsgd.model.rule import Protocol

HTTP = Service("http", Protocol.TCP, 80)
DNS = Service("dns", Protocol.UDP, 53)
PING = Service("ping", Protocol.ICMP)
SERVICES = (HTTP, DNS, PING)


def host(number: int) -> LabHost:
    addresses = (f"10.0.{number}.4", f"fd00:10:0:{number}::4")
    return LabHost(f"host{number}", tuple(Address.parse(address) for address in addresses))


HOSTS = tuple(host(number) for number in (1, 2, 3))
PROBES = all_probes(HOSTS, SERVICES)


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[Topology, Traffic]]:
    """Three hosts and their agents."""
    with Lab() as lab:
        topology = Topology(lab, HOSTS)
        yield topology, Traffic(topology, SERVICES)


@pytest.fixture
def lab(built: tuple[Topology, Traffic]) -> Iterator[tuple[Topology, Traffic]]:
    """The same, without what the last test loaded into the gateway."""
    yield built
    built[0].gateway.run(["nft", "flush", "ruleset"])


def drop(topology: Topology, rules: str) -> None:
    """Load rules into the gateway's forward hook."""
    topology.block(
        f"table inet test {{ chain forward {{ type filter hook forward priority 0;\n{rules}\n}}\n}}"
    )


def failures(traffic: Traffic) -> dict[Probe, Observed]:
    """What does not pass."""
    return {
        o.probe: o.observed for o in traffic.send(PROBES) if o.observed is not Observed.ANSWERED
    }


@pytest.mark.kernel
def test_baseline_passes(lab: tuple[Topology, Traffic]) -> None:
    """Without a firewall every pair, service and family is answered, again and again."""
    _, traffic = lab
    assert len(PROBES) == 36
    for _ in range(3):
        assert failures(traffic) == {}


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("rule", "service"),
    [
        ("tcp dport 80 drop", HTTP),
        ("udp dport 53 drop", DNS),
        ("@th,0,8 { 8, 128 } meta l4proto { icmp, ipv6-icmp } drop", PING),
    ],
)
def test_a_drop_rule_fails_exactly_what_it_drops(
    lab: tuple[Topology, Traffic], rule: str, service: Service
) -> None:
    """Silence from the host behind the rule, in both families, and nothing else changes."""
    topology, traffic = lab
    drop(topology, f'iifname "h-host1" oifname "h-host2" {rule}')
    assert failures(traffic) == {
        Probe(HOSTS[0], HOSTS[1], service, version): Observed.NO_ANSWER for version in (4, 6)
    }


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("rule", "service", "sender", "receiver"),
    [
        ("tcp sport 80 drop", HTTP, 1, 0),
        ("udp sport 53 drop", DNS, 1, 0),
        ("icmp type echo-reply drop\noifname h-host2 icmpv6 type echo-reply drop", PING, 1, 0),
    ],
)
def test_a_lost_reply_is_a_state_of_its_own(
    lab: tuple[Topology, Traffic], rule: str, service: Service, sender: int, receiver: int
) -> None:
    """The receiving host tells that the packet came: no rule had denied it."""
    topology, traffic = lab
    rule = rule.replace("oifname h-host2", 'iifname "h-host1" oifname "h-host2"')
    drop(topology, f'iifname "h-host1" oifname "h-host2" {rule}')
    assert failures(traffic) == {
        Probe(HOSTS[sender], HOSTS[receiver], service, version): Observed.REPLY_LOST
        for version in (4, 6)
    }


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("tcp dport 80 reject with tcp reset", {(HTTP, 4): "refused", (HTTP, 6): "refused"}),
        (
            "udp dport 53 reject with icmpx type admin-prohibited",
            {(DNS, 4): "ICMP error", (DNS, 6): "ICMP error"},
        ),
        (
            "udp dport 53 reject with icmpx type port-unreachable",
            {(DNS, 4): "refused", (DNS, 6): "refused"},
        ),
        ("icmp type echo-request reject", {(PING, 4): "ICMP error"}),
        ("icmpv6 type echo-request reject", {(PING, 6): "ICMP error"}),
    ],
)
def test_a_rejection_is_no_silence(
    lab: tuple[Topology, Traffic], rule: str, expected: dict[tuple[Service, int], str]
) -> None:
    """Azure drops without a word; a firewall that answers is not what was expected."""
    topology, traffic = lab
    drop(topology, f'iifname "h-host1" oifname "h-host2" {rule}')
    found = {(p.service, p.version): observed.value for p, observed in failures(traffic).items()}
    assert found == expected


@pytest.mark.kernel
def test_a_probe_is_one_packet(lab: tuple[Topology, Traffic]) -> None:
    """Denied probes too: the kernel repeats nothing within the timeout."""
    topology, traffic = lab
    drop(topology, 'iifname "h-host1" counter drop')
    probes = [probe for probe in PROBES if probe.sender is HOSTS[0]]
    assert {o.observed for o in traffic.send(probes)} == {Observed.NO_ANSWER}
    listing = topology.gateway.run(["nft", "list", "table", "inet", "test"]).stdout
    assert int(listing.partition("counter packets ")[2].split()[0]) == len(probes)


@pytest.mark.kernel
def test_an_agent_that_ends_is_named() -> None:
    """It is no result of any probe."""
    with Lab() as lab:
        traffic = Traffic(Topology(lab, HOSTS[:2]), SERVICES)
        process = traffic.agents["host2"]
        process.kill()
        process.wait()
        with pytest.raises(AgentFailed, match="the agent of host2 has ended"):
            traffic.send(all_probes(HOSTS[:2], SERVICES))


def test_problems_of_a_list_of_hosts() -> None:
    """Each is told before anything is built."""
    address = Address.parse("10.0.0.4")
    problems = topology_problems(
        [
            LabHost("one", (address,), "sixteen-letters-"),
            LabHost("one", (address,), "veth"),
            LabHost("two", (), "veth"),
        ]
    )
    assert problems == [
        "name one belongs to more than one host of the lab",
        "link veth belongs to more than one host of the lab",
        "address 10.0.0.4 belongs to more than one host of the lab",
        "host two has no address",
        "link sixteen-letters- is longer than 15 characters",
    ]
    assert LabHost("a-host-with-a-long-name", (address,)).gateway_link == "h-a-host-with-a"
