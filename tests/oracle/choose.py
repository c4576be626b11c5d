"""Decisions and small values that drawn documents and packets are made of.

The drawing is written once, against a source of small integers: Python's random
generator for bulk runs, Hypothesis for runs whose failures shrink. In every choice the
first option is the plainest, so that shrinking leads there.
"""

from __future__ import annotations

import functools
import ipaddress
import random
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

from .oracle import Address, Prefix

T = TypeVar("T")
Written = dict[str, Any]


class Chooser(Protocol):
    """A source of decisions."""

    def integer(self, last: int) -> int:
        """A whole number from 0 to *last*, both included."""


class RandomChooser:
    """Decisions from Python's random generator."""

    def __init__(self, seed: str | int) -> None:
        self._random = random.Random(seed).random

    def integer(self, last: int) -> int:
        return int(self._random() * (last + 1))


class HypothesisChooser:
    """Decisions from Hypothesis, each one seen and shrunk by it."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integer(self, last: int) -> int:
        return self._draw(st.integers(0, last)) if last > 0 else 0


def chance(chooser: Chooser, percent: int) -> bool:
    """True in *percent* of a hundred; False is the plain outcome."""
    return chooser.integer(99) >= 100 - percent


def pick(chooser: Chooser, options: Sequence[T]) -> T:
    return options[chooser.integer(len(options) - 1)]


def weighted(chooser: Chooser, options: Sequence[tuple[int, T]]) -> T:
    """One of *options*, each with its weight."""
    point = chooser.integer(sum(weight for weight, _ in options) - 1)
    for weight, option in options:
        if point < weight:
            return option
        point -= weight
    raise AssertionError("weights add up")


def cased(chooser: Chooser, text: str) -> str:
    """*text* in one of the spellings that compare equal."""
    spelling = chooser.integer(9)
    if spelling == 8:
        return text.upper()
    return text.lower() if spelling == 9 else text


def some(chooser: Chooser, options: Sequence[T]) -> list[T]:
    """One or more of *options*, in their order."""
    chosen = [option for option in options if chance(chooser, 40)]
    return chosen or [pick(chooser, options)]


def maybe_reference(
    chooser: Chooser, owner: Written, field: str, names: Sequence[str], percent: int
) -> None:
    if names and chance(chooser, percent):
        owner[field] = cased(chooser, pick(chooser, names))
    elif chance(chooser, 10):
        owner[field] = pick(chooser, (None, ""))


def maybe_list(
    chooser: Chooser, owner: Written, field: str, options: Sequence[str], percent: int
) -> None:
    if chance(chooser, percent):
        owner[field] = disjoint(chooser, options, 1 + chooser.integer(2))
    elif chance(chooser, 15):
        owner[field] = []


def disjoint(chooser: Chooser, options: Sequence[str], count: int) -> list[str]:
    chosen: list[str] = []
    for _ in range(count):
        text = pick(chooser, options)
        if not overlaps_any(text, chosen):
            chosen.append(text)
    return chosen


def overlaps_any(text: str, others: Iterable[str]) -> bool:
    block = read_network(text)
    return any(overlap(block, read_network(other)) for other in others)


def overlap(left: Prefix, right: Prefix) -> bool:
    if isinstance(left, ipaddress.IPv4Network):
        return isinstance(right, ipaddress.IPv4Network) and left.overlaps(right)
    return isinstance(right, ipaddress.IPv6Network) and left.overlaps(right)


def any_overlap(networks: Sequence[Written]) -> bool:
    seen: list[str] = []
    for network in networks:
        if any(overlaps_any(text, seen) for text in network["addressSpace"]):
            return True
        seen += network["addressSpace"]
    return False


@functools.lru_cache(maxsize=100_000)
def read_network(text: str) -> Prefix:
    return ipaddress.ip_network(text)


@functools.lru_cache(maxsize=100_000)
def read_address(text: str) -> Address:
    return ipaddress.ip_address(text)
