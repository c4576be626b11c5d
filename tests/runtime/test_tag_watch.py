"""The daemon follows the installed tag file: loads with it, notices another, says what it uses."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nsgd.config.load import ReadDocuments
from nsgd.config.problem import ConfigRefused
from nsgd.config.tag_catalogue import TagCatalogue
from nsgd.model.address import Prefix
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.tag_install import install
from nsgd.runtime.tag_store import TagStore
from nsgd.runtime.tag_watch import INTERVAL_S, TagWatch
from nsgd.runtime.tags_in_use import load_tags_in_use
from tests.tag_files import TAGS, tag_file


def document(*tags: str) -> dict[str, Any]:
    """A group with one rule for each tag."""
    rules = [
        {
            "name": f"Rule{number}",
            "priority": 100 + number,
            "direction": "Outbound",
            "access": "Deny",
            "protocol": "*",
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": tag,
            "destinationPortRange": "*",
        }
        for number, tag in enumerate(tags)
    ]
    subnet = {"name": "web", "addressPrefix": "10.0.1.0/24", "networkSecurityGroup": "web"}
    return {
        "virtualNetworks": [{"name": "lab", "addressSpace": ["10.0.0.0/16"], "subnets": [subnet]}],
        "networkSecurityGroups": [{"name": "web", "securityRules": rules}],
    }


class State:
    """A state directory, documents, and a watch on both."""

    def __init__(self, directory: Path, *tags: str) -> None:
        self.directory = directory
        self.config = directory / "policy.json"
        self.write(*tags)
        self.watch = TagWatch(TagStore(directory / "service-tags"), directory)
        self.read_before = ReadDocuments()

    def write(self, *tags: str) -> None:
        """Documents with rules of these tags."""
        self.config.write_text(json.dumps(document(*tags)))

    def install(self, number: int, tags: Mapping[str, Sequence[str]] = TAGS) -> None:
        """Another tag file."""
        install(self.directory, tag_file(tags, number))

    def load(self) -> LoadedPolicy:
        """As the supervisor does, in force at once."""
        loaded = load_policy([self.config], DecisionNumbers(), None, self.read_before, self.watch)
        self.watch.in_force(loaded)
        return loaded


@pytest.fixture
def state(tmp_path: Path) -> State:
    """One tag in use, of file 7."""
    made = State(tmp_path, "storage", "STORAGE")
    made.install(7)
    return made


def test_a_policy_knows_its_file(state: State) -> None:
    """Number, age and prefixes; none where no rule names a tag."""
    loaded = state.load()
    assert loaded.tag_file is not None
    assert (loaded.tag_file.cloud, loaded.tag_file.change_number) == ("Public", 7)
    path = state.directory / "service-tags" / "Public.json"
    assert loaded.tag_file.installed_at_s == path.stat().st_mtime
    assert [tag.name for tag in loaded.model.service_tags] == ["Storage"]
    state.write("Internet")
    assert state.load().tag_file is None


def test_the_hash_is_of_the_prefixes_in_use(state: State) -> None:
    """Another with each prefix of a tag in use, the same whatever else the file says."""
    first = state.load()
    state.install(8, {**TAGS, "Other": ["192.0.2.0/24"]})
    second = state.load()
    assert second.content_hash == first.content_hash
    assert second.tag_file is not None
    assert second.tag_file.change_number == 8
    state.install(9, {**TAGS, "Storage": (*TAGS["Storage"], "192.0.2.0/24")})
    third = state.load()
    assert third.content_hash != first.content_hash
    assert third.policy != first.policy


def test_no_tags_no_change_of_the_hash(state: State) -> None:
    """Documents without tags are hashed as ever, with and without a store."""
    state.write("Internet")
    assert (
        state.load().content_hash
        == load_policy([state.config], DecisionNumbers(), None).content_hash
    )


def test_another_file_is_noticed_once(state: State) -> None:
    """At a look every ten seconds; the load's own file is no change."""
    state.load()
    assert state.watch.changed(0.0) is None
    state.install(8)
    assert state.watch.changed(INTERVAL_S - 0.1) is None
    assert state.watch.changed(INTERVAL_S) == "Public"
    assert state.watch.changed(2 * INTERVAL_S) is None
    state.load()
    assert state.watch.changed(3 * INTERVAL_S) is None
    os.utime(state.directory / "service-tags" / "Public.json", (5, 5))
    assert state.watch.changed(4 * INTERVAL_S) == "Public"


