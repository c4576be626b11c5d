"""Large documents: they load, in both forms alike, and one rule of them can be changed."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from nsgd.bench.contenders import ContenderFailed
from nsgd.bench.running_daemon import RunningDaemon
from nsgd.bench.scale import (
    FULL_EXTENT,
    Values,
    Variant,
    format_scale,
    growth,
    measure_scale,
    scale_as_json,
    variants,
)
from nsgd.bench.scale_documents import (
    FORMATS,
    RULES,
    TAGS_IN_USE,
    Extent,
    change_rule,
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


def test_the_full_extent() -> None:
    """Ten thousand NICs, and two hundred groups of a hundred rules, in several files."""
    assert (FULL_EXTENT.nics, FULL_EXTENT.groups, FULL_EXTENT.rules) == (10_000, 200, 20_000)
    documents = scale_documents(FULL_EXTENT, "queue")
    nics = [nic for d in documents.values() for nic in d.get("networkInterfaces", ())]
    groups = [group for d in documents.values() for group in d.get("networkSecurityGroups", ())]
    addresses = {address for nic in nics for address in nic["privateIPAddresses"]}
    assert (len(nics), len(addresses), len(groups)) == (10_000, 10_000, 200)
    assert len(documents) == 21


def test_one_rule_changes() -> None:
    """Each turn another rule, in one file, and the others stay as they were."""
    documents = scale_documents(EXTENT.tenth, "queue")
    texts = [{name: json.dumps(d) for name, d in documents.items()}]
    for turn in range(3):
        name = change_rule(documents, turn)
        texts.append({name: json.dumps(d) for name, d in documents.items()})
        changed = [n for n in texts[-1] if texts[-1][n] != texts[-2][n]]
        assert changed == [name]
        before, after = (loaded({n: json.loads(t) for n, t in d.items()}) for d in texts[-2:])
        pairs = [
            pair
            for g, h in zip(
                before.network_security_groups, after.network_security_groups, strict=True
            )
            for pair in zip(g.security_rules, h.security_rules, strict=True)
        ]
        assert sum(one != other for one, other in pairs) == 1


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


def test_growth_is_within_a_round() -> None:
    """The large by the small of the same round; a round that failed on one side has none."""
    small: list[Values] = [{"startMs": 100.0}, {"startMs": 200.0}, {}]
    large: list[Values] = [{"startMs": 900.0}, {"startMs": 2000.0}, {"startMs": 7.0}]
    found = growth(small, large)["startMs"]
    assert found is not None
    assert found.values == (9.0, 10.0)
    assert growth(small, large)["reloadMs"] is None


def test_report() -> None:
    """Every variant, and the growth of each engine and form."""
    measured: dict[Variant, list[Values]] = {
        variant: [{"startMs": float(variant.extent.nics)}] for variant in variants(EXTENT)
    }
    assert len(measured) == 8
    text = format_scale(measured)
    assert "kernel, YAML   100    200" in text
    document = scale_as_json(measured)
    assert document["growth"]["queue, JSON"]["startMs"]["median"] == 10.0
    assert [v["securityRules"] for v in document["variants"]] == [200, 2000] * 4


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
    """A small daemon starts, is reloaded twice, and everything is told."""
    values = measure_scale(Variant("queue", "yaml", Extent(20, 2)), 2, [], None)
    for key in ("startMs", "interpreterMs", "readMs", "installMs", "reloadMs", "supervisorMib"):
        assert (values[key] or 0) > 0, key
    parts = [values[key] or 0 for key in ("interpreterMs", "readMs", "installMs")]
    assert sum(parts) == pytest.approx(values["startMs"])
