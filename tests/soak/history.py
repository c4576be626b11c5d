"""What was in force when, and what was broken when: the facts that a probe's outcome is held to.

A reload takes a while, in which the old policy or the new one decides. Times are monotonic seconds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.soak.policies import InForce


@dataclass(slots=True)
class _Span:
    value: InForce
    from_s: float
    until_s: float | None = None


class History:
    """Written by those who change things, read by whoever judges what came of a probe."""

    def __init__(self, first: InForce) -> None:
        self._lock = threading.Lock()
        self._policies = [_Span(first, 0.0)]
        self._faults: list[list[float | None]] = []

    @property
    def current(self) -> InForce:
        """What was brought into force last."""
        return self._policies[-1].value

    @contextlib.contextmanager
    def change(self, to: InForce) -> Iterator[None]:
        """A change to another policy: in the block both may decide."""
        with self._lock:
            before = self._policies[-1]
            self._policies.append(_Span(to, time.monotonic()))
        yield
        before.until_s = time.monotonic()

    @contextlib.contextmanager
    def fault(self) -> Iterator[None]:
        """A time without a worker that serves, at whose begin one with packets may have died."""
        span: list[float | None] = [time.monotonic(), None]
        with self._lock:
            self._faults.append(span)
        yield
        span[1] = time.monotonic()

    def in_force(self, from_s: float, until_s: float) -> set[InForce]:
        """All that may have decided at some time between these."""
        with self._lock:
            return {
                span.value
                for span in self._policies
                if span.from_s <= until_s and (span.until_s is None or span.until_s >= from_s)
            }

    def was_faulty(self, from_s: float, until_s: float) -> bool:
        """Whether there was a fault at some time between these."""
        with self._lock:
            return any(
                begin is not None and begin <= until_s and (end is None or end >= from_s)
                for begin, end in self._faults
            )
