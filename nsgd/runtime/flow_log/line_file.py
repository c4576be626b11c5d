"""A flow log as JSON lines: a pipe, or a file that is set aside when large or of yesterday."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from nsgd.flowlog.entry import Entry
from nsgd.flowlog.plain import json_lines
from nsgd.runtime.flow_log.output import Unit, lock

_MODE, _DIRECTORY_MODE = 0o640, 0o750
_DAY_S = 86400
# Old files and the present one share the room: this many of equal size.
_FILES = 8
_RECORDS_A_UNIT = 256
_PLACE = ("", "", 0)
_ASIDE = re.compile(r"\.\d{8}T\d{6}Z(?:-\d+)?")


class LineFile:
    """One file, those that it was before, or one pipe."""

    def __init__(self, path: Path, max_bytes: int, retention_days: int) -> None:
        """Open the file at the first write.

        Args:
            path: A file, made where it is absent, or a pipe.
            max_bytes: Of the file and those set aside together; a pipe has no limit.
            retention_days: Files set aside are removed after so many days; 0 keeps them as long as
                there is room.
        """
        self._path, self._max_bytes, self._retention_days = path, max_bytes, retention_days
        self._descriptor = -1
        self._is_pipe = False

    def units(self, entries: Iterable[Entry], now_ms: int) -> Iterator[Unit]:
        """Lines."""
        lines = (line for entry in entries for line in json_lines(entry))
        while part := list(islice(lines, _RECORDS_A_UNIT)):
            yield Unit(_PLACE, "\n".join([*part, ""]).encode(), len(part))

    def write(self, unit: Unit, now_s: float) -> None:
        """Write lines; no reader ever sees half of one that another follows."""
        self._open()
        if self._is_pipe:
            self._write_to_pipe(unit)
            return
        details = os.fstat(self._descriptor)
        is_of_another_day = details.st_mtime // _DAY_S != now_s // _DAY_S
        is_large = details.st_size + len(unit.content) > self._max_bytes // _FILES
        if details.st_size and (is_of_another_day or is_large):
            self._set_aside(now_s)
            self._open()
        size = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, unit.content) != len(unit.content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise

    def tidy(self, now_s: float) -> None:
        """Remove files set aside that are too old, or too many."""
        if self._is_pipe:
            return
        aside = sorted(self._aside())
        room = self._max_bytes - self._max_bytes // _FILES
        held = sum(path.stat().st_size for path in aside)
        for path in aside:
            details = path.stat()
            is_old = details.st_mtime < now_s - self._retention_days * _DAY_S
            if held > room or (self._retention_days and is_old):
                path.unlink()
                held -= details.st_size

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        """Open what is there under the name, which others may have moved (logrotate)."""
        if self._descriptor >= 0:
            try:
                if os.path.samestat(os.stat(self._path), os.fstat(self._descriptor)):
                    return
            except FileNotFoundError:
                pass
            self.close()
        self._path.parent.mkdir(_DIRECTORY_MODE, parents=True, exist_ok=True)
        # Nothing waits: a pipe without a reader cannot be opened, and one that is full not written.
        flags = os.O_RDWR if self._path.is_file() or not self._path.exists() else os.O_WRONLY
        flags |= os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, _MODE)
        try:
            kind = os.fstat(descriptor).st_mode
            self._is_pipe = not stat.S_ISREG(kind)
            if not self._is_pipe:
                lock(descriptor, self._path)
                _mend(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _write_to_pipe(self, unit: Unit) -> None:
        while unit.content:
            # A pipe takes up to 4096 bytes whole or not at all.
            line, _, rest = unit.content.partition(b"\n")
            try:
                os.write(self._descriptor, line + b"\n")
            except BrokenPipeError:
                self.close()
                raise
            unit.content, unit.records = rest, unit.records - 1

    def _set_aside(self, now_s: float) -> None:
        stamp = datetime.fromtimestamp(now_s, UTC).strftime(".%Y%m%dT%H%M%SZ")
        target = self._path.with_name(self._path.name + stamp)
        number = 0
        while target.exists():
            number += 1
            target = self._path.with_name(f"{self._path.name}{stamp}-{number}")
        self._path.rename(target)
        self.close()
        self.tidy(now_s)

    def _aside(self) -> Iterator[Path]:
        name = self._path.name
        for path in self._path.parent.iterdir():
            if path.name.startswith(name) and _ASIDE.fullmatch(path.name[len(name) :]):
                yield path


def _mend(descriptor: int) -> None:
    """Cut off a line that a crash left half-written."""
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65536)
        part = os.pread(descriptor, end - start, start)
        newline = part.rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
