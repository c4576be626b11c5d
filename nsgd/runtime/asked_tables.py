"""The tables of a policy as a verdict asks them: trees, and what each rule says, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.rule import Direction
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree_nodes import Flattener, PlainNode, left_to_ask
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.worker_policy import WorkerPolicy
from nsgd.wire.packet import Fields

_MOST_KNOWN = 16384  # some 10 MB

# What a rule says.
ALLOW, ALLOW_FINALLY, DENY, NOTHING = range(4)


class AskedTable(NamedTuple):
    """One table for packets of one IP version, or for those of which some more is known."""

    table: CompiledTable
    direction: Direction
    root: PlainNode
    # By rule.
    says: bytes
    hits: Sequence[int]  # cells
    marks: Sequence[int]  # mark bits of the rules' numbers, on the table's side

    def knowing(self, protocol: int, source: int, destination: int) -> AskedTable:
        """The same for packets between these addresses, or others of the same classes."""
        root = left_to_ask(self.root, (protocol, None, source, destination, None))
        return self._replace(root=root)


def asked_tables(
    worker_policy: WorkerPolicy, counters: SharedCounters
) -> dict[IPVersion, list[AskedTable]]:
    """The tables of a policy, in its order."""
    asked: dict[IPVersion, list[AskedTable]] = {version: [] for version in IP_VERSIONS}
    for table, numbers, marks in zip(
        worker_policy.policy.tables,
        worker_policy.rule_numbers,
        worker_policy.rule_marks,
        strict=True,
    ):
        first = counters.first_hit_cell(table.direction)
        hits = [first + number for number in numbers]
        says = _says(table)
        flattener = Flattener()
        for version in IP_VERSIONS:
            root = table.plain_tree(version, flattener)
            asked[version].append(AskedTable(table, table.direction, root, says, hits, marks))
    return asked


def _says(table: CompiledTable) -> bytes:
    says = bytearray(len(table.rule_names))
    for rule in range(len(says)):
        if table.is_silent(rule):
            says[rule] = NOTHING
        elif not table.is_allowed(rule):
            says[rule] = DENY
        else:
            says[rule] = ALLOW_FINALLY if table.is_final(rule) else ALLOW
    return bytes(says)


class TablesBetween:
    """The tables that judge IPv4 packets between two classes of addresses, in order.

    Of each is left what a packet's addresses and protocol do not tell; that is remembered.
    """

    def __init__(self, worker_policy: WorkerPolicy, tables: Sequence[AskedTable]) -> None:
        """*tables* are all that there are, for IPv4."""
        self._sides = _sides_by_class(worker_policy.policy, *worker_policy.address_classes[4])
        self._tables = tables
        self._known: dict[tuple[int, int, int], list[AskedTable]] = {}

    def find(
        self, packet: Fields, source_class: int, destination_class: int
    ) -> Sequence[AskedTable]:
        """Empty where no table is asked, or addresses alone do not tell which.

        The classes are those of the packet's addresses.
        """
        key = source_class, destination_class, packet[1]
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = self._new(packet, source_class, destination_class)
        return found

    def _new(self, packet: Fields, source_class: int, destination_class: int) -> list[AskedTable]:
        sender, receiver = self._sides[source_class], self._sides[destination_class]
        if sender is None or receiver is None:
            return []
        return [
            self._tables[index].knowing(*packet[1:4])
            for index in sender.outbound + receiver.inbound
        ]


class _Sides(NamedTuple):
    """The tables that judge what a resource sends and gets."""

    outbound: tuple[int, ...]
    inbound: tuple[int, ...]


def _sides_by_class(
    policy: CompiledPolicy, starts: Sequence[int], classes: Sequence[int]
) -> list[_Sides | None]:
    """By class of IPv4 addresses; None where the other address, too, says which resource it is.

    Args:
        policy: Says whose addresses are whose.
        starts: Where a class begins; addresses that other tables judge are of other classes.
        classes: The class from each start on.
    """
    endpoint_map = policy.endpoint_map
    sides: list[_Sides | None] = [None] * (max(classes) + 1)
    for start, number in zip(starts, classes, strict=True):
        if sides[number] is None:
            value = endpoint_map.by_address(4, start)
            if value == NOT_DECLARED:
                sides[number] = _Sides((), ())
            elif value > AMBIGUOUS:
                endpoint = endpoint_map.endpoints[value]
                sides[number] = _Sides(endpoint.outbound, endpoint.inbound)
    return sides
