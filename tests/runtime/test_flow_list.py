"""Which flows are listed and cut, and that a table of millions costs one page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nsgd.model.address import Address
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import ADOPTED, AUDIT_DENIED, NO_TABLE, MarkLayout
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.flow_filter import FlowFilter
from nsgd.runtime.flow_list import FlowLister, Parts
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.open_flows import OpenFlows, RefusedByKernel
from nsgd.wire.conntrack import ConntrackEntry

POLICY = """
virtualNetworks:
  - {name: lab, addressSpace: [10.0.0.0/16], subnets: [{name: s, addressPrefix: 10.0.1.0/24,
     networkSecurityGroup: Web}]}
networkInterfaces:
  - {name: Server, subnet: lab/s, privateIPAddresses: [10.0.1.4]}
networkSecurityGroups:
  - name: Web
    securityRules:
      - {name: AllowHttp, priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
         sourcePortRange: "*", destinationPortRange: "80", sourceAddressPrefix: "*",
         destinationAddressPrefix: "*"}
"""


class Table:
    """A connection table that says which pages were asked for."""

    def __init__(self, *pages: list[ConntrackEntry]) -> None:
        self._pages = pages
        self.taken = 0
        self.marked: list[tuple[ConntrackEntry, int, int]] = []

    def pages(self) -> Iterator[list[tuple[ConntrackEntry, bytes]]]:
        for page in self._pages:
            self.taken += 1
            yield [(entry, b"") for entry in page]

    def entries(self) -> list[ConntrackEntry]:
        raise AssertionError("the whole table at once")

    def own_addresses(self) -> frozenset[Address]:
        return frozenset()

    def set_marks(self, entries: Iterable[ConntrackEntry], mark: int, mask: int) -> int:
        found = list(entries)
        self.marked += [(entry, mark, mask) for entry in found]
        return len(found)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    """The policy above."""
    return policy(tmp_path_factory.mktemp("policy"), "enforce")


def policy(directory: Path, mode: str) -> LoadedPolicy:
    """The policy above in a mode."""
    path = directory / "policy.yaml"
    path.write_text(f"{POLICY}\ndaemon: {{mode: {mode}}}\n")
    return load_policy([path], DecisionNumbers(), None)


def number(loaded: LoadedPolicy, rule: str, access: Access = Access.ALLOW) -> int:
    """Of an inbound rule."""
    return loaded.numbers.by_direction[Direction.INBOUND]["Web", rule, access]


def entry(
    loaded: LoadedPolicy,
    outbound: int,
    inbound: int,
    source: str = "203.0.113.7",
    destination: str = "10.0.1.4",
    port: int = 80,
    protocol: int = TCP,
) -> ConntrackEntry:
    """A flow with two numbers, and bits of other tools, in its mark."""
    layout = MarkLayout(loaded.settings.mark_mask)
    from_address, to_address = Address.parse(source), Address.parse(destination)
    has_ports = protocol in (TCP, UDP)
    header = PacketHeader(
        from_address.version,
        protocol,
        from_address.value,
        to_address.value,
        4000 if has_ports else 0,
        port if has_ports else 0,
        False,
    )
    mark = layout.outbound(outbound) | layout.inbound(inbound) | ~layout.mask & 0xFFFFFFFF
    return ConntrackEntry(header, mark, repr(header).encode())


def lister(loaded: LoadedPolicy, table: Table) -> FlowLister:
    """A lister of a table."""
    return FlowLister(table, OpenFlows(table, Path("/nowhere")), lambda: loaded)


def all_of(parts: Parts) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The parts of an answer, and the last one."""
    found = []
    while True:
        try:
            found.append(next(parts))
        except StopIteration as end:
            return found, end.value


