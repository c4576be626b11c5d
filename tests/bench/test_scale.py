"""Large documents: they load, in both forms alike, and a small daemon is measured with them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import yaml

from nsgd.bench.contenders import ContenderFailed
from nsgd.bench.running_daemon import RunningDaemon
from nsgd.bench.scale import (
    FULL_EXTENT,
    Variant,
    measure_scale,
)
from nsgd.bench.scale_changes import CHANGES, change_rule
from nsgd.bench.scale_documents import (
    FORMATS,
    RULES,
    TAGS_IN_USE,
    Extent,
    choose_tags,
    document_text,
    scale_documents,
    write_whole,
)
from nsgd.config.load import Document, load_documents
from nsgd.config.tag_catalogue import TagCatalogue, read_tag_file
from nsgd.model.network import NetworkModel
from tests.tag_files import many_tags, tag_file

EXTENT = Extent(nics=1000, groups=20)
TAGS = many_tags(70, 2)


class Tags:
    """An installed file of TAGS."""

    def catalogue(self, cloud: str) -> TagCatalogue:
        """The same for each cloud."""
        return read_tag_file(tag_file(TAGS))


def loaded(documents: dict[str, dict[str, object]], form: str = "json") -> NetworkModel:
    """What nsgd makes of them."""
    texts = [
        Document(f"{name}.{form}", document_text(document, form).encode())
        for name, document in documents.items()
    ]
    return load_documents(texts, None, Tags()).model


def test_they_load() -> None:
    """Within Azure's limits, with as many tags in use as are said, whatever the engine."""
    documents = scale_documents(EXTENT, "kernel", choose_tags(list(TAGS)))
    assert len(documents) > 2
    model = loaded(documents)
    assert len(model.network_interfaces) == EXTENT.nics
    assert [len(g.security_rules) for g in model.network_security_groups] == [RULES] * EXTENT.groups
    assert len(model.service_tags) == TAGS_IN_USE
    groups = {nic.network_security_group for nic in model.network_interfaces}
    groups |= {s.network_security_group for n in model.virtual_networks for s in n.subnets}
    assert len(groups) == EXTENT.groups


def test_both_forms_are_the_same() -> None:
    """JSON and YAML load alike, also where no tag is named."""
    documents = scale_documents(EXTENT.tenth, "queue")
    json_model, yaml_model = (loaded(documents, form) for form in FORMATS)
    assert json_model == yaml_model
    assert json_model.service_tags == ()


def test_yaml_says_what_json_says() -> None:
    """Also of a document that was written before and has changed since, and of one that has not."""
    documents = scale_documents(EXTENT.tenth, "kernel")
    texts = []
    for change in (*CHANGES, None):
        for document in documents.values():
            assert yaml.load(document_text(document, "yaml"), yaml.CSafeLoader) == document
        texts.append(document_text(documents[max(documents)], "yaml"))
        if change is not None:
            change_rule(documents, change, 0)
    assert len(set(texts)) == len(CHANGES) + 1


def test_the_full_extent() -> None:
    """Ten thousand NICs, and two hundred groups of a hundred rules, in several files."""
    assert (FULL_EXTENT.nics, FULL_EXTENT.groups, FULL_EXTENT.rules) == (10_000, 200, 20_000)
    documents = scale_documents(FULL_EXTENT, "queue")
    nics = [nic for d in documents.values() for nic in d.get("networkInterfaces", ())]
    groups = [group for d in documents.values() for group in d.get("networkSecurityGroups", ())]
    addresses = {address for nic in nics for address in nic["privateIPAddresses"]}
    assert (len(nics), len(addresses), len(groups)) == (10_000, 10_000, 200)
    assert len(documents) == 21


def test_tags_are_chosen_from_all() -> None:
    """So many different ones, from the whole alphabet; a file with too few is refused."""
    chosen = choose_tags([f"Tag{number:03}" for number in range(500)])
    assert len(set(chosen)) == TAGS_IN_USE
    assert chosen[-1] > "Tag480"
    with pytest.raises(ValueError, match="49 service tags, and 50"):
        choose_tags([f"Tag{number}" for number in range(49)])


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing else is left in the directory, which the daemon reads."""
    path = tmp_path / "a.json"
    write_whole(path, "1")
    write_whole(path, "2")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "2"


def test_a_refused_reload_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's word ends the wait, with its last lines."""
    log = tmp_path / "nsgd.log"
    log.write_text("policy 1 in force: much\n")
    sent = []
    monkeypatch.setattr("os.kill", lambda pid, number: sent.append((pid, number)))

    def write() -> None:
        assert sent == []  # the signal comes after the file
        log.write_text("policy 1 in force: much\nreload refused, 1 problem, keeping policy 1\n")

    running = RunningDaemon(None, {"supervisor": 1}, None, tmp_path)
    with pytest.raises(ContenderFailed, match="refused, 1 problem"):
        running.reload_by_signal_s(write)
    assert sent == [(1, signal.SIGHUP)]


@pytest.mark.kernel
def test_measured() -> None:
    """A small daemon starts, is reloaded once for each change, and everything is told."""
    values = measure_scale(Variant("queue", "yaml", Extent(20, 2)), [2], [], None)
    for key in ("startMs", "interpreterMs", "readMs", "installMs", "reloadMs", "supervisorMib"):
        assert (values[key] or 0) > 0, key
    of_changes = [values[change.key] or 0 for change in CHANGES]
    assert 0 < min(of_changes) <= (values["reloadMs"] or 0) <= max(of_changes)
    parts = [values[key] or 0 for key in ("interpreterMs", "readMs", "installMs")]
    assert sum(parts) == pytest.approx(values["startMs"])
