"""What processes have used, and which there are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from nsgd.bench.machine import processor_time_us, softirq_threads, with_descendants


def test_all_threads_count() -> None:
    """What another thread does is its process's time."""
    before_us = processor_time_us(os.getpid())
    done, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begin = os.times().user
        while os.times().user - begin < 0.05:
            pass
        done.set()
        may_end.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    assert done.wait(30)
    spent_us = processor_time_us(os.getpid()) - before_us
    may_end.set()
    thread.join()
    assert spent_us > 30_000


def test_what_is_gone_is_an_error() -> None:
    """The caller knows best what it means."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(OSError, match="No such"):
        processor_time_us(process.pid)
    assert with_descendants([process.pid]) == [process.pid]


def test_children_of_children() -> None:
    """All that live, with the processes that were asked for."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1); input()'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.read(1)
    found = with_descendants([os.getpid()])
    assert len(found) == len(set(found))
    assert found[0] == os.getpid()
    assert process.pid in found
    assert len(with_descendants([process.pid])) == 2
    process.communicate(b"\n")


def test_threads_for_interrupts_are_of_the_kernel() -> None:
    """Where it shows them, their memory is none."""
    for pid in softirq_threads():
        with open(f"/proc/{pid}/cmdline") as words:
            assert words.read() == ""
