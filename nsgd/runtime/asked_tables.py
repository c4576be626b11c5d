"""The tables of a policy as a verdict asks them: trees, and what each rule says, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.rule import Direction
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree_nodes import Flattener, PlainNode, left_to_ask
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.worker_policy import WorkerPolicy

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


AskedTables = Mapping[IPVersion, list[AskedTable]]


def asked_tables(
    worker_policy: WorkerPolicy, counters: SharedCounters, before: AskedTables | None = None
) -> AskedTables:
    """The tables of a policy, in its order; none of an IP version whose packets are nobody's.

    Those of *before*, with the same counters, are taken over.
    """
    known = {
        (id(each.table), id(each.marks), version): each
        for version, tables in (before or {}).items()
        for each in tables
    }
    asked: dict[IPVersion, list[AskedTable]] = {version: [] for version in IP_VERSIONS}
    versions = worker_policy.policy.endpoint_map.versions
    for table, numbers, marks in zip(
        worker_policy.policy.tables,
        worker_policy.rule_numbers,
        worker_policy.rule_marks,
        strict=True,
    ):
        taken = [known.get((id(table), id(marks), version)) for version in versions]
        found = [each for each in taken if each is not None]
        if len(found) == len(versions):
            for version, each in zip(versions, found, strict=True):
                asked[version].append(each)
            continue
        first = counters.first_hit_cell(table.direction)
        hits = [first + number for number in numbers]
        says = _says(table)
        flattener = Flattener()
        for version in versions:
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
