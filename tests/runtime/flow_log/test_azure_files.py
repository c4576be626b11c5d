"""Files in Azure's layout: whole at all times, mended after a crash, within their room."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nsgd.flowlog import names
from nsgd.flowlog.entry import Entry
from nsgd.runtime.flow_log.azure_files import AzureFiles, mend
from nsgd.runtime.flow_log.output import MaxBytesReached
from tests.flowlog.independent_reader import flows_below
from tests.flowlog.records import TIME_MS
from tests.runtime.flow_log.sides import HOUR_MS, NOW_S, attributed

MIB = 1 << 20
PATH = names.hour_path("lab", "02ABCDEF0123", TIME_MS)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[AzureFiles]:
    """An empty directory's."""
    with closing(AzureFiles(tmp_path, MIB, 0)) as made:
        yield made


def write(files: AzureFiles, *entries: Entry, now_s: float = NOW_S) -> None:
    """All that one flush writes."""
    for unit in files.units(entries, int(now_s * 1000)):
        files.write(unit, now_s)


def ports(directory: Path) -> list[int]:
    """The source ports of all flows, in the files' order."""
    return [flow["source_port"] for flow in flows_below(directory)]


def test_a_document_after_every_write(tmp_path: Path, files: AzureFiles) -> None:
    """Azure's header and footer of 12 and 2 bytes, whatever is between them."""
    for number in range(3):
        write(files, attributed(number), attributed(number + 10))
        content = (tmp_path / PATH).read_bytes()
        assert content[:12] == b'{"records":['
        assert content[-2:] == b"]}"
        assert len(json.loads(content)["records"]) == number + 1
    assert ports(tmp_path) == [0, 10, 1, 11, 2, 12]


