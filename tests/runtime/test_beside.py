"""Long work goes on beside what must not wait."""

from __future__ import annotations

import contextlib
import os
import threading

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
