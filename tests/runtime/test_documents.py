"""Files become documents, or problems that name them."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from nsgd.config.load import Document
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.runtime import documents
from nsgd.runtime.documents import read_documents


def refused(*paths: Path) -> list[str]:
    """The problems, as shown."""
    with pytest.raises(ConfigRefused) as caught:
        read_documents(paths)
    assert all(isinstance(problem, Problem) for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_bytes_are_kept_in_order(tmp_path: Path) -> None:
    """Content is not interpreted, a link is followed, an empty file is a document."""
    first, second, link = tmp_path / "b.yaml", tmp_path / "a.yaml", tmp_path / "link"
    first.write_bytes(b"\xff\x00\r\n")
    second.write_bytes(b"")
    link.symlink_to(first)
    assert read_documents([first, second, link]) == [
        Document(str(first), b"\xff\x00\r\n"),
        Document(str(second), b""),
        Document(str(link), b"\xff\x00\r\n"),
    ]


def test_what_a_file_still_holds_is_the_same_object(tmp_path: Path) -> None:
    """And what it holds now counts, whatever its times say."""
    path = tmp_path / "long"
    known = bytes(range(256)) * 1000
    path.write_bytes(known)
    times = path.stat()
    (found,) = read_documents([path], known={str(path): known})
    assert found.content is known
    for place in (0, 65_536, len(known) - 1):
        changed = bytearray(known)
        changed[place] ^= 1
        path.write_bytes(changed)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert read_documents([path], known={str(path): known})[0].content == changed
    for other in (known[:-1], known + b"x", b""):
        path.write_bytes(other)
        assert read_documents([path], known={str(path): known})[0].content == other


def test_a_directory_is_its_documents(tmp_path: Path) -> None:
    """By name, among the other paths; what is hidden or of another kind is left out."""
    directory = tmp_path / "policy.d"
    directory.mkdir()
    for name in ("b.yaml", "a.json", "c.yml", ".d.yaml", "e.txt", "f.yaml~"):
        (directory / name).write_bytes(name.encode())
    last = tmp_path / "0.yaml"
    last.write_bytes(b"0")
    names = [Path(document.name).name for document in read_documents([directory, last])]
    assert names == ["a.json", "b.yaml", "c.yml", "0.yaml"]


def test_every_unsuitable_file_is_told(tmp_path: Path) -> None:
    """Each with a way out; a pipe without writer and a socket do not block."""
    good, missing, pipe, below = (tmp_path / name for name in ("good", "missing", "pipe", "good/x"))
    good.write_bytes(b"{}")
    os.mkfifo(pipe)
    listening = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(listening))
        assert refused(good, missing, tmp_path, pipe, listening, Path("/dev/null"), below) == [
            f"{missing}: cannot be read: no such file or directory; check the path",
            f"{tmp_path}: has no documents in it; name them .yaml, .yml, .json",
            f"{pipe}: is not a regular file; copy it to one: a reload reads it again",
            f"{listening}: is not a regular file; copy it to one: a reload reads it again",
            "/dev/null: is not a regular file; copy it to one: a reload reads it again",
            f"{below}: cannot be read: not a directory; check the path",
        ]


def test_a_file_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself is fine, one byte more is not."""
    monkeypatch.setattr(documents, "MAXIMUM_DOCUMENT_BYTES", 1 << 20)
    path = tmp_path / "long"
    path.write_bytes(bytes(1 << 20))
    assert len(read_documents([path])[0].content) == 1 << 20
    path.write_bytes(bytes((1 << 20) + 1))
    assert refused(path) == [f"{path}: is longer than 1 MiB; split it into several documents"]


def test_a_file_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may read it is the user's to say."""
    path = tmp_path / "closed"
    path.write_bytes(b"")

    def refuse(*arguments: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # Root, who may run this test, is refused nothing.
    monkeypatch.setattr(os, "open", refuse)
    assert refused(path) == [
        f"{path}: cannot be read: permission denied; let the user that runs nsgd read it"
    ]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Neither by success nor by refusal."""
    before = len(os.listdir("/proc/self/fd"))
    path = tmp_path / "file"
    path.write_bytes(b"{}")
    read_documents([path])
    refused(tmp_path, tmp_path / "missing")
    assert len(os.listdir("/proc/self/fd")) == before
