"""The loop: signals that come together are one, and what is tended at ticks."""

from __future__ import annotations

import os
import signal

import pytest

from nsgd.runtime.loop import END_SIGNALS, EndedEarly, Loop


def test_a_storm_of_signals_is_one_call() -> None:
    """Fifty that come while the first is being handled are handled together, by one call."""
    loop = Loop()
    calls: list[int] = []

    def on_hangup() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            for _ in range(50):
                signal.raise_signal(signal.SIGHUP)

    def tick() -> None:
        if not calls:
            os.kill(os.getpid(), signal.SIGHUP)
        elif len(calls) >= 2:
            loop.stop()
        loop.soon(0)

    before = signal.getsignal(signal.SIGHUP)
    try:
        loop.run({signal.SIGHUP: on_hangup}, tick)
        assert calls == [0, 1]
    finally:
        signal.signal(signal.SIGHUP, before)
        loop.close()


def test_what_is_tended_at_ticks() -> None:
    """After the tick itself, each time."""
    loop = Loop()
    calls: list[str] = []

    def tick() -> None:
        calls.append("tick")
        if len(calls) > 2:
            loop.stop()

    loop.at_ticks(lambda: calls.append("tended"))
    loop.soon(0)
    loop.run({}, tick)
    loop.close()
    assert calls == ["tick", "tended", "tick", "tended"]


def test_a_signal_that_comes_before_the_loop_runs() -> None:
    """It is handled first of all, once."""
    loop = Loop()
    calls: list[str] = []
    before = signal.getsignal(signal.SIGHUP)
    try:
        loop.note(signal.SIGHUP)
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        loop.soon(0)

        def tick() -> None:
            calls.append("tick")
            loop.stop()

        loop.run({signal.SIGHUP: lambda: calls.append("hangup")}, tick)
        assert calls == ["hangup", "tick"]
    finally:
        signal.signal(signal.SIGHUP, before)
        loop.close()


@pytest.mark.parametrize("number", END_SIGNALS)
def test_what_is_not_to_be_begun_any_more(number: int) -> None:
    """A signal that asks for the end is no interruption once it is noted."""
    loop = Loop()
    noted = (*END_SIGNALS, signal.SIGHUP)
    before = [signal.getsignal(each) for each in noted]
    try:
        loop.note(*noted)
        signal.raise_signal(signal.SIGHUP)
        loop.go_on()
        signal.raise_signal(number)
        with pytest.raises(EndedEarly):
            loop.go_on()
    finally:
        for each, handler in zip(noted, before, strict=True):
            signal.signal(each, handler)
        loop.close()
