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
from nsgd.ruleset import commands, table_chains
from nsgd.ruleset.carry import is_counting
from nsgd.ruleset.commands import Message
from nsgd.wire.netlink import (
    attribute,
    be32,
    be64,
    iterate_attributes,
    nested,
    split_attributes,
    text,
)
from tests.ruleset.nft_simulator import Table
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
            elif 7 in parts:
                counts.setdefault(key, (parts[6], 0))


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


@pytest.mark.parametrize("seed", range(SEQUENCES))
@pytest.mark.parametrize("longest_list", [3, 64])
def test_counts_through_changes(
    monkeypatch: pytest.MonkeyPatch, seed: int, longest_list: int
) -> None:
    """Of interfaces that stay, neither lost nor counted twice; of others, none stays."""
    monkeypatch.setattr(NftSocket, "__init__", lambda self: None)
    monkeypatch.setattr(kernel_table, "wait_for_packets", lambda: None)
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
                    expected[_name(notes[2:])] += more
