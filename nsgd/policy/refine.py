"""Classes of values that one more map tells apart, from those without it.

Classes may be finer than they need be: what is of one class is still alike in all maps. So a map
that is new cuts the classes that it tells apart, in the time that it takes to look at them, and one
that is gone leaves them as they are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from nsgd.policy.address_set import Range
from nsgd.policy.classes import StepMap

MOST_PORT_CLASSES = 1 << 16

_Span = tuple[int, int]  # of places, the last not among them


def refine_steps(known: StepMap, ranges: Sequence[Range], values: int) -> StepMap:
    """Classes that tell the inside of *ranges* from the outside; *known* itself if it does.

    Args:
        known: Starts, and the class from each on; the first start is 0.
        ranges: Disjoint, in ascending order.
        values: How many there are; what starts behind the last is nobody's.
    """
    starts, classes = list(known[0]), list(known[1])
    places = []
    for first, last in ranges:
        for cut in (first, last + 1):
            place = bisect_left(starts, cut)
            if cut < values and (place == len(starts) or starts[place] != cut):
                starts.insert(place, cut)
                classes.insert(place, classes[place - 1])
            places.append(place)  # what is cut later is behind it
    inside = list(zip(places[::2], places[1::2], strict=True))
    outside = _between(inside, bisect_left(starts, values))
    few, many = sorted((inside, outside), key=_size)
    numbers = _new_numbers(_parts(classes, few), _parts(classes, many), [classes])
    if not numbers:
        return known
    for begin, end in few:
        part = classes[begin:end]
        classes[begin:end] = [numbers.get(each, each) for each in part]
    return starts, classes


def refine_ports(
    known: Sequence[Sequence[int]], ranges: Sequence[Sequence[Range]]
) -> Sequence[Sequence[int]] | None:
    """The same of ports, where several kinds of them have classes in common.

    Args:
        known: Of each kind the class of each port: bytes, or an array of H.
        ranges: Of each kind; a port is inside if it is among those of its own.

    Returns:
        As *known*, or None where there would be more than MOST_PORT_CLASSES.
    """
    inside = [[(first, last + 1) for first, last in of_kind] for of_kind in ranges]
    outside = [_between(spans, len(of)) for spans, of in zip(inside, known, strict=True)]
    few, many = sorted((inside, outside), key=lambda kinds: sum(map(_size, kinds)))
    numbers = _new_numbers(_parts_of_kinds(known, few), _parts_of_kinds(known, many), known)
    if not numbers:
        return known
    most = max(numbers.values())
    if most >= MOST_PORT_CLASSES:
        return None
    return [_renumbered(*of_kind, numbers, most) for of_kind in zip(known, few, strict=True)]


def _between(spans: Sequence[_Span], count: int) -> list[_Span]:
    """Of so many places the others."""
    begins = [0, *(end for _, end in spans)]
    ends = [*(begin for begin, _ in spans), count]
    return list(zip(begins, ends, strict=True))


def _size(spans: Iterable[_Span]) -> int:
    return sum(end - begin for begin, end in spans)


def _parts(classes: Sequence[int], spans: Iterable[_Span]) -> list[Sequence[int]]:
    return [classes[begin:end] for begin, end in spans]


def _parts_of_kinds(
    kinds: Iterable[Sequence[int]], spans: Iterable[Iterable[_Span]]
) -> list[Sequence[int]]:
    return [part for of in zip(kinds, spans, strict=True) for part in _parts(*of)]


def _new_numbers(
    few: Iterable[Sequence[int]], many: Iterable[Sequence[int]], every: Iterable[Sequence[int]]
) -> dict[int, int]:
    """For each class that is in both of two parts of *every* another number in the first one."""
    in_few = set().union(*few)
    in_both = set().union(*map(in_few.intersection, many))  # looks at many, and keeps few
    if not in_both:
        return {}
    first = max(map(max, every)) + 1
    return {number: first + place for place, number in enumerate(sorted(in_both))}


def _renumbered(
    classes: Sequence[int], spans: Iterable[_Span], numbers: dict[int, int], most: int
) -> Sequence[int]:
    """The same with new numbers in some places; bytes where these have room for them."""
    if isinstance(classes, bytes) and most < 256:
        narrow = bytearray(classes)
        for begin, end in spans:
            narrow[begin:end] = bytes([numbers.get(each, each) for each in narrow[begin:end]])
        return bytes(narrow)
    wide = classes[:] if isinstance(classes, array) else array("H", list(classes))
    for begin, end in spans:
        wide[begin:end] = array("H", [numbers.get(each, each) for each in wide[begin:end]])
    return wide
