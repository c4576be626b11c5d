"""Installing a tag file: what is refused changes nothing, what is taken is there whole."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from nsgd.config.tag_catalogue import TagFileRefused
from nsgd.runtime import tag_install
from nsgd.runtime.atomic_file import replace_file
from nsgd.runtime.tag_install import UpdateRefused, install
from nsgd.runtime.tag_report import age_text, file_statuses, installation_lines
from nsgd.runtime.tag_store import TagFile, TagStore
from nsgd.runtime.tags_in_use import TagsInUseError, load_tags_in_use, save_tags_in_use
from tests.tag_files import TAGS, many_tags, tag_file


def files(state: Path) -> dict[str, bytes]:
    """All that is in the directory of tag files."""
    directory = state / "service-tags"
    return {p.name: p.read_bytes() for p in directory.iterdir()} if directory.exists() else {}


def test_the_first_file(tmp_path: Path) -> None:
    """Directory and file come about, readable for the daemon's user whatever the umask."""
    before = os.umask(0o077)
    try:
        done = install(tmp_path / "state", tag_file())
    finally:
        os.umask(before)
    assert (done.is_new, done.before, done.forced) == (True, None, ())
    assert done.path == tmp_path / "state" / "service-tags" / "Public.json"
    assert files(tmp_path / "state") == {"Public.json": tag_file()}
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o644
    assert stat.S_IMODE(done.path.parent.stat().st_mode) == 0o755


def test_the_file_before_is_kept(tmp_path: Path) -> None:
    """With its time; the one before that is gone."""
    install(tmp_path, tag_file(change_number=1))
    path = tmp_path / "service-tags" / "Public.json"
    install(tmp_path, tag_file(change_number=2))
    os.utime(path, (1000, 1000))
    done = install(tmp_path, tag_file(change_number=3))
    assert done.before is not None
    assert done.before.change_number == 2
    assert files(tmp_path) == {
        "Public.json": tag_file(change_number=3),
        "Public.previous.json": tag_file(change_number=2),
    }
    assert path.with_name("Public.previous.json").stat().st_mtime == 1000
    assert path.stat().st_mtime != 1000


def test_nothing_new(tmp_path: Path) -> None:
    """The same bytes again: no file is touched, so that no daemon reloads."""
    install(tmp_path, tag_file())
    path = tmp_path / "service-tags" / "Public.json"
    os.utime(path, (1000, 1000))
    inode = path.stat().st_ino
    done = install(tmp_path, tag_file())
    assert not done.is_new
    assert (path.stat().st_ino, path.stat().st_mtime) == (inode, 1000)
    assert list(installation_lines(done)) == [
        "nothing new: service tags Public 7 is installed already"
    ]


def test_refused_files_change_nothing(tmp_path: Path) -> None:
    """Neither rubbish nor an older file; the older one can be forced."""
    install(tmp_path, tag_file(change_number=6))
    install(tmp_path, tag_file(change_number=7))
    before = files(tmp_path)
    with pytest.raises(TagFileRefused, match="HTML"):
        install(tmp_path, b"<html>", force=True)
    with pytest.raises(UpdateRefused, match="installed file has 7 already") as caught:
        install(tmp_path, tag_file(change_number=6))
    assert len(caught.value.problems) == 1
    assert files(tmp_path) == before
    done = install(tmp_path, tag_file(change_number=6), force=True)
    assert [problem.can_be_forced for problem in done.forced] == [True]
    assert files(tmp_path)["Public.json"] == tag_file(change_number=6)
    assert any(line.startswith("forced: ") for line in installation_lines(done))


def test_tags_in_use_are_minded(tmp_path: Path) -> None:
    """The daemon's word is read; a tag in use can never go, even by force."""
    tags = many_tags(10) | {"Sql": ["192.0.2.0/24"]}
    install(tmp_path, tag_file(tags, 1))
    save_tags_in_use(tmp_path, {"Public": ["Sql"], "AzureGovernment": ["Tag1"]})
    for force in (False, True):
        with pytest.raises(UpdateRefused, match="rules in force name the service tag 'Sql'"):
            install(tmp_path, tag_file(many_tags(10), 2), force=force)
    # Tag1 is in use in another cloud only.
    del tags["Tag1"]
    assert install(tmp_path, tag_file(tags, 2)).is_new


def test_unknown_use_is_no_use(tmp_path: Path) -> None:
    """A word that cannot be read stops the update, rather than being taken for none."""
    (tmp_path / "tags-in-use.json").write_text("{")
    with pytest.raises(TagsInUseError, match="cannot be read"):
        install(tmp_path, tag_file(), force=True)
    assert files(tmp_path) == {}


def test_clouds_side_by_side(tmp_path: Path) -> None:
    """Another cloud's file is taken where it is asked for by name."""
    install(tmp_path, tag_file())
    government = tag_file(cloud="AzureGovernment", change_number=3)
    with pytest.raises(TagFileRefused, match="of the cloud AzureGovernment, and the installed one"):
        install(tmp_path, government, force=True)
    with pytest.raises(TagFileRefused, match="not of Public"):
        install(tmp_path, government, cloud="Public")
    assert install(tmp_path, government, cloud="azuregovernment").is_new
    assert sorted(files(tmp_path)) == ["AzureGovernment.json", "Public.json"]
    assert install(tmp_path, tag_file(change_number=8)).is_new
    assert install(tmp_path, tag_file(cloud="PUBLIC", change_number=9)).is_new
    assert "PUBLIC.json" not in files(tmp_path)


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    """By comparison with the one before it, which is kept: it was the last good one."""
    install(tmp_path, tag_file(change_number=5))
    install(tmp_path, tag_file(change_number=7))
    path = tmp_path / "service-tags" / "Public.json"
    path.write_bytes(tag_file(change_number=7)[:300])
    with pytest.raises(UpdateRefused, match="installed file has 5 already"):
        install(tmp_path, tag_file(change_number=4))
    assert install(tmp_path, tag_file(change_number=7)).is_new
    assert files(tmp_path) == {
        "Public.json": tag_file(change_number=7),
        "Public.previous.json": tag_file(change_number=5),
    }


