"""Installed tag files: the newest that is whole serves, and what is read is kept."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from nsgd.config.problem import ConfigRefused
from nsgd.runtime.tag_store import TagFile, TagStore, open_tags, read_bytes
from tests.tag_files import tag_file


@pytest.fixture
def store(tmp_path: Path) -> TagStore:
    """A store that is still empty."""
    return TagStore(tmp_path)


def number_of(store: TagStore | TagFile, cloud: str = "Public") -> int | None:
    """The change number that serves."""
    found = store.catalogue(cloud)
    return None if found is None else found.change_number


def refused(store: TagStore | TagFile, cloud: str = "Public") -> str:
    """Why no catalogue is given out."""
    with pytest.raises(ConfigRefused) as caught:
        store.catalogue(cloud)
    (problem,) = caught.value.problems
    return str(problem)


def test_nothing_is_installed(store: TagStore, tmp_path: Path) -> None:
    """Neither a catalogue nor a mistake, also without the directory."""
    for empty in (store, TagStore(tmp_path / "none")):
        assert empty.catalogue("Public") is None
        assert empty.installed("Public") is None
        assert empty.stamp("Public") is None
        assert empty.problem("Public") is None
        assert empty.clouds() == ()


def test_each_cloud_has_its_file(store: TagStore, tmp_path: Path) -> None:
    """Found without case; previous and hidden files are none of their own."""
    (tmp_path / "Public.json").write_bytes(tag_file(change_number=7))
    (tmp_path / "AzureGovernment.json").write_bytes(tag_file(cloud="AzureGovernment"))
    for name in ("Public.previous.json", ".Public.json.x", "notes.txt", "a b.json"):
        (tmp_path / name).write_bytes(b"rubbish")
    assert store.clouds() == ("AzureGovernment", "Public")
    assert number_of(store, "Public") == number_of(store, "PUBLIC") == 7
    assert store.newest_path("azuregovernment") == tmp_path / "AzureGovernment.json"
    assert store.catalogue("China") is None


@pytest.mark.parametrize("cloud", ["../Public", "a/b", "", "Public.previous", "\0"])
def test_a_cloud_is_never_a_path(store: TagStore, tmp_path: Path, cloud: str) -> None:
    """No file outside of the directory is ever looked at."""
    (tmp_path / "Public.previous.json").write_bytes(tag_file())
    assert store.catalogue(cloud) is None
    assert store.stamp(cloud) is None
    assert store.problem(cloud) is None
    with pytest.raises(ValueError, match="not the name of a cloud"):
        store.newest_path(cloud)


def test_a_file_is_read_once(store: TagStore, tmp_path: Path) -> None:
    """Again when inode, time or size are others."""
    path = tmp_path / "Public.json"
    path.write_bytes(tag_file(change_number=7))
    first, stamp = store.catalogue("Public"), store.stamp("Public")
    assert store.catalogue("public") is first
    again = tmp_path / "again"
    again.write_bytes(tag_file(change_number=8))
    state = path.stat()
    os.utime(again, ns=(state.st_mtime_ns, state.st_mtime_ns))
    again.rename(path)
    assert store.stamp("Public") != stamp
    assert number_of(store) == 8
    os.utime(path, ns=(0, 1))
    assert number_of(store) == 8
    assert store.catalogue("Public") is not first


def test_a_damaged_file_falls_back(
    store: TagStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The one before serves, which is logged once a file; a good one ends it."""
    path = tmp_path / "Public.json"
    path.write_bytes(tag_file(change_number=8)[:500])
    (tmp_path / "Public.previous.json").write_bytes(tag_file(change_number=7))
    with caplog.at_level(logging.WARNING):
        assert number_of(store) == number_of(store) == 7
    assert len(caplog.records) == 1
    assert "Public.json cannot be used (line " in caplog.text
    assert "Public.previous.json serves in its place" in caplog.text
    found = store.installed("Public")
    assert found is not None
    assert found.is_previous
    assert "cut short; install it again" in str(store.problem("Public"))
    path.write_bytes(tag_file(change_number=9)[:600])
    assert number_of(store) == 7
    assert len(caplog.records) == 2
    path.write_bytes(tag_file(change_number=9))
    assert number_of(store) == 9
    assert store.problem("Public") is None


