"""JSON lines: in a file that is set aside, or into a pipe that nobody has to read."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from nsgd.runtime.flow_log.line_file import LineFile
from tests.runtime.flow_log.sides import NOW_S, attributed

MIB = 1 << 20


def write(log: LineFile, *numbers: int, now_s: float = NOW_S) -> None:
    """Lines, told apart by their ports."""
    for unit in log.units([attributed(number) for number in numbers], int(now_s * 1000)):
        log.write(unit, now_s)


def ports(*paths: Path) -> list[int]:
    """The ports of the lines."""
    return [
        json.loads(line)["sourcePort"] for path in paths for line in path.read_text().splitlines()
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file will be, in a directory that is not there yet."""
    return tmp_path / "logs" / "flows.jsonl"


def touched(path: Path, now_s: float) -> None:
    os.utime(path, (now_s, now_s))


def test_lines(path: Path) -> None:
    """Appended, also to what was there; nobody else may read."""
    for number in range(2):
        with closing(LineFile(path, MIB, 0)) as log:
            write(log, number, number + 10)
            touched(path, NOW_S)
    assert ports(path) == [0, 10, 1, 11]
    assert path.stat().st_mode & 0o137 == 0


def test_half_a_line_is_cut_off(path: Path) -> None:
    """A crash left it; what follows would become part of it."""
    with closing(LineFile(path, MIB, 0)) as log:
        write(log, 1, 2)
    os.truncate(path, path.stat().st_size - 5)
    touched(path, NOW_S)
    with closing(LineFile(path, MIB, 0)) as log:
        write(log, 3)
    assert ports(*sorted(path.parent.glob("flows.jsonl.*")), path) == [1, 3]


def test_a_file_that_others_moved(path: Path) -> None:
    """logrotate gives the name to a new one."""
    with closing(LineFile(path, MIB, 0)) as log:
        write(log, 1)
        path.rename(path.with_suffix(".1"))
        write(log, 2)
    assert (ports(path), ports(path.with_suffix(".1"))) == ([2], [1])


def test_large_files_are_set_aside_and_the_oldest_removed(path: Path) -> None:
    """All together they stay within their room."""
    room = 40_000
    with closing(LineFile(path, room, 0)) as log:
        for number in range(300):
            write(log, number, now_s=NOW_S + number)
            touched(path, NOW_S + number)
            assert sum(each.stat().st_size for each in path.parent.iterdir()) <= room
    kept = ports(*sorted(path.parent.glob("flows.jsonl.*")), path)
    assert kept == list(range(300 - len(kept), 300))
    assert len(kept) > 40


def test_a_file_of_yesterday_is_set_aside_and_removed_when_old(path: Path) -> None:
    """So that days can be counted."""
    with closing(LineFile(path, MIB, 2)) as log:
        for day in range(5):
            now_s = NOW_S + day * 86400
            write(log, day, now_s=now_s)
            touched(path, now_s)
        log.tidy(NOW_S + 4 * 86400)
    assert ports(*sorted(path.parent.glob("flows.jsonl.*")), path) == [2, 3, 4]


def test_two_files_of_one_second(path: Path) -> None:
    """Neither takes the other's name."""
    with closing(LineFile(path, 8 * 600, 0)) as log:
        for number in range(4):
            write(log, number)
    assert sorted(ports(*path.parent.iterdir())) == [0, 1, 2, 3]


def test_other_files_beside_it_stay(path: Path) -> None:
    """Only names that the log gave are its own."""
    path.parent.mkdir()
    other = path.with_name("flows.jsonl.old")
    other.write_bytes(b"0" * 100_000)
    with closing(LineFile(path, 8 * 600, 1)) as log:
        for number in range(10):
            write(log, number)
        log.tidy(NOW_S + 1e9)
    assert other.exists()


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half of a line stays."""
    real = os.write
    with closing(LineFile(path, MIB, 0)) as log:
        write(log, 1)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", lambda fd, content: real(fd, content[:30]))
            with pytest.raises(OSError, match="No space left"):
                write(log, 2)
        write(log, 3)
    assert ports(*sorted(path.parent.glob("flows.jsonl.*")), path) == [1, 3]


def test_two_processes(path: Path) -> None:
    """The second waits."""
    with closing(LineFile(path, MIB, 0)) as log, closing(LineFile(path, MIB, 0)) as other:
        write(log, 1)
        with pytest.raises(OSError, match="another process"):
            write(other, 2)


def test_a_pipe(tmp_path: Path) -> None:
    """Nobody reads it, somebody does, and then not fast enough: nothing ever waits."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    log = LineFile(path, MIB, 0)
    with pytest.raises(OSError, match="No such device or address") as absent:
        write(log, 1)
    assert absent.value.errno == errno.ENXIO
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(log, 2)
    assert json.loads(os.read(reader, 65536))["sourcePort"] == 2

    (unit,) = log.units([attributed(number) for number in range(250)], 0)
    with pytest.raises(BlockingIOError):
        log.write(unit, NOW_S)
    first = os.read(reader, 1 << 20).splitlines()
    assert len(first) + unit.records == 250
    while unit.records:
        with contextlib.suppress(BlockingIOError):
            log.write(unit, NOW_S)
        first += os.read(reader, 1 << 20).splitlines()
    assert [json.loads(line)["sourcePort"] for line in first] == list(range(250))

    os.close(reader)
    with pytest.raises(BrokenPipeError):
        write(log, 3)
    with pytest.raises(OSError, match="No such device or address"):
        write(log, 3)
    log.close()