def test_nobody_finds_an_empty_file(
    tmp_path: Path, files: AzureFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new one has its name once it is a document, also where an earlier try failed."""
    found: list[list[str]] = []
    real = os.pwrite

    def pwrite(descriptor: int, content: bytes, offset: int) -> int:
        found.append([path.name for path in tmp_path.rglob("PT1H.json*")])
        if len(found) == 1:
            raise OSError(errno.ENOSPC, "no room")
        return real(descriptor, content, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(OSError, match="no room"):
        write(files, attributed(1))
    write(files, attributed(1))
    assert found == [["PT1H.json.new"]] * 2
    assert [path.name for path in tmp_path.rglob("PT1H.json*")] == ["PT1H.json"]
    write(files, attributed(2))
    assert ports(tmp_path) == [1, 2]


def test_a_file_for_each_interface_and_hour(tmp_path: Path, files: AzureFiles) -> None:
    """By the time of the record; what is long past, or not yet, is in an hour that is."""
    write(
        files,
        attributed(1),
        attributed(2, mac="020000000002"),
        attributed(3, TIME_MS - HOUR_MS),
        attributed(4, TIME_MS - 5 * HOUR_MS),
        attributed(5, TIME_MS + 5 * HOUR_MS),
        attributed(6, network="other"),
    )
    hours = {
        flow["source_port"]: flow["path"].split("/h=")[1][:2] for flow in flows_below(tmp_path)
    }
    assert hours == {1: "22", 2: "22", 3: "21", 4: "21", 5: "22", 6: "22"}
    assert sum(1 for _ in tmp_path.rglob("PT1H.json")) == 4
    assert "FLOWLOGS/OTHER/" in flows_below(tmp_path)[-1]["path"]


def test_files_that_somebody_removed(tmp_path: Path, files: AzureFiles) -> None:
    """They are begun anew, with their directories, within the hour."""
    write(files, attributed(1))
    shutil.rmtree(tmp_path / names.CONTAINER)
    write(files, attributed(2))
    (tmp_path / PATH).unlink()
    write(files, attributed(3))
    write(files, attributed(4))
    assert ports(tmp_path) == [3, 4]


def test_nobody_else_may_read(tmp_path: Path, files: AzureFiles) -> None:
    """Who speaks with whom is not for everybody."""
    write(files, attributed())
    path = tmp_path / PATH
    assert path.stat().st_mode & 0o137 == 0
    assert path.parent.stat().st_mode & 0o027 == 0


def test_a_second_process_waits(tmp_path: Path, files: AzureFiles) -> None:
    """Two would write over one another."""
    with pytest.raises(OSError, match="another process writes a flow log there"):
        AzureFiles(tmp_path, MIB, 0)
    files.close()
    again = AzureFiles(tmp_path, MIB, 0)
    write(again, attributed())
    again.close()
    # For the fixture, which closes it once more.
    files._directory = os.open(tmp_path, os.O_RDONLY)


def whole(*elements: bytes) -> bytes:
    """A document as it is written."""
    return b'{"records":[\n' + b",\n".join(elements) + b"]}"


ONE, TWO = b'{"a":[{"b":[]}]}', b'{"c":"]}"}'


@pytest.mark.parametrize("cut", range(len(whole(ONE, TWO)) + 1))
def test_mending_wherever_it_was_cut(tmp_path: Path, cut: int) -> None:
    """What is left is a document with every element that was whole, or nothing."""
    path = tmp_path / "file"
    path.write_bytes(whole(ONE, TWO)[:cut])
    descriptor = os.open(path, os.O_RDWR)
    size = mend(descriptor, cut)
    os.close(descriptor)
    assert path.stat().st_size == size
    content = path.read_bytes()
    first, second = len(whole(ONE)) - 2, len(whole(ONE, TWO)) - 2
    expected = b"" if cut < first else whole(ONE) if cut < second else whole(ONE, TWO)
    assert content == expected


@pytest.mark.parametrize(
    "content", [b"what?", b'{"records": [{"a": 1}]}', b"\0" * 100, whole(b"{")]
)
def test_what_is_no_file_of_ours_is_emptied(tmp_path: Path, content: bytes) -> None:
    """As after a loss of power, which leaves zeros."""
    path = tmp_path / "file"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDWR)
    assert mend(descriptor, len(content)) == 0
    os.close(descriptor)
    assert path.read_bytes() == b""


def test_what_a_crash_left_is_mended_before_the_next_write(tmp_path: Path) -> None:
    """A later process goes on in the same file."""
    for number, cut in ((1, 30), (2, 0), (3, 1)):
        with closing(AzureFiles(tmp_path, MIB, 0)) as files:
            write(files, attributed(number))
        path = tmp_path / PATH
        if cut:
            os.truncate(path, path.stat().st_size - cut)
    with closing(AzureFiles(tmp_path, MIB, 0)) as files:
        write(files, attributed(4))
    assert ports(tmp_path) == [2, 3, 4]


def test_a_full_disk_leaves_a_document(
    tmp_path: Path, files: AzureFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half that was written is cut off; the same element can be written later."""
    write(files, attributed(1))
    before = (tmp_path / PATH).read_bytes()
    pwrite = os.pwrite

    def half(descriptor: int, content: bytes, offset: int) -> int:
        return pwrite(
            descriptor, content[: len(content) // 2] if len(content) > 2 else content, offset
        )

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", half)
        with pytest.raises(OSError, match="No space left"):
            write(files, attributed(2))
    assert (tmp_path / PATH).read_bytes() == before
    write(files, attributed(3))
    assert ports(tmp_path) == [1, 3]


def test_a_real_full_disk(tmp_path: Path) -> None:
    """/dev/full answers as a disk without room does."""
    with closing(AzureFiles(tmp_path, MIB, 0)) as files:
        path = tmp_path / PATH
        path.parent.mkdir(parents=True)
        path.symlink_to("/dev/full")
        # A link is not followed: the name is the flow log's, and nobody's else.
        with pytest.raises(OSError, match="symbolic link"):
            write(files, attributed())


def test_the_oldest_hours_make_room(tmp_path: Path) -> None:
    """Whole hours go, and empty days with them; the hour that is being written stays."""
    with closing(AzureFiles(tmp_path, 6000, 0)) as files:
        for hour in range(30):
            now_ms = TIME_MS + hour * HOUR_MS
            write(files, attributed(hour, now_ms), now_s=now_ms / 1000)
            assert sum(path.stat().st_size for path in tmp_path.rglob("PT1H.json")) <= 6000
    kept = ports(tmp_path)
    assert kept == list(range(30 - len(kept), 30))
    assert len(kept) > 5
    days = {path.name for path in tmp_path.rglob("d=*")}
    assert days == {"d=16"} or days == {"d=15", "d=16"}


def test_no_room_at_all(tmp_path: Path) -> None:
    """The present hour is not removed for itself: what is new is not written."""
    with closing(AzureFiles(tmp_path, 3000, 0)) as files:
        with pytest.raises(MaxBytesReached):
            write(files, *(attributed(number) for number in range(100)))
        write(files, attributed(0))
        assert ports(tmp_path)[0] == 0


def test_retention(tmp_path: Path) -> None:
    """Days that are over it are removed, also those of a process before."""
    with closing(AzureFiles(tmp_path, MIB, 0)) as files:
        for hour in range(0, 72, 12):
            now_ms = TIME_MS + hour * HOUR_MS
            write(files, attributed(hour, now_ms), now_s=now_ms / 1000)
    now_s = NOW_S + 60 * 3600
    with closing(AzureFiles(tmp_path, MIB, 1)) as files:
        files.tidy(now_s)
        assert ports(tmp_path) == [36, 48, 60]
    with closing(AzureFiles(tmp_path, MIB, 0)) as files:
        files.tidy(now_s + 1e9)
        assert ports(tmp_path) == [36, 48, 60]


def test_only_its_own_files_are_removed(tmp_path: Path) -> None:
    """Whatever else is below the directory stays."""
    other = tmp_path / "y=2001" / "m=01" / "d=01" / "h=01" / "m=00" / "macAddress=1" / "PT1H.json"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"0" * 10_000)
    with closing(AzureFiles(tmp_path, 6000, 1)) as files:
        write(files, attributed())
        files.tidy(NOW_S + 1e6)
    assert other.exists()
    assert ports(tmp_path / names.CONTAINER) == []
