"""A flow log as files in Azure's layout: one for each interface and hour, a document at all times.

The end of the document is written anew with each record, by one write. What a crash or a full
disk leaves half-written is cut off before the next.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from nsgd.flowlog import names
from nsgd.flowlog.azure_v4 import FILE_END, FILE_START, encode_record
from nsgd.flowlog.entry import Entry, Place, Ruling, Side
from nsgd.flowlog.tuples import write_v4
from nsgd.runtime.flow_log.output import MaxBytesReached, Unit, lock

_HOUR_MS = 3_600_000
_HOURS_A_DAY = 24
_MODE, _DIRECTORY_MODE = 0o640, 0o750
# Of every flow log below the root, ours or another's that was there before.
_LOGS = (
    f"{names.CONTAINER}/flowLogResourceID=/SUBSCRIPTIONS/*/RESOURCEGROUPS/*/PROVIDERS"
    "/MICROSOFT.NETWORK/NETWORKWATCHERS/*/FLOWLOGS/*"
)
_NEW = ".new"
_HOUR_PARTS = re.compile(r"y=(\d{4})/m=(\d{2})/d=(\d{2})/h=(\d{2})")


class AzureFiles:
    """Files below a directory."""

    def __init__(self, root: Path, max_bytes: int, retention_days: int) -> None:
        """Take the directory, and look at what is there. Raises OSError.

        Args:
            root: It is made where it is absent.
            max_bytes: Of all files together; the oldest hours are removed for new ones.
            retention_days: Older hours are removed; 0 keeps them as long as there is room.
        """
        self._root, self._max_bytes, self._retention_days = root, max_bytes, retention_days
        root.mkdir(_DIRECTORY_MODE, parents=True, exist_ok=True)
        self._directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            lock(self._directory, root)
            self._bytes_of_hours = self._scan()
        except BaseException:
            os.close(self._directory)
            raise
        # Files that end as they should, since they were looked at.
        self._whole: set[tuple[str, str, int]] = set()
        self._directories: dict[tuple[str, int], str] = {}
        self._hour = 0

    def units(self, entries: Iterable[Entry], now_ms: int) -> Iterator[Unit]:
        """An element of ``records`` for each interface and hour.

        A record belongs to the hour of its time, if that is not long past: files of old hours may
        have been collected already, and removed.
        """
        now_hour = now_ms // _HOUR_MS
        by_hour: dict[int, dict[Side, list[str]]] = {}
        for entry in entries:
            hour = min(max(entry.saying.time_ms // _HOUR_MS, now_hour - 1), now_hour)
            by_side = by_hour.get(hour)
            if by_side is None:
                by_side = by_hour[hour] = {}
            start, end = write_v4(entry)
            for side in entry.sides:
                written = f"{start}{side[1].letter}{end}"
                if side in by_side:
                    by_side[side].append(written)
                else:
                    by_side[side] = [written]
        for hour, by_side in by_hour.items():
            yield from _units(by_side, hour, now_ms)

    def write(self, unit: Unit, now_s: float) -> None:
        """Append an element to its file."""
        network, mac, hour = unit.place
        now_hour = int(now_s * 1000) // _HOUR_MS
        if now_hour != self._hour:
            self._hour = now_hour
            self._whole.clear()
            self._directories.clear()
        needed = len(FILE_START) + len(unit.content) + len(FILE_END) + 2
        self._make_room(needed, now_hour)
        directory = f"{self._hour_directory(network, hour)}/{names.interface_directory(mac)}"
        path = f"{directory}/{names.FILE_NAME}"
        is_whole = unit.place in self._whole
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        new = None
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            # It has its name when it is a document: whoever looks finds no empty file.
            _make_directory(directory)
            new = f"{path}{_NEW}"
            descriptor = os.open(new, flags | os.O_CREAT | os.O_TRUNC, _MODE)
        try:
            before = size = os.fstat(descriptor).st_size
            if not is_whole:
                size = mend(descriptor, size)
                self._whole.add(unit.place)
            try:
                size = _append(descriptor, size, unit.content)
                if new is not None:
                    os.rename(new, path)
            except OSError:
                self._whole.discard(unit.place)
                raise
        finally:
            os.close(descriptor)
        self._bytes_of_hours[hour] = self._bytes_of_hours.get(hour, 0) + size - before

    def tidy(self, now_s: float) -> None:
        """Remove hours that are older than the retention."""
        if self._retention_days:
            first = int(now_s) // 3600 - self._retention_days * _HOURS_A_DAY
            for hour in [hour for hour in self._bytes_of_hours if hour < first]:
                self._remove(hour)

    def close(self) -> None:
        """Let others write there."""
        os.close(self._directory)

    def _hour_directory(self, network: str, hour: int) -> str:
        found = self._directories.get((network, hour))
        if found is None:
            below = names.hour_directory(network, hour * _HOUR_MS)
            found = self._directories[network, hour] = f"{self._root}/{below}"
        return found

    def _make_room(self, needed: int, now_hour: int) -> None:
        while sum(self._bytes_of_hours.values()) + needed > self._max_bytes:
            oldest = min(self._bytes_of_hours, default=now_hour)
            if oldest >= now_hour:
                raise MaxBytesReached
            self._remove(oldest)

    def _remove(self, hour: int) -> None:
        start = datetime.fromtimestamp(hour * 3600, UTC)
        for log in self._root.glob(_LOGS):
            directory = log / f"{start:y=%Y/m=%m/d=%d/h=%H}"
            if not directory.is_dir():
                continue
            shutil.rmtree(directory)
            # The day, the month and the year, where this was their last hour.
            with suppress(OSError):
                for above in list(directory.parents)[:3]:
                    above.rmdir()
        self._bytes_of_hours.pop(hour, None)

    def _scan(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for path in self._root.glob(f"{_LOGS}/y=*/m=*/d=*/h=*/m=00/macAddress=*/*"):
            hour = _hour_of(path)
            if hour is not None:
                with suppress(OSError):
                    found[hour] = found.get(hour, 0) + path.lstat().st_size
        return found


def _hour_of(path: Path) -> int | None:
    match = _HOUR_PARTS.search(path.as_posix())
    if match is None:
        return None
    try:
        year, month, day, hour = map(int, match.groups())
        return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) // 3600
    except ValueError:
        return None


def _units(by_side: Mapping[Side, Sequence[str]], hour: int, now_ms: int) -> Iterator[Unit]:
    by_place: dict[Place, list[tuple[Ruling, Sequence[str]]]] = {}
    for (place, ruling), tuples in by_side.items():
        by_place.setdefault(place, []).append((ruling, tuples))
    for place, rulings in by_place.items():
        content = encode_record(place, now_ms, rulings).encode()
        records = sum(len(tuples) for _, tuples in rulings)
        yield Unit((place.virtual_network, place.mac_address, hour), content, records)


def _make_directory(path: str) -> None:
    """Mostly it is the only one that is missing."""
    try:
        os.mkdir(path, _DIRECTORY_MODE)
    except FileExistsError:
        pass
    except FileNotFoundError:
        Path(path).mkdir(_DIRECTORY_MODE, parents=True, exist_ok=True)


def _append(descriptor: int, size: int, element: bytes) -> int:
    """Write an element and the document's end; returns the new size. Raises OSError.

    After a failure the document is as it was, as far as the disk still lets that be done.
    """
    start = size - len(FILE_END) if size else 0
    content = (b",\n" if size else FILE_START + b"\n") + element + FILE_END
    try:
        written = os.pwrite(descriptor, content, start)
        if written != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, start)
            if size:
                os.pwrite(descriptor, FILE_END, start)
        raise
    return start + len(content)


def mend(descriptor: int, size: int) -> int:
    """Cut off what is not whole at the end of a file, and end it; returns its size then.

    A file without one whole record is emptied. Raises OSError.
    """
    if not size:
        return 0
    end = 0
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as content:
        if content[: len(FILE_START)] == FILE_START:
            end = next(_whole_ends(content), 0)
            is_whole = end > 0 and content[end:] == FILE_END
        else:
            is_whole = False
    if is_whole:
        return size
    os.ftruncate(descriptor, end)
    if not end:
        return 0
    os.pwrite(descriptor, FILE_END, end)
    return end + len(FILE_END)


def _whole_ends(content: mmap.mmap) -> Iterator[int]:
    """Where whole elements end, the last first. Each begins a line."""
    end = len(content)
    while True:
        start = content.rfind(b"\n{", 0, end) + 1
        if start == 0:
            return
        line = content[start:end]
        # With the document's end or a part of it, with what comes before a next one, or bare.
        for tail in (FILE_END, FILE_END[:1], b",\n", b",", b""):
            if line.endswith(tail) and _is_object(line[: len(line) - len(tail)]):
                yield end - len(tail)
                break
        end = start - 1


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
