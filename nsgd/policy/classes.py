"""Joins maps of the same values: two values are of one class if no map tells them apart."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

# A map: values from starts[i] up to the next start have results[i]; starts[0] is 0.
StepMap = tuple[Sequence[int], Sequence[int]]
_TOKEN_BITS = 128


def join_classes(maps: Iterable[StepMap]) -> tuple[list[int], list[int]]:
    """Cut the values where any map changes, and number what is alike in all of them.

    Returns:
        Starts, and the class of each; classes are numbered from 0.

    Each (map, result) has a random token, and a class is known by the XOR of its tokens: that two
    different ones are taken for one has a chance of some 2**-100, whatever the maps hold.
    """
    changes: dict[int, list[tuple[int, int]]] = {0: []}
    tokens: dict[tuple[int, int], int] = {}
    for index, (starts, results) in enumerate(maps):
        for start, result in zip(starts, results, strict=True):
            changes.setdefault(start, []).append((index, result))
            if (index, result) not in tokens:
                tokens[index, result] = secrets.randbits(_TOKEN_BITS)
    current: dict[int, int] = {}
    signature = 0
    numbers: dict[int, int] = {}
    joined_starts: list[int] = []
    classes: list[int] = []
    for start in sorted(changes):
        for index, result in changes[start]:
            token = tokens[index, result]
            signature ^= current.get(index, 0) ^ token
            current[index] = token
        number = numbers.setdefault(signature, len(numbers))
        if not classes or classes[-1] != number:
            joined_starts.append(start)
            classes.append(number)
    return joined_starts, classes
