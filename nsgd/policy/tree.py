"""The decision tree of a table: few steps for a packet, whatever the number of rules.

A node asks one field of the packet and goes on by the class of its value, with those rules only
that the class leaves; nodes with the same rules left are one node. Where few rules are left, or a
node would copy long lists of addresses, it is a list of its rules instead; of a node with many
classes several have one list. Where all that would grow out of bounds, lists get longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.model.packet import TCP, UDP
from nsgd.policy.address_set import Range
from nsgd.policy.axis import Axis, Cut
from nsgd.policy.classifier import Classifier
from nsgd.policy.gathering import FEW_CLASSES, Gathering
from nsgd.policy.tree_nodes import LIST, Condition, Field, Flattener, PlainNode, PlainTest, Tree

# A step costs about as much as two rules of a list. Longer lists are for trees out of bounds; the
# last one is for what no bound can hold.
_LIST_LENGTHS = (8, 16, 64, 256, 1 << 30)
LONGEST_LIST = 256  # of a tree that is within bounds
# The bound of a tree: classes over all nodes, and rules over all lists.
_SPARE_ELEMENTS = 1024
_ELEMENTS_PER_RULE = 16
_ELEMENTS_PER_RANGE = 2
# A list of at most so many rules is better than a node of so many classes for each.
_SHORT_LIST = 32
_CLASSES_PER_RULE = 16
_MOST_IN_HEAD = 4
_WITH_PORTS = (((TCP, TCP),), ((UDP, UDP),), ((TCP, TCP), (UDP, UDP)))
_DEFAULT_RULES = 4  # at the end of most tables
_SHORTEST_TAIL = 2

# By Field, the ranges of each rule, in priority order.
FieldRanges = Sequence[Sequence[tuple[Range, ...]]]

_FIELDS = tuple(Field)
_PORTS = 1 << Field.DESTINATION_PORT | 1 << Field.SOURCE_PORT
_PROTOCOL = 1 << Field.PROTOCOL
_ALL_FIELDS = (1 << len(Field)) - 1


def build_tree(
    ranges: FieldRanges, portless: int, version: IPVersion, flattener: Flattener
) -> Tree:
    """The tree of a table for one IP version.

    Its elements are at most 1024, sixteen for each rule and two for each range of the rules, and no
    list has more than LONGEST_LIST rules; where that cannot be, its lists are as long as they must
    be. Ranges that several rules share as one object count once.

    Args:
        ranges: What the rules match.
        portless: The rules that match packets without ports, as bits.
        version: Of the addresses.
        flattener: Makes bounds of ranges, for all trees that share them.
    """
    grower = _Grower(ranges, portless, version, flattener)
    for longest in _LIST_LENGTHS:
        try:
            return grower.grow(longest)
        except _OutOfBoundsError:
            continue
    raise AssertionError("lists of any length have no bound")


class _OutOfBoundsError(Exception):
    """The tree has too many elements."""


class _Grower:
    def __init__(
        self, ranges: FieldRanges, portless: int, version: IPVersion, flattener: Flattener
    ) -> None:
        self._flattener = flattener
        top = (1 << ADDRESS_BITS[version]) - 1
        tops = (255, 65535, top, top, 65535)
        self._axes = [Axis(ranges[field], tops[field]) for field in _FIELDS]
        rules = len(ranges[0])
        self._portless = portless
        # A rule for a group without members matches nothing.
        self._all = sum(
            1 << rule for rule in range(rules) if all(ranges[field][rule] for field in _FIELDS)
        )
        # The rules that match whatever the values of these fields are.
        self._met = [
            self._all_of([axis.everywhere for f, axis in enumerate(self._axes) if fields >> f & 1])
            for fields in range(1 << len(Field))
        ]
        total = sum(axis.size for axis in self._axes)
        self._bound = _SPARE_ELEMENTS + _ELEMENTS_PER_RULE * rules + _ELEMENTS_PER_RANGE * total
        self._tail = self._all >> max(0, rules - _DEFAULT_RULES) << max(0, rules - _DEFAULT_RULES)
        self._decided = list(range(rules))  # nodes are compared by identity
        self._longest = self._longest_made = self._elements = 0
        self._made: dict[tuple[int, int], PlainNode] = {}
        self._shared: dict[tuple[int, int], PlainNode] = {}
        # By field, as a bit: the rules that it tells from others.
        self._constrained = [(1 << f, ~axis.everywhere) for f, axis in enumerate(self._axes)]
        self._conditions: list[dict[int, Condition]] = [{} for _ in _FIELDS]

    def _all_of(self, sets: Sequence[int]) -> int:
        result = self._all
        for each in sets:
            result &= each
        return result

    def grow(self, longest: int) -> Tree:
        """Make the tree with lists of *longest* rules at most. Raises _OutOfBoundsError."""
        self._longest = longest
        self._longest_made = self._elements = 0
        self._made, self._shared = {}, {}
        head = self._head()
        root = self._node(self._all & ~head, _ALL_FIELDS)
        if head:
            root = LIST, self._tests(head, _ALL_FIELDS), root
        return Tree(root, self._elements, self._longest_made)

    def _head(self) -> int:
        """The first rules, as long as each is for one address: every class would copy them."""
        head = 0
        addresses = [self._axes[Field.SOURCE].ranges, self._axes[Field.DESTINATION].ranges]
        candidates = self._all
        while candidates and head.bit_count() < _MOST_IN_HEAD:
            lowest = candidates & -candidates
            rule = lowest.bit_length() - 1
            sides = [ranges[rule] for ranges in addresses]
            is_narrow = all(len(each) == 1 for each in sides) and any(
                each[0][0] == each[0][1] for each in sides
            )
            # Nothing may be asked of ports before the protocol is known to have some.
            has_ports = self._axes[0].ranges[rule] in _WITH_PORTS
            if not is_narrow or not (has_ports or self._portless & lowest):
                break
            head |= lowest
            candidates ^= lowest
        # The last rule matches everything, and is what a tree goes on with.
        return head

    def _node(self, candidates: int, fields: int) -> PlainNode:
        candidates = _up_to_first(candidates, self._met[fields])
        if candidates & (candidates - 1) == 0:
            return self._decided[candidates.bit_length() - 1]
        fields = self._constraining(candidates, fields)
        made = self._made.get((candidates, fields))
        if made is None:
            made = self._made[candidates, fields] = self._new(candidates, fields)
        return made

    def _constraining(self, candidates: int, fields: int) -> int:
        """The fields that still tell candidates apart; the protocol tells of ports too."""
        result = 0
        for field, rules in self._constrained:
            if fields & field and candidates & rules:
                result |= field
        if result & _PORTS and fields & _PROTOCOL:
            result |= _PROTOCOL
        return result

    def _new(self, candidates: int, fields: int) -> PlainNode:
        # The protocol decides first whether there are ports at all.
        if fields & _PROTOCOL:
            return self._split(Field.PROTOCOL, self._axes[0].cut(candidates), fields)
        number = candidates.bit_count()
        if number <= self._longest:
            return self._list(candidates, fields)
        left = [field for field in _FIELDS if fields >> field & 1]
        light = [f for f in left if self._axes[f].weight(candidates) <= _CLASSES_PER_RULE * number]
        if not light and number <= _SHORT_LIST:
            return self._list(candidates, fields)
        if number > 4 * _SHORT_LIST or not light:
            light = left
        cuts = {field: self._axes[field].cut(candidates) for field in light}
        best = min(cuts, key=lambda field: (self._left(cuts[field], field, fields), field))
        return self._split(best, cuts[best], fields)

    def _left(self, cut: Cut, field: Field, fields: int) -> int:
        """How many rules the different classes leave, all together."""
        met = self._met[fields & ~(1 << field)]
        left = {_up_to_first(candidates, met) for _, candidates in cut}
        return sum(each.bit_count() for each in left)

    def _split(self, field: Field, cut: Cut, fields: int) -> PlainNode:
        rest = fields & ~(1 << field)
        lists: Mapping[int, PlainNode] = {}
        if field is Field.PROTOCOL:
            cut = self._with_protocols(cut, fields)
        elif len(cut) > FEW_CLASSES:
            lists = self._shared_lists(cut, field, fields)
        starts: list[int] = []
        children: list[PlainNode] = []
        nodes: dict[tuple[int, int], PlainNode] = {}
        for start, candidates in cut:
            left = rest
            if field is Field.PROTOCOL and start not in (TCP, UDP):
                left &= ~_PORTS
            child = lists.get(start)
            if child is None:
                child = nodes.get((candidates, left))
            if child is None:
                child = nodes[candidates, left] = self._node(candidates, left)
            if not children or child is not children[-1]:
                starts.append(start)
                children.append(child)
                self._spend(1)
        if len(children) == 1:
            return children[0]
        return int(field), tuple(starts), tuple(children)

    def _shared_lists(self, cut: Cut, field: Field, fields: int) -> dict[int, PlainNode]:
        """The lists that classes of a node have in common, by the starts of these classes.

        They test the node's field too.
        """
        met = self._met[fields & ~(1 << field)]
        of_any_protocol = self._axes[Field.PROTOCOL].everywhere
        gathering = Gathering(~self._tail, self._axes[field].of_one_range, of_any_protocol)
        for start, candidates in cut:
            gathering.add(start, _up_to_first(candidates, met))
        return {
            start: node
            for candidates, starts in gathering.lists()
            for node in (self._shared_list(candidates, fields),)
            for start in starts
        }

    def _shared_list(self, candidates: int, fields: int) -> PlainNode:
        candidates = _up_to_first(candidates, self._met[fields])
        fields = self._constraining(candidates, fields)
        made = self._shared.get((candidates, fields))
        if made is None:
            made = self._shared[candidates, fields] = self._list(candidates, fields)
        return made

    def _with_protocols(self, cut: Cut, fields: int) -> Cut:
        """Cut around TCP and UDP, where ports matter, and without rules of ports elsewhere."""
        if not fields & _PORTS:
            return cut
        classes = Classifier([start for start, _ in cut], [candidates for _, candidates in cut])
        result = []
        for start in sorted({*classes.starts, TCP, TCP + 1, UDP, UDP + 1}):
            candidates = classes.rules(start)
            if start not in (TCP, UDP):
                candidates &= self._portless
            result.append((start, candidates))
        return result

    def _list(self, candidates: int, fields: int) -> PlainNode:
        """The candidates one after the other; the default rules are a list that many share."""
        tail = candidates & self._tail
        if tail == candidates or tail.bit_count() < _SHORTEST_TAIL:
            tail = 1 << candidates.bit_length() - 1
        tests = self._tests(candidates & ~tail, fields)
        if not tests:
            raise AssertionError("a list has more than one rule")
        return LIST, tests, self._node(tail, fields)

    def _tests(self, rules: int, fields: int) -> tuple[PlainTest, ...]:
        tests = []
        while rules:
            lowest = rules & -rules
            rules ^= lowest
            rule = lowest.bit_length() - 1
            conditions = [
                self._conditions[number].get(rule) or self._condition(number, rule)
                for number, (field, constrained) in enumerate(self._constrained)
                if fields & field and lowest & constrained
            ]
            tests.append((rule, tuple(conditions)))
        self._longest_made = max(self._longest_made, len(tests) + 1)
        self._spend(len(tests))
        return tuple(tests)

    def _condition(self, field: int, rule: int) -> Condition:
        made = field, self._flattener.bounds(self._axes[field].ranges[rule])
        self._conditions[field][rule] = made
        return made

    def _spend(self, elements: int) -> None:
        self._elements += elements
        if self._elements > self._bound and self._longest <= LONGEST_LIST:
            raise _OutOfBoundsError


def _up_to_first(candidates: int, met: int) -> int:
    """Candidates without what comes behind the first that is among *met*, if any.

    What comes behind a rule that is met for certain decides nothing.
    """
    sure = candidates & met
    return candidates & (((sure & -sure) << 1) - 1)
