"""Replaces a file whole: whoever reads it, at whatever moment, finds the old one or the new one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int, mtime_ns: int | None = None) -> None:
    """Write beside the file, make it durable, and give it the name.

    Args:
        path: Its directory exists.
        content: All of it.
        mode: Whatever the umask is.
        mtime_ns: When it was changed last, where that was not now.

    Raises:
        OSError: The file is what it was.
    """
    # A name that cannot be guessed, and O_EXCL: the directory may be another user's than ours.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            if mtime_ns is not None:
                os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
