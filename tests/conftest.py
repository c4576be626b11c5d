"""Kernel tests run as root and are named as deselected, not skipped, for anyone else."""

from __future__ import annotations

import os

import pytest

# Tests start some thousand processes of nsgd: each would compile all of its modules, a quarter of a
# second, where Python is told to keep none.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_deselected = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need root where there is none."""
    if os.geteuid() == 0:
        return
    kernel = [item for item in items if item.get_closest_marker("kernel")]
    if kernel:
        items[:] = [item for item in items if item not in kernel]
        config.hook.pytest_deselected(items=kernel)
        config.stash[_deselected] = len(kernel)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say in one line what did not run."""
    if os.geteuid() == 0 or hasattr(config, "workerinput"):
        return
    # Where the tests run in processes of their own, these have left them out, and counted.
    count = config.stash.get(_deselected, None)
    which = "kernel tests" if count is None else f"{count} kernel tests"
    terminalreporter.write_line(f"not root: {which} were deselected")
