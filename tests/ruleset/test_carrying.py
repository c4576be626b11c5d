"""What is counted of network interfaces stays the same through whatever replaces the elements."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from nsgd.kernel import table as kernel_table
from nsgd.kernel.nft_socket import NftSocket
from nsgd.kernel.table import NftTable
from nsgd.model.rule import Access, Direction
from nsgd.ruleset import carry, commands, encode, table_chains
from nsgd.ruleset.carry import is_counting
from nsgd.ruleset.commands import Message
from nsgd.ruleset.names import interface_count, interface_counter, is_interface_count
from nsgd.wire.expressions import REGISTER, expression
from nsgd.wire.netlink import (
    attribute,
    be32,
    be64,
    iterate_attributes,
    nested,
    split_attributes,
    text,
)
from tests.ruleset.nft_simulator import OBJECT_MAP, Table
from tests.ruleset.policies import Daemon, Policy

SEQUENCES, STEPS = 6, 30


class CountingTable(Table):
    """The model of the table with what elements of its maps have counted."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, dict[bytes, tuple[bytes, int]]] = {}  # by set: notes and packets

    def _apply(self, message: Message) -> None:
        super()._apply(message)
        command, _, payload = message
        found = split_attributes(payload)
        if command == commands.DELSET:
            self.counts.pop(_name(found[2]), None)
        if command not in (commands.NEWSETELEM, commands.DELSETELEM) or 4 in found:
            return
        counts = self.counts.setdefault(_name(found[2]), {})
        for _, element in iterate_attributes(found[3]):
            parts = split_attributes(element)
            key = split_attributes(parts[1])[1]
            if command == commands.DELSETELEM:
                counts.pop(key, None)
            elif self.sets[_name(found[2])].is_counting:
                counts.setdefault(key, (parts.get(6, b""), 0))


class SimulatedTable(NftTable):
    """Writes to the model instead of the kernel."""

    def __init__(self, table: CountingTable) -> None:
        super().__init__()
        self._table = table

    def _transact(self, messages: Iterable[Message], operation: str) -> bool:
        return self._table.commit(messages) > 0

    def _transact_each(self, parts: Iterable[Iterable[Message]], operation: str) -> bool:
        return sum(self._transact(part, operation) for part in parts) > 0

    def _dump(self, command: int, payload: bytes = b"") -> list[dict[int, bytes]]:
        in_table = attribute(1, b"nsgd\0")
        match command:
            case commands.GETSETELEM:
                name = _name(split_attributes(payload)[2])
                elements = (
                    nested(
                        1,
                        nested(1, attribute(1, key)),
                        attribute(6, notes),
                        nested(7, text(1, "counter"), nested(2, be64(1, 0), be64(2, packets))),
                    )
                    for key, (notes, packets) in self._table.counts.get(name, {}).items()
                )
                return [split_attributes(nested(3, *elements))]
            case commands.GETOBJ:
                kind = split_attributes(payload)[3]
                found = [
                    in_table + text(2, name) + attribute(4, data)
                    for (name, number), data in self._table.objects.items()
                    if number.to_bytes(4, "big") == kind
                ]
            case commands.GETSET:
                found = [
                    in_table + text(2, name) + be32(3, each.flags)
                    for name, each in self._table.sets.items()
                ]
            case _:
                found = [
                    in_table + text(3, name) + (attribute(4, b"") if chain.is_base else b"")
                    for name, chain in self._table.chains.items()
                ]
        return [split_attributes(each) for each in found]

    def _look_up(self, command: int, payload: bytes) -> dict[int, bytes] | None:
        return {}


def _name(data: bytes) -> str:
    return data.rstrip(b"\0").decode()


def document(draw: random.Random, interfaces: list[dict[str, Any]], engine: str) -> Policy:
    """Of these interfaces, in a subnet with or without a group."""
    subnet = {"name": "s", "addressPrefixes": ["10.0.1.0/24", "fd00:10:0:1::/64"]}
    if draw.random() < 0.5:
        subnet["networkSecurityGroup"] = draw.choice(("short", "long"))
    network = {"name": "lab", "addressSpace": ["10.0.0.0/16", "fd00:10::/48"], "subnets": [subnet]}
    return {
        "virtualNetworks": [network],
        "networkInterfaces": interfaces,
        "networkSecurityGroups": [
            {"name": name, "securityRules": [_rule(each) for each in range(count)]}
            for name, count in (("short", 1), ("long", 6))
        ],
        "daemon": {"engine": engine},
    }


def _rule(number: int) -> dict[str, Any]:
    return {
        "name": f"r{number}",
        "priority": 100 + number,
        "direction": "Inbound",
        "access": "Deny" if number % 2 else "Allow",
        "protocol": ("Tcp", "Udp")[number % 2],
        "sourceAddressPrefix": f"203.0.113.{number}/32",
        "sourcePortRange": str(1000 + number),
        "destinationAddressPrefix": "*",
        "destinationPortRange": f"{number * 10}-{number * 10 + 15}",
    }


