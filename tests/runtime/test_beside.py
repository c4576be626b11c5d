"""Long work goes on beside what must not wait."""

from __future__ import annotations

import threading

import pytest

from nsgd.runtime.beside import do_beside


def test_what_must_not_wait_is_done_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work ends only after others were called twice, in the caller's thread."""
    monkeypatch.setattr("nsgd.runtime.beside._EVERY_S", 0.01)
    enough = threading.Event()
    callers = []

    def meanwhile() -> None:
        callers.append(threading.current_thread())
        if len(callers) == 2:
            enough.set()

    assert do_beside(lambda: enough.wait(30), meanwhile)
    assert set(callers) == {threading.current_thread()}


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError("mine")])
def test_its_refusal_is_the_callers(error: Exception) -> None:
    """Also where it is of the kind that waiting itself raises."""

    def work() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        do_beside(work, lambda: None)
    assert raised.value is error