def test_two_at_once(tmp_path: Path) -> None:
    """The second is told to come again."""
    install(tmp_path, tag_file(change_number=1))
    descriptor = os.open(tmp_path / "service-tags", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            install(tmp_path, tag_file(change_number=2))
    finally:
        os.close(descriptor)
    assert install(tmp_path, tag_file(change_number=2)).is_new


def test_only_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second installation, begun while the first writes, does not share its lock."""
    install(tmp_path, tag_file(change_number=1))
    replace = replace_file
    refused: list[bool] = []

    def replaces(*arguments: Any) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(tag_install, "replace_file", replace)
            with pytest.raises(BlockingIOError):
                install(tmp_path, tag_file(change_number=3))
        refused.append(True)
        replace(*arguments)

    monkeypatch.setattr(tag_install, "replace_file", replaces)
    install(tmp_path, tag_file(change_number=2))
    assert refused == [True, True]
    assert files(tmp_path)["Public.json"] == tag_file(change_number=2)


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Whichever step fails, the file is what it was, and nothing is left lying about."""
    install(tmp_path, tag_file(change_number=1))
    before = files(tmp_path)

    def fails(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fails)
        with pytest.raises(OSError, match="No space left"):
            install(tmp_path, tag_file(change_number=2))
    assert files(tmp_path) == before


def test_what_is_said_of_an_update(tmp_path: Path) -> None:
    """What came and what went."""
    install(tmp_path, tag_file(TAGS, 7))
    changed = {**TAGS, "Sql": ["192.0.2.0/24"]}
    del changed["Storage.WestEurope"]
    lines = list(installation_lines(install(tmp_path, tag_file(changed, 8))))
    path = tmp_path / "service-tags" / "Public.json"
    assert lines == [
        f"service tags Public 8 installed in {path}: 3 tags, 6 prefixes",
        "before: 7, 3 tags, 6 prefixes; 1 tags are new, 1 are gone (Storage.WestEurope)",
    ]


def test_statuses(tmp_path: Path) -> None:
    """Of a good file, a damaged one with and without another before it, and of a single file."""
    assert file_statuses(TagStore(tmp_path)) == ()
    (tmp_path / "Public.json").write_bytes(tag_file())
    os.utime(tmp_path / "Public.json", (0, 0))
    (tmp_path / "Some.json").write_bytes(b"{")
    (tmp_path / "Some.previous.json").write_bytes(tag_file(cloud="Some"))
    (tmp_path / "Bad.json").write_bytes(b"{")
    bad, public, some = file_statuses(TagStore(tmp_path))
    assert (bad.catalogue, bad.age_s, bad.is_previous) == (None, None, False)
    assert "cut short" in str(bad.problem)
    assert (public.problem, public.is_previous) == (None, False)
    assert public.age_s is not None
    assert public.age_s > 10**9
    assert some.is_previous
    assert some.path.endswith("Some.previous.json")
    assert "cut short" in str(some.problem)
    (single,) = file_statuses(TagFile(tmp_path / "Public.json"))
    assert (single.cloud, single.problem) == ("Public", None)
    (single,) = file_statuses(TagFile(tmp_path / "Bad.json"))
    assert (single.catalogue, "cut short" in str(single.problem)) == (None, True)


@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (0, "less than a minute"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (86399, "23 hours"),
        (86400 * 11.5, "11 days"),
    ],
)
def test_ages(age_s: float, text: str) -> None:
    """The largest unit."""
    assert age_text(age_s) == text


def test_tags_in_use(tmp_path: Path) -> None:
    """Written and read by cloud, without case; readable for the group; none without a file."""
    assert load_tags_in_use(tmp_path, "Public") == ()
    save_tags_in_use(tmp_path, {"Public": ["Storage", "Sql"]})
    assert load_tags_in_use(tmp_path, "public") == ("Sql", "Storage")
    assert load_tags_in_use(tmp_path, "Other") == ()
    assert stat.S_IMODE((tmp_path / "tags-in-use.json").stat().st_mode) == 0o640
    with pytest.raises(TagsInUseError, match="cannot be written"):
        save_tags_in_use(tmp_path / "none", {})


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"version": 2, "clouds": {}},
        {"version": 1},
        {"version": 1, "clouds": []},
        {"version": 1, "clouds": {"Public": [1]}},
        {"version": 1, "clouds": {"Public": None}},
        {"version": 1, "clouds": {"Public": "Storage"}},
        {"version": 1, "clouds": {"Public": {"Storage": 1}}},
        {"version": 1, "clouds": {"Public": [], "Other": "Storage"}},
    ],
)
def test_damaged_tags_in_use(tmp_path: Path, value: object) -> None:
    """Not taken for none."""
    (tmp_path / "tags-in-use.json").write_text(json.dumps(value))
    with pytest.raises(TagsInUseError, match="is damaged"):
        load_tags_in_use(tmp_path, "Public")
