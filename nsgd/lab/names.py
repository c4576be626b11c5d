"""Names of a lab's network namespaces under /run/netns, and threads that enter them.

A thread enters a namespace alone: nothing forks, and the process stays where it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pyroute2 import netns

NAMESPACE_DIRECTORY = Path("/run/netns")
_PREFIX = "nsgd-"
_CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def unused_name(name: str) -> str:
    """nsgd-PID-NAME, with a number behind it where this process has that one already."""
    taken = {path.name for path in _existing()}
    full_name, attempt = f"{_PREFIX}{os.getpid()}-{name}", 1
    while full_name in taken:
        attempt += 1
        full_name = f"{_PREFIX}{os.getpid()}-{name}-{attempt}"
    return full_name


def create(name: str) -> None:
    """Create a network namespace. Raises OSError, EPERM for want of root."""
    _in_thread(lambda: _unshare(name))


def remove(name: str) -> None:
    """Take the name away if it is there; the kernel ends the namespace with its last user."""
    with contextlib.suppress(FileNotFoundError):
        netns.remove(name)


def call_inside(name: str, function: Callable[[], T]) -> T:
    """Call *function* in a thread that is inside, and return or raise what it does."""

    def inside() -> T:
        netns.setns(name, flags=0)
        return function()

    return _in_thread(inside)


def remove_leftovers() -> list[str]:
    """Remove the namespaces of labs whose process is gone, and return their names.

    Processes that such a lab left behind are not touched.
    """
    removed = []
    for path in _existing():
        pid_text = path.name.removeprefix(_PREFIX).partition("-")[0]
        if pid_text.isdigit() and not Path("/proc", pid_text).exists():
            remove(path.name)
            removed.append(path.name)
    return sorted(removed)


def own_namespaces() -> list[str]:
    """Names of the namespaces that this process has made and not yet removed."""
    own = f"{_PREFIX}{os.getpid()}-"
    return sorted(path.name for path in _existing() if path.name.startswith(own))


def _existing() -> list[Path]:
    return list(NAMESPACE_DIRECTORY.glob(f"{_PREFIX}*"))


def _unshare(name: str) -> None:
    """Give the calling thread a new namespace, and the namespace a name."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot create a network namespace: {os.strerror(number)}")
    netns.attach(name, "thread-self")


def _in_thread(function: Callable[[], T]) -> T:
    """Call *function* in a thread of its own, which alone changes its network namespace."""
    results: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
