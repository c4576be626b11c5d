"""How the verb lab ends: its exit codes, and the line that says why."""

from __future__ import annotations

import sys

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIG = 3
EXIT_PERMISSION = 5
EXIT_INTERRUPTED = 130


def fail(message: str, code: int) -> int:
    """Say why on standard error; returns the code."""
    print(f"nsgd lab: {message}", file=sys.stderr)
    return code
