"""Looks for packets in one table, or in those that are asked one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Direction
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.book import RuleBook
from nsgd.spaces.budget import Budget
from nsgd.spaces.chain import Chain
from nsgd.spaces.diagram import Diagrams
from nsgd.spaces.explore import Judge, explore, find
from nsgd.spaces.ranges import Ranges
from nsgd.spaces.space import Box, Space, intersect
from nsgd.spaces.witness import ranges_of, witness

Apart = Mapping[IPVersion, Mapping[Field, Sequence[Ranges]]]
Values = dict[Field, Ranges]
# Whether packets pass, and the bit of the rule that is reported, or NOBODY.
Outcome = tuple[bool, int]


class TableSearch:
    """Tables with their spaces of both IP versions, each made when it is asked for."""

    def __init__(
        self,
        tables: Sequence[CompiledTable],
        direction: Direction,
        local: Mapping[IPVersion, Ranges],
        budget: Budget,
        apart: Apart | None = None,
        domain: Mapping[IPVersion, Ranges] | None = None,
    ) -> None:
        """Prepare.

        Args:
            tables: In the order in which they are asked.
            direction: Theirs.
            local: The addresses that they judge, where some are known.
            budget: Of all questions.
            apart: Sets of values that questions are about.
            domain: All addresses that they could judge; every address if not said.
        """
        self.tables = tuple(tables)
        self.budget = budget
        self.book = RuleBook()
        self.masks = [self.book.add(table) for table in tables]
        self.chain = Chain.of(self.book, self.masks)
        inbound = direction is Direction.INBOUND
        self.local_field = Field.DESTINATION if inbound else Field.SOURCE
        self.local = local
        self.domain = domain
        self._apart = apart or {}
        self._spaces: dict[IPVersion, Space] = {}
        self._bits: dict[tuple[int, str], int] = {}
        for table, mask in zip(tables, self.masks, strict=True):
            first = (mask & -mask).bit_length() - 1
            for index, name in enumerate(table.rule_names):
                self._bits[id(table), name] = first + index

    def chain_of(self, *masks: int) -> Chain:
        """Some of the rules as tables that are asked."""
        return Chain.of(self.book, masks)

    def bit(self, table: CompiledTable, rule: str) -> int:
        """The bit of a rule of one of the tables."""
        return self._bits[id(table), rule]

    def has(self, table: CompiledTable, rule: str) -> bool:
        """Whether one of the tables has a rule."""
        return (id(table), rule) in self._bits

    def space(self, version: IPVersion) -> Space:
        """The packets of one IP version."""
        found = self._spaces.get(version)
        if found is None:
            apart: dict[Field, list[Ranges]] = {
                field: list(sets) for field, sets in self._apart.get(version, {}).items()
            }
            for known in (self.local, self.domain or {}):
                if known.get(version):
                    apart.setdefault(self.local_field, []).append(known[version])
            found = self._spaces[version] = Space(self.book, version, apart=apart)
        return found

    def local_box(self, version: IPVersion) -> Box | None:
        """All packets from or to the known addresses; None where none is known."""
        if not self.local[version]:
            return None
        space = self.space(version)
        classes = space.axis(self.local_field).of_ranges(self.local[version])
        return space.box({self.local_field: classes})

    def domain_box(self, version: IPVersion) -> Box | None:
        """All packets that the tables could judge; None where there are none."""
        space = self.space(version)
        if self.domain is None:
            return space.everything
        classes = space.axis(self.local_field).of_ranges(self.domain[version])
        return space.box({self.local_field: classes}) if classes else None

    def of_rule(self, version: IPVersion, bit: int) -> Box | None:
        """The packets that a rule matches of those that the tables could judge."""
        box = self.domain_box(version)
        return None if box is None else intersect(box, self.space(version).of_rule(bit))

    def find(
        self, of: Iterable[int], judge: Judge[bool], *, only_local: bool = False
    ) -> PacketHeader | None:
        """A packet that all rules *of* match and *judge* wants, at a known address if it can be.

        Raises:
            OverBudget: Neither one nor that there is none was found.
        """
        rules = tuple(of)
        for version, box in self._boxes(only_local):
            space = self.space(version)
            inside: Box | None = box
            for bit in rules:
                inside = None if inside is None else intersect(inside, space.of_rule(bit))
            if inside is None:
                continue
            found = find(space, space.scope(inside), judge, self.budget)
            if found is not None:
                return witness(version, ranges_of(space, found))
        return None

    def _boxes(self, only_local: bool) -> Iterator[tuple[IPVersion, Box]]:
        for version in IP_VERSIONS:
            box = self.local_box(version)
            if box is not None:
                yield version, box
        if not only_local:
            for version in IP_VERSIONS:
                box = self.domain_box(version)
                if box is not None:
                    yield version, box

    def ends(self, version: IPVersion, inside: Box) -> frozenset[Outcome]:
        """How packets of a box end. Raises OverBudget: there are too many cases."""
        diagrams, root = self._explored(version, inside)
        return diagrams.values(root)

    def outcomes(
        self, version: IPVersion, inside: Box, wanted: Callable[[Outcome], bool]
    ) -> dict[Outcome, list[Values]]:
        """The boxes of each end that is wanted. Raises OverBudget: there are too many cases."""
        diagrams, root = self._explored(version, inside)
        result: dict[Outcome, list[Values]] = {}
        for outcome in sorted(diagrams.values(root)):
            if wanted(outcome):
                boxes = []
                for box in diagrams.boxes(root, outcome):
                    self.budget.spend(1)
                    boxes.append(ranges_of(self.space(version), box))
                result[outcome] = boxes
        return result

    def _explored(self, version: IPVersion, inside: Box) -> tuple[Diagrams[Outcome], int]:
        space = self.space(version)
        diagrams: Diagrams[Outcome] = Diagrams(inside, self.budget)

        def judge(candidates: int, sure: int) -> tuple[int, Outcome | None]:
            standing = self.chain.stand(candidates, sure)
            if standing.rule is None:
                return standing.kept, None
            return 0, (standing.may_allow, standing.rule)

        return diagrams, explore(space, space.scope(inside), judge, diagrams, self.budget)


def decides(chain: Chain, bit: int) -> Judge[bool]:
    """Whether a rule decides in a chain of one table."""

    def judge(candidates: int, sure: int) -> tuple[int, bool | None]:
        standing = chain.stand(candidates, sure)
        if not standing.kept >> bit & 1:
            return 0, False
        return standing.kept, None if standing.rule is None else standing.rule == bit

    return judge
