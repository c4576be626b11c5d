"""Where the statements of rules stand: in the chains of a tree, or in a chain of the rule's own.

A chain of its own costs the kernel as much as three rules, each change of the table walks through
it, and a packet that goes on in one meets memory that is in no cache. But elements of maps lead to
chains only, and statements in many places make the lists long that they are in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nsgd.policy.tree_nodes import Field, PlainNode, is_list, nodes_of

# So many comparisons cost less than a look-up: they lie one behind the other in memory, and of a
# look-up nearly each step is outside of the processor's caches.
_MOST_COMPARISONS = 24
# In more places the statements take more room than a chain and what leads to it.
_MOST_PLACES = 2
_SILENT = -1


@dataclass(frozen=True, slots=True)
class WrittenSplit:
    """How a node is written that goes on by the value of a field."""

    others: Sequence[int]  # indexes of the children that are told by a value
    usual: PlainNode  # where all other values go on
    is_compared: bool  # one value after the other; else they are looked up


def written_split(node: PlainNode, silent: int) -> WrittenSplit:
    """Of a split; *silent* are the rules, as bits, that say nothing."""
    field, _, children = node
    keys = [_key(child, silent) for child in children]
    # What most classes lead to needs no entry.
    most = Counter(keys).most_common(1)[0][0]
    others = [index for index, key in enumerate(keys) if key != most]
    usual = children[keys.index(most)]
    is_compared = len(others) <= _MOST_COMPARISONS or field == Field.PROTOCOL
    return WrittenSplit(others, usual, is_compared)


def rules_apart(root: PlainNode, silent: int) -> int:
    """The rules, as bits, that a tree leads to in chains of their own.

    The statements of all others stand wherever its chains lead to them.

    Args:
        root: Of the tree.
        silent: The rules, as bits, that say nothing.
    """
    places: Counter[int] = Counter()
    apart = 1 << root if isinstance(root, int) else 0
    for node in nodes_of(root):
        if is_list(node):
            _, tests, rest = node
            places.update(rule for rule, _ in tests)
        else:
            split, children = written_split(node, silent), node[2]
            rest = split.usual
            rules = [children[index] for index in split.others if isinstance(children[index], int)]
            if split.is_compared:
                places.update(rules)
            else:
                for rule in rules:
                    apart |= 1 << rule
        if isinstance(rest, int):
            places[rest] += 1
    for rule, number in places.items():
        if number > _MOST_PLACES:
            apart |= 1 << rule
    return apart & ~silent


def _key(child: PlainNode, silent: int) -> int:
    """What tells where children lead to; rules that say nothing all go back."""
    if not isinstance(child, int):
        return -2 - id(child)
    return _SILENT if silent >> child & 1 else child
