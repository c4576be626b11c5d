"""Long work goes on beside what must not wait."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

import pytest

from nsgd.runtime.beside import Beside


def test_what_must_not_wait_is_done_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work ends only after others were called twice, in the caller's thread."""
    monkeypatch.setattr("nsgd.runtime.beside._EVERY_S", 0.01)
    enough = threading.Event()
    callers = []

    def meanwhile() -> None:
        callers.append(threading.current_thread())
        if len(callers) == 2:
            enough.set()

    beside = Beside(meanwhile)
    assert beside.do(lambda: enough.wait(30))
    assert beside.do(lambda: 7) == 7
    beside.close()
    assert set(callers) == {threading.current_thread()}


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError("mine")])
def test_its_refusal_is_the_callers(error: Exception) -> None:
    """Also where it is of the kind that waiting itself raises."""

    def work() -> None:
        raise error

    with contextlib.closing(Beside(lambda: None)) as beside:
        with pytest.raises(type(error)) as raised:
            beside.do(work)
        assert raised.value is error


def test_what_work_needs_is_done_by_the_caller() -> None:
    """Beside what of the work does not need it, which the caller may wait for."""
    begun = threading.Event()
    done = []

    def needed() -> None:
        assert begun.wait(30)
        done.append(threading.current_thread())

    def work(when_done: Callable[[], None]) -> int:
        begun.set()
        when_done()
        return len(done)

    with contextlib.closing(Beside(lambda: None)) as beside:
        assert beside.do_with(work, needed) == 1
        assert done == [threading.current_thread()]


def test_work_is_over_where_what_it_needs_fails() -> None:
    """The error is told to both, and what must not wait has no turn before the end."""
    error = ValueError("no")
    told = []

    def needed() -> None:
        raise error

    def work(when_done: Callable[[], None]) -> None:
        try:
            when_done()
        finally:
            told.append("over")

    def meanwhile() -> None:
        told.append("meanwhile")

    with contextlib.closing(Beside(meanwhile)) as beside:
        with pytest.raises(ValueError, match="no") as raised:
            beside.do_with(work, needed)
        assert raised.value is error
        assert told == ["over"]
        ready = threading.Event()
        assert not beside.do(ready.is_set)


def test_work_that_fails_first_is_told_when_what_it_needs_is_done() -> None:
    """A failure of both is that of what was needed."""

    def work(when_done: Callable[[], None]) -> None:
        raise ValueError("work")

    def needed() -> None:
        raise KeyError("needed")

    with contextlib.closing(Beside(lambda: None)) as beside:
        with pytest.raises(ValueError, match="work"):
            beside.do_with(work, lambda: None)
        with pytest.raises(KeyError, match="needed"):
            beside.do_with(work, needed)


def test_what_is_watched_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor that becomes readable has its call, however long the usual pause is."""
    monkeypatch.setattr("nsgd.runtime.beside._EVERY_S", 60)
    read, write = os.pipe()
    seen = threading.Event()

    def meanwhile() -> None:
        os.read(read, 1)
        seen.set()

    def work() -> bool:
        os.write(write, b"x")
        return seen.wait(30)

    with contextlib.closing(Beside(meanwhile, lambda: [read])) as beside:
        assert beside.do(work)
    os.close(read)
    os.close(write)