def test_what_a_mark_says(loaded: LoadedPolicy) -> None:
    """A rule of each side, or why there is none; undecided and cut flows are left out."""
    http = number(loaded, "AllowHttp")
    denied = number(loaded, "DenyAllInBound", Access.DENY)
    layout = MarkLayout(loaded.settings.mark_mask)
    undecided = entry(loaded, 0, 0)
    table = Table(
        [
            entry(loaded, NO_TABLE, http),
            entry(loaded, ADOPTED, ADOPTED),
            entry(loaded, NO_TABLE, AUDIT_DENIED),
            entry(loaded, NO_TABLE, denied),
            entry(loaded, NO_TABLE, 31_000),
        ],
        [undecided, entry(loaded, 1, http), ConntrackEntry(undecided.header, layout.cut, b"c")],
    )
    parts, end = all_of(lister(loaded, table).list_flows({}))
    flows = [flow for part in parts for flow in part["flows"]]
    assert [
        (flow["inbound"]["rule"], flow["inbound"]["access"], flow["inbound"]["reason"])
        for flow in flows
    ] == [
        ("AllowHttp", "Allow", "rule"),
        (None, "Allow", "adopted"),
        (None, "Deny", "audit"),
        ("DenyAllInBound", "Deny", "rule"),
        (None, "Allow", "unknown"),
    ]
    assert {flow["outbound"]["reason"] for flow in flows} == {"noNetworkSecurityGroup", "adopted"}
    assert (flows[0]["from"], flows[0]["to"]) == (None, "Server")
    assert end == {"shown": 5, "isWhole": True}


def test_the_groups_that_were_asked_before_carry_a_flow_too(tmp_path: Path) -> None:
    """A mark names the interface's group alone; the subnet's let the flow in before it."""
    (tmp_path / "policy.yaml").write_text(
        POLICY.replace(
            "privateIPAddresses: [10.0.1.4]",
            "privateIPAddresses: [10.0.1.4], networkSecurityGroup: Own",
        )
        + "  - {name: Own}\n  - {name: Lone}\n"
    )
    loaded = load_policy([tmp_path / "policy.yaml"], DecisionNumbers(), None)
    numbers = loaded.numbers.by_direction
    at_nic = numbers[Direction.INBOUND]["Own", "AllowVnetInBound", Access.ALLOW]
    at_subnet = numbers[Direction.OUTBOUND]["Web", "AllowInternetOutBound", Access.ALLOW]
    denied = numbers[Direction.INBOUND]["Own", "DenyAllInBound", Access.DENY]
    table = Table(
        [
            entry(loaded, NO_TABLE, at_nic),
            entry(loaded, at_subnet, NO_TABLE, "10.0.1.4", "203.0.113.7"),
            entry(loaded, NO_TABLE, denied),
            entry(loaded, NO_TABLE, at_nic, destination="10.0.1.9"),
        ]
    )

    def seen(**arguments: Any) -> list[tuple[str, list[str], list[str]]]:
        parts, _ = all_of(lister(loaded, table).list_flows(arguments))
        return [
            (
                flow["destination"],
                flow["outbound"]["allowedBeforeBy"],
                flow["inbound"]["allowedBeforeBy"],
            )
            for flow in parts[0]["flows"]
        ]

    nobody: list[str] = []
    inbound, outbound = ("10.0.1.4", nobody, ["Web"]), ("203.0.113.7", ["Own"], nobody)
    assert seen(nsg="web") == [inbound, outbound]
    assert seen(nsg="web", direction="Inbound") == [inbound]
    assert seen(nsg="own", direction="Outbound") == [outbound]
    # By which of its rules the subnet's group allowed it, nobody knows.
    assert seen(nsg="web", rule="AllowHttp") == []
    assert seen(nsg="lone") == []
    _, end = all_of(lister(loaded, table).cut_flows({"nsg": "web"}))
    assert end == {"cut": 2}


def test_flows_without_ports_and_of_ipv6(loaded: LoadedPolicy) -> None:
    """A protocol without a name has its number, and no ports."""
    table = Table(
        [
            entry(loaded, NO_TABLE, NO_TABLE, protocol=132),
            entry(loaded, NO_TABLE, NO_TABLE, "fd00::1", "fd00::2", protocol=58),
        ]
    )
    parts, _ = all_of(lister(loaded, table).list_flows({}))
    sctp, ping = parts[0]["flows"]
    assert (sctp["protocol"], sctp["sourcePort"], sctp["destinationPort"]) == ("132", None, None)
    assert (ping["protocol"], ping["source"], ping["destination"]) == ("Icmp", "fd00::1", "fd00::2")