def edited(draw: random.Random, interfaces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some of the interfaces, others' addresses and links, one that is new."""
    free = [*range(4, 20)]
    for each in interfaces:
        for address in each["privateIPAddresses"]:
            free = [n for n in free if not address.endswith((f".{n}", f"::{n:x}"))]
    made = [dict(each, privateIPAddresses=[*each["privateIPAddresses"]]) for each in interfaces]
    for _ in range(draw.choice((0, 1, 1, 2))):
        one = draw.choice(made) if made else None
        match draw.randrange(7):
            case 0 if unused := sorted(set("abcdef").difference(each["name"] for each in made)):
                name, address = draw.choice(unused), f"10.0.1.{free.pop()}"
                made.append({"name": name, "subnet": "lab/s", "privateIPAddresses": [address]})
            case 1 if one is not None:
                made.remove(one)
            case 2 | 3 if one is not None and len(free) > 6:
                number = free.pop()
                one["privateIPAddresses"].append(
                    draw.choice((f"10.0.1.{number}", f"fd00:10:0:1::{number:x}"))
                )
            case 4 if one is not None and len(one["privateIPAddresses"]) > 1:
                one["privateIPAddresses"].pop(draw.randrange(len(one["privateIPAddresses"])))
            case 5 if one is not None:
                other = draw.choice(made)
                key = draw.choice(("privateIPAddresses", "link", "networkSecurityGroup"))
                one[key], other[key] = other.get(key), one.get(key)
            case _ if one is not None:
                one["networkSecurityGroup"] = draw.choice((None, "short", "long"))
                if draw.random() < 0.3:
                    one["link"] = draw.choice((None, f"eth-{one['name']}"))
            case _:
                pass
    return [{k: v for k, v in each.items() if v is not None} for each in made]


@pytest.fixture(autouse=True)
def without_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is a model, and no packet is ever on its way."""
    monkeypatch.setattr(NftSocket, "__init__", lambda self: None)
    monkeypatch.setattr(kernel_table, "wait_for_packets", lambda: None)


@pytest.mark.parametrize("seed", range(SEQUENCES))
@pytest.mark.parametrize("longest_list", [3, 64])
def test_counts_through_changes(
    monkeypatch: pytest.MonkeyPatch, seed: int, longest_list: int
) -> None:
    """Of interfaces that stay, neither lost nor counted twice; of others, none stays."""
    # Tables with longer lists make no tree: the worker is asked, and counts by itself.
    monkeypatch.setattr(table_chains, "LONGEST_LIST", longest_list)
    draw = random.Random(seed)
    simulated = CountingTable()
    table, daemon = SimulatedTable(simulated), Daemon()
    expected: Counter[str] = Counter()
    interfaces: list[dict[str, Any]] = []
    engine = "kernel"
    for step in range(STEPS):
        if draw.random() < 0.1:
            table, daemon = SimulatedTable(simulated), Daemon(daemon.numbers)
        interfaces = edited(draw, interfaces)
        if draw.random() < 0.15:
            engine = "queue" if engine == "kernel" else "kernel"
        policy = document(draw, interfaces, engine)
        epoch = table.epoch()
        table.apply(daemon.load(policy, epoch))
        names = {each["name"] for each in interfaces}
        expected = Counter({k: v for k, v in expected.items() if k.split("/")[1] in names})
        is_tidy = draw.random() < 0.7
        if is_tidy:
            table.tidy()
        found = table.read_counters()
        counted = {
            name: packets
            for name, packets in found.items()
            if packets and (is_tidy or name.split("/")[1] in names)
        }
        assert counted == +expected, (seed, step)
        # Traffic, by whatever elements there are.
        for name, elements in simulated.counts.items():
            if is_counting(name) and name.partition(".")[2][0] == epoch:
                for key, (notes, packets) in elements.items():
                    more = draw.choice((0, 0, 1, 5))
                    elements[key] = notes, packets + more
                    if notes:  # the others' packets are the worker's to count
                        expected[_name(notes[2:])] += more


def of_older_version(counters: dict[str, int], by_value: dict[bytes, str]) -> list[Message]:
    """A table as once written: denials are counted by counters, to which maps of addresses lead."""
    in_table = text(1, "nsgd")
    counting = expression("objref", be32(3, REGISTER), text(4, "in_denied4.z/256"))
    elements = (
        nested(1, nested(1, attribute(1, key)), text(9, name)) for key, name in by_value.items()
    )
    return [
        *(encode.new_counter(name, packets, 60 * packets) for name, packets in counters.items()),
        (
            commands.NEWSET,
            commands.CREATE,
            in_table + text(2, "in_denied4.z/256") + be32(3, OBJECT_MAP) + be32(5, 4) + be32(10, 1),
        ),
        (
            commands.NEWSETELEM,
            commands.CREATE,
            in_table + text(2, "in_denied4.z/256") + nested(3, *elements),
        ),
        encode.new_chain("denied_in"),
        (
            commands.NEWRULE,
            commands.APPEND,
            in_table + text(2, "denied_in") + nested(4, counting),
        ),
    ]


@pytest.mark.parametrize("engine", ["kernel", "queue"])
def test_counters_of_an_older_version(engine: str) -> None:
    """What was counted goes on, of interfaces that are declared; other counters go."""
    simulated, daemon = CountingTable(), Daemon()
    long = "(" * 60 + "rg/web"  # longer than a name in the kernel, where it is cut
    counters = {
        interface_counter(name, direction, access): packets
        for name, direction, access, packets in (
            ("web", Direction.INBOUND, Access.DENY, 5),
            ("web", Direction.INBOUND, Access.ALLOW, 9),
            ("web", Direction.OUTBOUND, Access.DENY, 0),
            (long, Direction.INBOUND, Access.DENY, 4),
            ("gone", Direction.INBOUND, Access.DENY, 3),
        )
    }
    counters |= {interface_count("web", Direction.INBOUND): 7, "deny/web/in/Gone": 2}
    denied = {
        bytes([10, 0, 1, 4]): interface_counter("web", Direction.INBOUND, Access.DENY),
        bytes([10, 0, 1, 5]): interface_counter("gone", Direction.INBOUND, Access.DENY),
    }
    simulated.commit(of_older_version(counters, denied))
    interfaces = [
        {"name": name, "subnet": "lab/s", "privateIPAddresses": [f"10.0.1.{host}"]}
        for name, host in (("web", 4), (long, 6))
    ]
    policy = document(random.Random(0), interfaces, engine)
    expected = {
        "nic/web/in": 7,
        "nic/web/in/deny": 5,
        interface_counter(long, Direction.INBOUND, Access.DENY): 4,
        "deny/web/in/Gone": 2,
    }
    for _ in range(2):
        table = SimulatedTable(simulated)
        table.apply(daemon.load(policy, table.epoch()))
        table.tidy()
        assert {k: v for k, v in table.read_counters().items() if v} == expected
        of_interfaces = filter(is_interface_count, simulated.counters())
        assert set(of_interfaces) == set(filter(is_interface_count, expected))


@pytest.mark.parametrize("is_restarted", [False, True])
def test_counts_while_the_queue_engine_decides(is_restarted: bool) -> None:
    """They stay as long as the interface is declared, also where no rule or set is another."""
    simulated = CountingTable()
    table, daemon = SimulatedTable(simulated), Daemon()

    def load(engine: str, *names: str) -> None:
        nonlocal table, daemon
        if is_restarted:
            table, daemon = SimulatedTable(simulated), Daemon(daemon.numbers)
        interfaces = [
            {"name": name, "subnet": "lab/s", "privateIPAddresses": [f"10.0.1.{ord(name)}"]}
            for name in names
        ]
        table.apply(daemon.load(document(random.Random(0), interfaces, engine), table.epoch()))
        table.tidy()

    def counted() -> set[str]:
        return {name for name, packets in table.read_counters().items() if packets}

    load("kernel", "a", "b", "c")
    assert not any(map(is_interface_count, simulated.counters()))
    for name, elements in simulated.counts.items():
        if carry.is_of_denials(name):
            elements.update((key, (notes, 3)) for key, (notes, _) in elements.items())
    denials = {f"nic/{name}/{way}/deny" for name in "abc" for way in ("in", "out")}
    assert counted() == denials
    load("queue", "a", "b", "c")
    assert counted() == denials
    assert not any(map(is_counting, simulated.sets))
    load("queue", "a", "c", "d")
    assert {name.split("/")[1] for name in counted()} == {"a", "c"}
    load("kernel", "c", "d")
    assert {name: n for name, n in table.read_counters().items() if n} == {
        "nic/c/in/deny": 3,
        "nic/c/out/deny": 3,
    }


def test_an_address_that_two_interfaces_have() -> None:
    """In networks that are not peered; both are known by their links, which count."""
    policy = document(random.Random(0), [], "kernel")
    (network,) = policy["virtualNetworks"]
    policy["virtualNetworks"] = [network, network | {"name": "other"}]
    policy["networkInterfaces"] = [
        {
            "name": name,
            "subnet": f"{place}/s",
            "privateIPAddresses": ["10.0.1.4"],
            "link": f"eth-{name}",
        }
        for name, place in (("a", "lab"), ("b", "other"))
    ]
    simulated = CountingTable()
    table = SimulatedTable(simulated)
    table.apply(Daemon().load(policy, table.epoch()))
    counts = {
        name.partition(".")[0]: [_name(notes[2:]) for notes, _ in elements.values()]
        for name, elements in simulated.counts.items()
        if name.startswith("in_denied")
    }
    assert counts == {"in_denied_links": ["nic/a/in/deny", "nic/b/in/deny"]}
