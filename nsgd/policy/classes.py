"""Joins maps of the same values: two values are of one class if no map tells them apart."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nsgd.policy.address_set import Range

# A map: values from starts[i] up to the next start have results[i]; starts[0] is 0.
StepMap = tuple[Sequence[int], Sequence[int]]
_TOKEN_BYTES = 16
_TOKENS_AT_ONCE = 256


def join_classes(
    maps: Iterable[StepMap], sets: Iterable[Sequence[Range]] = ()
) -> tuple[list[int], list[int]]:
    """Cut the values where any map changes, and number what is alike in all of them.

    Args:
        maps: From values to results.
        sets: Further maps, from values to whether they are inside: disjoint ranges each.

    Returns:
        Starts, and the class of each; classes are numbered from 0.

    Each (map, result) has a random token, and so has the inside of each set; a class is known by
    the XOR of its tokens: that two different ones are taken for one has a chance of some 2**-100,
    whatever the maps hold.
    """
    new_token = random_tokens()
    flips: defaultdict[int, int] = defaultdict(int)
    flips[0] = 0
    for starts, results in maps:
        tokens: dict[int, int] = {}
        before = 0
        for start, result in zip(starts, results, strict=True):
            token = tokens.get(result)
            if token is None:
                token = tokens[result] = next(new_token)
            flips[start] ^= before ^ token
            before = token
    # Two of the same would undo each other; most are one object for many rules.
    by_identity = {id(each): each for each in sets}
    for ranges in dict.fromkeys(tuple(each) for each in by_identity.values()):
        token = next(new_token)
        for first, last in ranges:
            flips[first] ^= token
            flips[last + 1] ^= token
    return classes_of(flips)


def classes_of(flips: Mapping[int, int]) -> tuple[list[int], list[int]]:
    """Starts, and the class of each, by the tokens that come or go at some values, 0 among them."""
    signature = 0
    numbers: dict[int, int] = {}
    joined_starts: list[int] = []
    classes: list[int] = []
    for start in sorted(flips):
        signature ^= flips[start]
        number = numbers.setdefault(signature, len(numbers))
        if not classes or classes[-1] != number:
            joined_starts.append(start)
            classes.append(number)
    return joined_starts, classes


def random_tokens() -> Iterator[int]:
    """Numbers for join_classes() that nobody can foresee; many from one call of the system."""
    while True:
        some = secrets.token_bytes(_TOKEN_BYTES * _TOKENS_AT_ONCE)
        for place in range(0, len(some), _TOKEN_BYTES):
            yield int.from_bytes(some[place : place + _TOKEN_BYTES])
