"""What the tables of one side of a flow say, and of which packets they say the same.

Sender's and receiver's tables are asked apart. With n combinations of deciding rules on one side
and m on the other there are n * m outcomes, and with a memory of each side they take n + m walks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nsgd.model.decision import Reason
from nsgd.policy.tree_nodes import Field, PlainNode, is_list, is_split, match_plain
from nsgd.runtime.asked_tables import ALLOW_FINALLY, DENY, NOTHING, AskedTable
from nsgd.wire.packet import Fields

_MOST_KNOWN = 16384  # some 4 MB
_PORTS = (Field.DESTINATION_PORT, Field.SOURCE_PORT)


class Said(NamedTuple):
    """What the tables of one side say of a packet."""

    mark: int  # mark bits of the last rule that said something, or of no table
    hits: tuple[int, ...]  # the cells of these rules, in order
    reason: Reason | None  # why the last of them denies, None where it does not


def values_of(packet: Fields) -> tuple[int, ...]:
    """The values that trees ask for, in the order of Field."""
    _, protocol, source, destination, source_port, destination_port, _ = packet
    return protocol, destination_port, source, destination, source_port


def ask(tables: Sequence[AskedTable], values: tuple[int, ...], mark: int) -> Said:
    """Ask tables of one direction, in order.

    Args:
        tables: They may be none.
        values: In the order of Field.
        mark: Mark bits to say where no table says anything.
    """
    hits: list[int] = []
    for table, _, root, says, hit_cells, marks in tables:
        rule = match_plain(root, values)
        said = says[rule]
        if said == NOTHING:
            continue
        mark = marks[rule]
        hits.append(hit_cells[rule])
        if said == DENY:
            return Said(mark, tuple(hits), table.reason(rule))
        if said == ALLOW_FINALLY:
            break
    return Said(mark, tuple(hits), None)


@dataclass(slots=True, eq=False)
class Side:
    """The tables of one side, for packets of one protocol between two classes of addresses."""

    tables: Sequence[AskedTable]
    mark: int  # bits that say that no table was asked
    # Only a port of the packet is left to ask; the side is one for all classes with these tables.
    is_shared: bool = False
    known: dict[int, Said] = field(default_factory=dict)  # by classes of ports


class Sides:
    """Asks sides, and remembers what those said of which only a port is asked."""

    def __init__(self) -> None:
        self._shared: dict[tuple[object, ...], Side] = {}
        self._held = 0

    def side(self, tables: Sequence[AskedTable], mark: int, protocol: int) -> Side:
        """The side with these tables, of which all is asked that *protocol* and addresses tell.

        *mark* says that no table was asked.
        """
        if not all(_asks_a_port(table.root) for table in tables):
            return Side(tables, mark)
        # Classes of ports are told apart by what rules say of one protocol.
        key = mark, protocol, *((id(table.table), _identity(table.root)) for table in tables)
        return self._shared.setdefault(key, Side(tables, mark, is_shared=True))

    def ask(self, side: Side, values: tuple[int, ...], port_classes: int) -> Said:
        """What a side says of a packet; the classes are those of its ports, as one number."""
        said = ask(side.tables, values, side.mark)
        if side.is_shared:
            if self._held >= _MOST_KNOWN:
                for each in self._shared.values():
                    each.known.clear()
                self._held = 0
            self._held += 1
            side.known[port_classes] = said
        return said

    def forget(self) -> None:
        """Forget all sides that were made, and what they said."""
        self._shared.clear()
        self._held = 0


def _asks_a_port(root: PlainNode) -> bool:
    """Tell whether nothing is asked, or ports and then nothing."""
    if root.__class__ is not tuple:
        return True
    if is_list(root):
        fields = (asked for _, conditions in root[1] for asked, _ in conditions)
        return root[2].__class__ is not tuple and all(asked in _PORTS for asked in fields)
    return root[0] in _PORTS and not any(child.__class__ is tuple for child in root[2])


def _identity(root: PlainNode) -> object:
    """The same for roots that decide alike: a rule, a short list of rules, or a node.

    A node is one of the table's own tree, which stays, so its identity does too.
    """
    return -id(root) if is_split(root) else root
