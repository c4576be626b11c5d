"""What is being done by a command that takes long: one line, at a terminal only."""

from __future__ import annotations

import sys


def progress(text: str) -> None:
    """Say it on standard error, over what was said before; an empty text leaves nothing."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