def test_one_page_at_a_time(loaded: LoadedPolicy) -> None:
    """No page is taken before the one before has been handed out, nor after the limit."""
    http = number(loaded, "AllowHttp")
    table = Table(*([entry(loaded, NO_TABLE, http)] * 3 for _ in range(5)))
    parts = lister(loaded, table).list_flows({"limit": 7})
    assert table.taken == 0
    for taken, count in ((1, 3), (2, 3), (3, 1)):
        assert len(next(parts)["flows"]) == count
        assert table.taken == taken
    with pytest.raises(StopIteration) as end:
        next(parts)
    assert end.value.value == {"shown": 7, "isWhole": False}
    assert table.taken == 3


def test_a_cut_marks_those_that_are_meant_and_no_others(loaded: LoadedPolicy) -> None:
    """All our bits and nobody else's; what is undecided is not touched."""
    http = number(loaded, "AllowHttp")
    meant = entry(loaded, NO_TABLE, http)
    other = entry(loaded, NO_TABLE, http, port=8080)
    table = Table([meant, other, entry(loaded, 0, 0)], [], [meant])
    made = lister(loaded, table)
    parts, end = all_of(made.cut_flows({"port": 80}))
    layout = MarkLayout(loaded.settings.mark_mask)
    assert table.marked == [(meant, layout.cut, layout.mask)] * 2
    assert [part["cut"] for part in parts] == [1, 1, 2]
    assert end == {"cut": 2}
    _, end = all_of(made.cut_flows({"all": True}))
    assert end == {"cut": 3}


def test_a_cut_is_one_line_of_the_log(
    loaded: LoadedPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was asked for, also what cannot be written in UTF-8."""
    for asked in ("a\nb", "\ud800"):
        with caplog.at_level("INFO", "nsgd"):
            all_of(lister(loaded, Table()).cut_flows({"nsg": asked}))
        assert caplog.messages[-1] == f"0 open flows cut: nsg {asked!a}"


def test_a_cut_without_a_word_is_refused(loaded: LoadedPolicy, tmp_path: Path) -> None:
    """Nothing is read, far less marked."""
    table = Table([entry(loaded, NO_TABLE, NO_TABLE)])
    made = lister(loaded, table)
    for arguments in ({}, {"all": False}, {"all": True, "port": 80}):
        with pytest.raises(UsageRefused, match="all"):
            made.cut_flows(arguments)
    with pytest.raises(RefusedByKernel, match="audit"):
        lister(policy(tmp_path, "audit"), table).cut_flows({"all": True})
    assert table.taken == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"port": -1}, "not a port"),
        ({"port": 65_536}, "not a port"),
        ({"protocol": "256"}, "not a protocol"),
        ({"protocol": "tpc"}, "not a protocol"),
        ({"protocol": "²"}, "not a protocol"),
        ({"protocol": "9" * 5000}, "not a protocol"),  # more than Python reads as a number
        ({"direction": "in"}, "not a direction"),
        ({"source": "10.0.0.1/8"}, "not a prefix"),
        ({"destination": "Internet"}, "not a prefix"),
        ({"nsg": ""}, "empty"),
        ({"limit": -1}, "no limit"),
    ],
)
def test_what_is_no_filter(loaded: LoadedPolicy, arguments: dict[str, Any], text: str) -> None:
    """Refused before anything is read."""
    with pytest.raises(UsageRefused, match=text):
        lister(loaded, Table()).list_flows(arguments)


def test_group_rule_and_direction_are_of_one_side(loaded: LoadedPolicy) -> None:
    """Both sides have a rule here; no side has what is asked across them."""
    out = loaded.numbers.by_direction[Direction.OUTBOUND]["Web", "AllowVnetOutBound", Access.ALLOW]
    table = Table([entry(loaded, out, number(loaded, "AllowHttp"), "10.0.1.9")])

    def count(**arguments: Any) -> int:
        return int(all_of(lister(loaded, table).list_flows(arguments))[1]["shown"])

    assert count(rule="AllowHttp", direction="Inbound") == 1
    assert count(rule="AllowHttp", direction="Outbound") == 0
    assert count(nsg="web", rule="allowvnetoutbound") == 1
    assert count(nsg="other", rule="AllowHttp") == 0
    assert count(nic="SERVER") == 1
    assert count(nic="lab/s") == 1  # the sender, an undeclared resource of the subnet
    assert count(nic="server", source="10.0.1.9", destination="10.0.1.4/32", protocol="6") == 1
    assert FlowFilter.of({}).is_empty
    assert not FlowFilter.of({"port": 0}).is_empty
