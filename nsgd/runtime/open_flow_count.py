"""Counts open flows by the rules that their marks name, seldom enough to be cheap."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from nsgd.model.rule import Direction
from nsgd.observe.counted import OpenFlows, Rule
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.open_flows import RefusedByKernel

log = logging.getLogger("nsgd")

_LEAST_S = 1.0
# A count is good for so many times the processor time that it took.
_SHARE = 50


class OpenFlowCount:
    """The last count of flows by mark. Any thread may ask, and none but that one waits."""

    def __init__(
        self,
        marks: Callable[[], Mapping[int, int]],
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        """Count nothing yet.

        Args:
            marks: Counts the entries of the connection table by mark. Raises RefusedByKernel.
            clock: Seconds.
            used: Seconds of a processor that this thread has used.
        """
        self._marks = marks
        self._clock = clock
        self._used = used
        self._lock = threading.Lock()
        self._next_s: float | None = None
        self._last: Mapping[int, int] | None = None
        self._numbers: DecisionNumbers | None = None
        self._rules: Mapping[Direction, Mapping[int, Rule]] = {}

    def get(self, loaded: LoadedPolicy) -> OpenFlows | None:
        """Open flows under the names of a policy; None where they cannot be counted."""
        with self._lock:
            marks = self._recent()
            if marks is None:
                return None
            if self._numbers is not loaded.numbers:
                self._numbers, self._rules = loaded.numbers, _by_number(loaded.numbers)
            return self._named(marks, MarkLayout(loaded.settings.mark_mask))

    def _recent(self) -> Mapping[int, int] | None:
        now_s, used_s = self._clock(), self._used()
        if self._next_s is None or now_s >= self._next_s:
            try:
                self._last = self._marks()
            except RefusedByKernel as error:
                log.warning("open flows are not counted: %s", error)
                self._last = None
            self._next_s = now_s + max(_LEAST_S, _SHARE * (self._used() - used_s))
        return self._last

    def _named(self, marks: Mapping[int, int], layout: MarkLayout) -> OpenFlows:
        flows = 0
        by_rule: Counter[Rule] = Counter()
        for mark, count in marks.items():
            if not layout.is_decision(mark):
                continue
            flows += count
            for direction, number in zip(DIRECTIONS, layout.numbers(mark), strict=True):
                rule = self._rules[direction].get(number)
                if rule is not None:
                    by_rule[rule] += count
        return OpenFlows(flows, by_rule)


def _by_number(numbers: DecisionNumbers) -> Mapping[Direction, Mapping[int, Rule]]:
    return {
        direction: {
            number: (group, direction, rule, access)
            for (group, rule, access), number in numbers.by_direction[direction].items()
        }
        for direction in DIRECTIONS
    }
