"""Bounds the work of exact answers by counted steps, so that memory and time are bounded too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

DEFAULT_STEPS = 2_000_000
_SHARES = 10  # of all steps, one question may take one share
_WORD_BITS = 2048  # a step over sets of more classes or rules counts as several


class OverBudget(Exception):
    """The question is too much: its answer is undetermined, which its asker must say."""


class Budget:
    """Steps that are left, of all questions and of the one that is being asked.

    A step makes at most one edge of a diagram, or remembers at most one state, so the steps of a
    question bound its memory: about a hundred bytes for each.
    """

    def __init__(self, steps: int = DEFAULT_STEPS) -> None:
        """*steps* are those of one question; all questions together have ten times as many."""
        self.steps = steps
        self._left = steps * _SHARES
        self._question = steps

    @property
    def spent(self) -> int:
        """The steps of all questions so far."""
        return self.steps * _SHARES - self._left

    @contextmanager
    def question(self) -> Iterator[None]:
        """Begin a question: it has a share of its own, or what all others have left."""
        given = self._question = min(self.steps, max(self._left, 0))
        try:
            yield
        finally:
            self._left -= given - max(self._question, 0)
            self._question = min(self.steps, max(self._left, 0))

    def spend(self, steps: int, bits: int = 0) -> None:
        """Take steps over sets of *bits* elements. Raises OverBudget when none are left."""
        self._question -= steps * (1 + bits // _WORD_BITS)
        if self._question < 0:
            raise OverBudget
