"""The verb denials: what is kept, how it is found, and that it stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nsgd.model.address import Address
from nsgd.model.packet import ICMP, TCP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import Denial, DenialWriter
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.loop import Loop
from nsgd.runtime.recent_denials import RecentDenials
from nsgd.runtime.told_denials import ToldDenials

POLICY = """
virtualNetworks:
  - {name: lab, addressSpace: [10.0.0.0/16], subnets: [{name: s, addressPrefix: 10.0.1.0/24,
     networkSecurityGroup: Web}]}
networkInterfaces:
  - {name: Server, subnet: lab/s, privateIPAddresses: [10.0.1.4]}
networkSecurityGroups:
  - name: Web
    securityRules:
      - {name: DenyOut, priority: 100, direction: Outbound, access: Deny, protocol: Tcp,
         sourcePortRange: "*", destinationPortRange: "25", sourceAddressPrefix: "*",
         destinationAddressPrefix: "*"}
"""


class Recent:
    """A ring with a worker's end and a kernel's."""

    def __init__(self, loaded: LoadedPolicy, counters: SharedCounters, most: int) -> None:
        self.loaded = loaded
        self.told = ToldDenials(Loop(), lambda group: None)
        self.kept = RecentDenials([counters], self.told, most)
        self.worker = DenialWriter(counters, is_limited=True)

    def deny(
        self, direction: Direction, rule: str, source: str, destination: str, port: int = 80
    ) -> None:
        """As the worker does."""
        number = self.loaded.numbers.by_direction[direction]["Web", rule, Access.DENY]
        if self.worker.wants(direction, number):
            self.worker.write(header(source, destination, port), direction, number)

    def ask(self, **arguments: Any) -> dict[str, Any]:
        """The verb."""
        return self.kept.list_denials(arguments, self.loaded)

    def ports(self, **arguments: Any) -> list[int]:
        """Destination ports of what is listed."""
        return [each["destinationPort"] for each in self.ask(**arguments)["denials"]]


def header(source: str, destination: str, port: int) -> PacketHeader:
    """A packet of TCP."""
    ends = Address.parse(source).value, Address.parse(destination).value
    return PacketHeader(4, TCP, *ends, 40000, port, False)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    """The policy above."""
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(POLICY)
    return load_policy([path], DecisionNumbers(), None)


@pytest.fixture
def recent(loaded: LoadedPolicy) -> Iterator[Recent]:
    """A ring of four."""
    counters = SharedCounters.create(64)
    yield Recent(loaded, counters, 4)
    counters.close()


INBOUND, OUTBOUND = Direction.INBOUND, Direction.OUTBOUND


def test_a_denial_has_all_that_is_asked_for(recent: Recent) -> None:
    """Ends, ports, both names, the rule, whose it was, and when."""
    recent.deny(INBOUND, "DenyAllInBound", "203.0.113.7", "10.0.1.4", 22)
    (found,) = recent.ask()["denials"]
    assert found.pop("time").endswith("Z")
    assert found == {
        "id": 1,
        "direction": "Inbound",
        "networkSecurityGroup": "Web",
        "rule": "DenyAllInBound",
        "protocol": "Tcp",
        "source": "203.0.113.7",
        "sourcePort": 40000,
        "destination": "10.0.1.4",
        "destinationPort": 22,
        "from": None,
        "to": "Server",
        "networkInterface": "Server",
        "times": 1,
        "timesLately": 1,
    }


def test_the_interface_is_the_one_whose_rule_denied(recent: Recent) -> None:
    """Outbound, the sender's; an address that no NIC has is its subnet's."""
    recent.deny(OUTBOUND, "DenyOut", "10.0.1.4", "10.0.1.9", 25)
    (found,) = recent.ask()["denials"]
    assert (found["networkInterface"], found["to"]) == ("Server", "lab/s")


def test_the_newest_come_first_and_the_oldest_go(recent: Recent) -> None:
    """The ring has four."""
    for port in range(1, 7):
        recent.deny(INBOUND, "DenyAllInBound", "203.0.113.7", "10.0.1.4", port)
    answer = recent.ask()
    assert [each["destinationPort"] for each in answer["denials"]] == [6, 5, 4, 3]
    assert (answer["kept"], answer["mostKept"], answer["lastId"]) == (4, 4, 6)


def test_a_flood_does_not_push_out_what_befell_others(recent: Recent) -> None:
    """Neither one with a rule of its own nor one that the same rule denies."""
    recent.deny(INBOUND, "DenyAllInBound", "203.0.113.8", "10.0.1.4", 22)
    recent.deny(OUTBOUND, "DenyOut", "10.0.1.4", "192.0.2.1", 25)
    for _ in range(50):
        recent.kept.tend(recent.loaded)
        recent.deny(INBOUND, "DenyAllInBound", "203.0.113.7", "10.0.1.4", 3389)
        recent.kept._next_window_s = 0.0
    answer = recent.ask()
    assert [each["destinationPort"] for each in answer["denials"]] == [3389, 3389, 25, 22]
    # What went is counted still, and said.
    assert [each["times"] for each in answer["denials"]] == [50, 50, 1, 1]
    assert answer["givenUp"] == 48


def test_what_is_not_kept_is_not_remembered(recent: Recent) -> None:
    """A scan of ports leaves nothing behind but what is kept."""
    for port in range(1, 200):
        recent.kept.tend(recent.loaded)
        recent.deny(INBOUND, "DenyAllInBound", "203.0.113.7", "10.0.1.4", port)
        recent.kept._next_window_s = 0.0
    assert recent.ports() == [199, 198, 197, 196]
    assert len(recent.kept._times) == len(recent.kept._alike) == 4


def test_filters(recent: Recent) -> None:
    """Those of the flows: all that is given must hold."""
    recent.deny(INBOUND, "DenyAllInBound", "203.0.113.7", "10.0.1.4", 22)
    recent.deny(INBOUND, "DenyAllInBound", "203.0.113.8", "10.0.1.9", 23)
    recent.deny(OUTBOUND, "DenyOut", "10.0.1.4", "192.0.2.1", 25)
    assert recent.ports(nic="server") == [25, 22]
    assert recent.ports(direction="Inbound") == [23, 22]
    assert recent.ports(source="203.0.113.7", port=22) == [22]
    assert recent.ports(rule="denyout", nsg="web") == [25]
    assert recent.ports(limit=1) == [25]
    assert recent.ports(limit=1 << 70) == recent.ports()
    assert recent.ports(after=1) == [25, 23]
    assert recent.ports(after=3) == []
    for wrong in ({"source": "x"}, {"limit": -1}, {"port": 70000}):
        with pytest.raises(UsageRefused):
            recent.ask(**wrong)


def test_what_is_not_told_is_counted(recent: Recent) -> None:
    """Beyond the worker's limits; the next second it may tell again."""
    for _ in range(25):
        recent.deny(INBOUND, "DenyAllInBound", "203.0.113.7", "10.0.1.4")
    assert recent.ask()["notTold"] == 15
    recent.kept.tend(recent.loaded)
    recent.deny(INBOUND, "DenyAllInBound", "203.0.113.7", "10.0.1.4", 99)
    assert recent.ports(limit=1) == [99]


def test_the_kernel_engines_denials_are_there_too(recent: Recent) -> None:
    """With the time at which they were read."""
    number = recent.loaded.numbers.by_direction[INBOUND]["Web", "DenyAllInBound", Access.DENY]
    ping = header("203.0.113.7", "10.0.1.4", 0)._replace(protocol=ICMP)
    assert recent.told.listener is not None
    recent.told.listener(Denial.of(ping, INBOUND, number))
    (found,) = recent.ask()["denials"]
    assert (found["protocol"], found["destinationPort"]) == ("Icmp", None)
    assert not found["time"].startswith("1970")


def test_what_no_rule_denied_is_not_listed(recent: Recent) -> None:
    """An ambiguous network has a number without a rule; its reason counts it."""
    recent.worker.write(header("203.0.113.7", "10.0.1.4", 1), INBOUND, 3)
    assert recent.ask()["denials"] == []
