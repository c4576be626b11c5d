"""The expected file is complete and right, or every problem of it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.lab.expected import Expectation, ExpectedRefused, read_expected
from nsgd.lab.prediction import decide_probe
from nsgd.lab.topology import LabHost, hosts_of_model
from nsgd.lab.traffic import Observation, Observed, all_probes
from nsgd.model.address import Address
from nsgd.model.rule import Access, Protocol
from nsgd.policy.compile import compile_policy

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
WEB = LabHost("web", (Address.parse("10.0.0.4"), Address.parse("fd00::4")), "veth-web")
GOOD = r"""
extraHosts: [{name: internet, addresses: [203.0.113.10]}]
services:
  - {name: http, protocol: Tcp, port: 80}
  - {name: dns, protocol: udp, port: 53, families: [IPv4]}
  - {name: ping, protocol: Icmp}
expected:
  http, ping: |
    from \ to  web  internet
    web        .    A
    internet   D    .
  dns: |
    from \ to  internet  web
    web        D         .
    internet   .         A
"""


def read(text: str) -> Expectation:
    return read_expected(text.encode(), [WEB])


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ExpectedRefused) as refused:
        read(text)
    return refused.value.problems


def test_a_good_file() -> None:
    """Hosts, services and every cell come out as written, whatever the columns' order."""
    expectation = read(GOOD)
    assert [host.name for host in expectation.hosts] == ["web", "internet"]
    assert [(s.name, s.protocol, s.port, s.families) for s in expectation.services] == [
        ("http", Protocol.TCP, 80, (4, 6)),
        ("dns", Protocol.UDP, 53, (4,)),
        ("ping", Protocol.ICMP, 0, (4, 6)),
    ]
    assert expectation.access == {
        ("web", "internet", "http"): Access.ALLOW,
        ("internet", "web", "http"): Access.DENY,
        ("web", "internet", "ping"): Access.ALLOW,
        ("internet", "web", "ping"): Access.DENY,
        ("web", "internet", "dns"): Access.DENY,
        ("internet", "web", "dns"): Access.ALLOW,
    }


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("    internet   D    .\n", "", "expected.http, ping: every host needs one row"),
        ("web        .    A", "web        .", "expected.http, ping: row web has 1 of 2 cells"),
        ("web        .    A", "web        .    X", "expected.http, ping: web to internet is A or"),
        ("web        .    A", "web        A    A", "expected.http, ping: web to itself is '.'"),
        ("to  web  internet", "to  web  other", "expected.http, ping: the first line is not"),
        ("to  web  internet", "to  web", "expected.http, ping: the first line is not"),
        ("  dns: |", "  dns, ntp: |", "expected.dns, ntp: ntp is no service, or given twice"),
        ("  dns: |", "  http: |", "expected.http: http is no service, or given twice"),
        ("http, ping: |", "http: |", "expected has no matrix for ping"),
        ("protocol: Tcp, port: 80", "protocol: Esp, port: 80", "services[0] needs a name and"),
        ("port: 80", "port: 70000", "services[0]: port 70000 is outside 1-65535"),
        (", port: 80", "", "services[0]: Tcp and Udp need a port"),
        ("protocol: Icmp", "protocol: Icmp, port: 7", "services[2]: Tcp and Udp need a port"),
        ("[IPv4]", "[IPX]", "services[1]: families is a list of IPv4 and IPv6"),
        ("name: ping, protocol: Icmp", "name: http, protocol: Icmp", "services[2]: there is a"),
        ("203.0.113.10", "203.0.113", "extraHosts[0]: 203.0.113 is not an address"),
        ("203.0.113.10", "10.0.0.4", "address 10.0.0.4 belongs to more than one host of the lab"),
        ("name: internet", "name: web", "name web belongs to more than one host of the lab"),
        ("extraHosts:", "extraHost:", "there is no section extraHost"),
        ("services:", "services: []\nservices:", "key 'services' is given twice"),
    ],
)
def test_a_bad_file(old: str, new: str, problem: str) -> None:
    """Nothing is taken for granted: the mistake is named."""
    assert old in GOOD
    assert any(found.startswith(problem) for found in problems(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize("text", ["", "[]", "services: []", "{"])
def test_no_file_at_all(text: str) -> None:
    """What is no document of this kind is refused in one sentence."""
    assert len(problems(text)) == 1


@pytest.mark.parametrize("name", ["three-tier", "web-servers"])
def test_the_examples_agree_with_the_evaluator(name: str) -> None:
    """What was written by hand is what the policy decides, for every pair and service."""
    path = EXAMPLES / f"{name}.yaml"
    model = load_documents([Document(path.name, path.read_bytes())]).model
    written = (EXAMPLES / f"{name}.expected.yaml").read_bytes()
    expectation = read_expected(written, hosts_of_model(model))
    policy = compile_policy(model)
    probes = all_probes(expectation.hosts, expectation.services)
    assert len(probes) >= len(expectation.access)
    for probe in probes:
        decision = decide_probe(policy, Observation(probe, Observed.ANSWERED, "", 40000))
        names = (probe.sender.name, probe.receiver.name, probe.service.name)
        assert (str(probe), decision.access) == (str(probe), expectation.access[names])