def test_a_damaged_file_with_none_before(store: TagStore, tmp_path: Path) -> None:
    """Not as if none were installed: the documents are refused by its name."""
    path = tmp_path / "Public.json"
    path.write_bytes(b"<html>")
    text = refused(store)
    assert text.startswith(f"{path}: the file is an HTML page")
    assert text.endswith("install it again with 'nsgd tags update FILE'")
    (tmp_path / "Public.previous.json").write_bytes(b"{}")
    assert refused(store) == text
    assert store.installed("Public") is None


def test_a_file_under_another_clouds_name(store: TagStore, tmp_path: Path) -> None:
    """Its tags would stand for the wrong addresses."""
    (tmp_path / "Public.json").write_bytes(tag_file(cloud="AzureGovernment"))
    assert "the file is of the cloud AzureGovernment, not of Public" in refused(store)


def test_no_link_and_no_pipe(store: TagStore, tmp_path: Path) -> None:
    """What the fetcher's user puts there must not lead anywhere else, nor hang."""
    path = tmp_path / "Public.json"
    (tmp_path / "elsewhere").write_bytes(tag_file())
    path.symlink_to(tmp_path / "elsewhere")
    assert "cannot be read: too many levels of symbolic links" in refused(store)
    path.unlink()
    os.mkfifo(path)
    assert "this is not a regular file" in refused(store)
    path.unlink()
    path.mkdir()
    assert "this is not a regular file" in refused(store)


def test_a_directory_that_may_not_be_read(store: TagStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said as it is: nobody knows whether a file is installed."""

    def denied(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", denied)
    monkeypatch.setattr(os, "listdir", denied)
    assert "Public.json: cannot be read: permission denied; be root" in refused(store)


def test_one_file(tmp_path: Path) -> None:
    """Also by a link; read again when it changes; its age is the file's."""
    path = tmp_path / "tags.json"
    path.write_bytes(tag_file(change_number=7))
    link = tmp_path / "link"
    link.symlink_to(path)
    source = open_tags(link)
    assert isinstance(source, TagFile)
    assert source.catalogue("public") is source.catalogue("Public")
    os.utime(path, (100, 100))
    path.write_bytes(tag_file(change_number=8))
    os.utime(path, (100, 100))
    assert number_of(source) == 8
    found = source.installed("Public")
    assert found is not None
    assert found.installed_at_s == 100
    assert source.stamp("Public") is not None


def test_one_file_that_is_wrong(tmp_path: Path) -> None:
    """Who names a file means it: nothing else is used."""
    path = tmp_path / "tags.json"
    source = open_tags(path)
    assert f"{path}: cannot be read: no such file or directory" in refused(source)
    assert source.stamp("Public") is None
    assert source.installed("Public") is None
    path.write_bytes(tag_file(cloud="AzureGovernment"))
    assert "of the cloud AzureGovernment, not of Public; take the file of Public" in refused(source)
    path.write_bytes(b"{")
    assert "cut short" in refused(source)


def test_what_an_option_names(tmp_path: Path) -> None:
    """A directory is a store."""
    assert isinstance(open_tags(tmp_path), TagStore)


def test_descriptors_are_closed(tmp_path: Path) -> None:
    """Whatever the file is."""
    (tmp_path / "file").write_bytes(b"x")
    before = len(os.listdir("/proc/self/fd"))
    assert read_bytes(tmp_path / "file")[0] == b"x"
    for name in (".", "none"):
        with pytest.raises(Exception, match=r"regular file|No such file"):
            read_bytes(tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == before