def test_a_file_that_comes_while_another_is_read(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is another one than that of the load, and noticed."""
    store = TagStore(state.directory / "service-tags")
    read = store.catalogue

    def reads(cloud: str) -> TagCatalogue | None:
        found = read(cloud)
        state.install(8)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(store, "catalogue", reads)
        state.watch = TagWatch(store, state.directory)
        assert state.watch.catalogue("Public") is not None
    assert state.watch.changed(0.0) == "Public"


def test_the_file_told_of_is_the_one_used(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Number, prefixes and tags are of one file, also where another comes in between."""
    read = state.watch.catalogue
    other = ["192.0.2.0/24", "192.0.3.0/24"]

    def reads(cloud: str) -> TagCatalogue | None:
        found = read(cloud)
        state.install(8, {**TAGS, "Storage": other})
        return found

    monkeypatch.setattr(state.watch, "catalogue", reads)
    loaded = load_policy([state.config], DecisionNumbers(), None, None, state.watch)
    assert loaded.tag_file is not None
    assert loaded.tag_file.change_number == 8
    (tag,) = loaded.model.service_tags
    assert tag.prefixes == tuple(map(Prefix.parse, other))


def test_nothing_is_watched_where_no_tag_is_used(state: State) -> None:
    """A reload would change nothing."""
    state.load()
    state.write("Internet")
    state.load()
    state.install(8)
    assert state.watch.changed(0.0) is None


def test_a_refused_load_is_tried_again_with_the_next_file(state: State) -> None:
    """Not with the same: a file that lacks a tag, a damaged one, one that is taken away."""
    state.load()
    path = state.directory / "service-tags" / "Public.json"
    state.write("Sql")
    with pytest.raises(ConfigRefused):
        state.load()
    assert state.watch.changed(0.0) is None
    path.unlink()
    assert state.watch.changed(100.0) is None
    state.install(8, {**TAGS, "Sql": ["192.0.2.0/24"]})
    assert state.watch.changed(200.0) == "Public"
    assert [tag.name for tag in state.load().model.service_tags] == ["Sql"]


def test_a_damaged_file_leaves_the_policy_as_it_is(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    """It is noticed, the reload takes the file before, and says so."""
    state.install(8)
    first = state.load()
    path = state.directory / "service-tags" / "Public.json"
    path.write_bytes(path.read_bytes()[:400])
    assert state.watch.changed(0.0) == "Public"
    with caplog.at_level(logging.WARNING):
        second = state.load()
    assert second.tag_file is not None
    assert (second.tag_file.change_number, second.tag_file.is_previous) == (7, True)
    assert second.content_hash == first.content_hash
    assert "serves in its place" in caplog.text
    assert state.watch.changed(100.0) is None


def test_word_is_left_of_what_is_in_use(state: State) -> None:
    """By the file's spelling, and none once no rule names a tag."""
    state.load()
    assert load_tags_in_use(state.directory, "Public") == ("Storage",)
    state.write("Storage.WestEurope", "azurefrontdoor.frontend")
    state.load()
    assert load_tags_in_use(state.directory, "Public") == (
        "AzureFrontDoor.Frontend",
        "Storage.WestEurope",
    )
    state.write("Internet")
    state.load()
    assert load_tags_in_use(state.directory, "Public") == ()


def test_word_that_cannot_be_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Is no reason to keep a policy out of force; the next one tries again."""
    state = State(tmp_path, "Storage")
    state.install(7)
    (tmp_path / "tags-in-use.json").mkdir()
    with caplog.at_level(logging.WARNING):
        state.load()
    assert "an update of service tags cannot know what is in use" in caplog.text
    (tmp_path / "tags-in-use.json").rmdir()
    state.load()
    assert load_tags_in_use(tmp_path, "Public") == ("Storage",)
