"""Writes down which process this is, then becomes a command: ``launch FILE COMMAND...``.

What stands in the file is there before the command runs: however the lab ends, it can be found.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nsgd.lab.identity import ProcessIdentity


def write_identity(path: Path) -> None:
    """Write this process's identity to a file, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(str(ProcessIdentity.of(os.getpid())))
    unfinished.rename(path)


if __name__ == "__main__":
    write_identity(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 (the command is the caller's)
