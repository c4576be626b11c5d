"""Templates from files: links below a directory, parameters over reloads, and what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nsgd.daemon
from nsgd.cli import main
from nsgd.config.document import Document, Role
from nsgd.config.load import LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.documents import read_documents, read_linked
from nsgd.runtime.load import load_policy
from nsgd.runtime.notify import Notifier
from nsgd.runtime.policy_in_force import PolicyTeller, read_told_policy
from nsgd.runtime.supervisor import Supervisor
from nsgd.runtime.tag_store import TagStore
from nsgd.runtime.workers import Workers

from .test_policy_in_force import NoFlows, Table

GROUP = "Microsoft.Network/networkSecurityGroups"


def group(name: str, parameters: Any = None) -> dict[str, Any]:
    """A template with one group."""
    return {
        "contentVersion": "1.0.0.0",
        "parameters": parameters or {},
        "resources": [{"type": GROUP, "apiVersion": "2020-11-01", "name": name, "properties": {}}],
    }


def links(*templates: str) -> dict[str, Any]:
    """A template that links to others."""
    return {
        "contentVersion": "1.0.0.0",
        "resources": [
            {
                "type": "Microsoft.Resources/deployments",
                "apiVersion": "2020-10-01",
                "name": f"d{number}",
                "properties": {"templateLink": {"relativePath": template}},
            }
            for number, template in enumerate(templates)
        ],
    }


def write(path: Path, content: object) -> Path:
    """Write a file of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def load(*paths: Path, parameters: tuple[Path, ...] = ()) -> LoadedConfig:
    """Load files as a verb does."""
    return load_documents(read_documents(paths, parameters), read_linked=read_linked)


def names(loaded: LoadedConfig) -> list[str]:
    """The names of all groups."""
    return [one.name for one in loaded.model.network_security_groups]


@pytest.mark.parametrize(
    "outside", ["../secret.json", "../../t/secret.json", "nested/../../secret.json"]
)
def test_nothing_outside_is_read(tmp_path: Path, outside: str) -> None:
    """A link that leads out of the template's directory is as good as none."""
    write(tmp_path / "secret.json", group("secret"))
    own = write(tmp_path / "own.json", {"networkSecurityGroups": [{"name": "own"}]})
    loaded = load(write(tmp_path / "t" / "main.json", links(outside)), own)
    assert names(loaded) == ["own"]
    assert loaded.linked == ()
    assert any("is not loaded" in note for note in loaded.notes)


def test_no_link_of_the_file_system_leads_out(tmp_path: Path) -> None:
    """It is there, and is refused by name."""
    secret = write(tmp_path / "secret.json", group("secret"))
    main_file = write(tmp_path / "t" / "main.json", links("inside.json"))
    (tmp_path / "t" / "inside.json").symlink_to(secret)
    with pytest.raises(ConfigRefused, match=r"inside\.json: leads out of"):
        load(main_file)


def test_absolute_paths_and_links_to_elsewhere(tmp_path: Path) -> None:
    """Neither is read from the file system."""
    secret = write(tmp_path / "secret.json", group("secret"))
    tree = links(str(secret), f"file://{secret}", "https://example.com/t.json")
    own = write(tmp_path / "own.json", {"networkSecurityGroups": [{"name": "own"}]})
    assert names(load(write(tmp_path / "t" / "main.json", tree), own)) == ["own"]


def test_links_of_links(tmp_path: Path) -> None:
    """Each is relative to the template that it stands in."""
    write(tmp_path / "nested" / "a.json", links("b.json", "../c.json"))
    write(tmp_path / "nested" / "b.json", group("b"))
    write(tmp_path / "c.json", group("c"))
    assert sorted(names(load(write(tmp_path / "main.json", links("nested/a.json"))))) == ["b", "c"]


def test_a_circle_of_links(tmp_path: Path) -> None:
    """It ends, and is told."""
    write(tmp_path / "b.json", links("a.json"))
    first = write(tmp_path / "a.json", links("b.json"))
    for paths in ((first,), (tmp_path,)):
        with pytest.raises(ConfigRefused, match="nest deeper"):
            load(*paths)


def test_a_linked_template_with_a_mistake(tmp_path: Path) -> None:
    """Its own name and line are told."""
    write(tmp_path / "n" / "b.json", group("[nothing()]"))
    with pytest.raises(ConfigRefused) as caught:
        load(write(tmp_path / "a.json", links("n/b.json")))
    (problem,) = caught.value.problems
    assert (problem.document, problem.path, problem.line) == (
        f"{tmp_path}/n/b.json",
        "resources[0].name",
        1,
    )
    (tmp_path / "n" / "b.json").write_text("{\n")
    with pytest.raises(ConfigRefused, match=r"n/b\.json:2: "):
        load(tmp_path / "a.json")


def test_a_directory(tmp_path: Path) -> None:
    """Parameter files follow their templates; what another links to is read with that one."""
    write(tmp_path / "hub.json", group("[parameters('name')]", {"name": {"type": "string"}}))
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
    values = {"$schema": schema, "parameters": {"name": {"value": "hub"}}}
    write(tmp_path / "hub.parameters.json", values)
    needs = {"name": {"type": "string"}}
    write(tmp_path / "shared.json", group("[parameters('name')]", needs))
    tree = links("shared.json")
    tree["resources"][0]["properties"]["parameters"] = {"name": {"value": "spoke"}}
    write(tmp_path / "spoke.json", tree)
    loaded = load(tmp_path)
    assert sorted(names(loaded)) == ["hub", "spoke"]
    assert any("shared.json: is read as a part of" in note for note in loaded.notes)


def test_the_hash_is_of_all_that_was_read(tmp_path: Path) -> None:
    """Of linked templates and parameters too."""
    linked = write(tmp_path / "n" / "b.json", group("[parameters('x')]", {"x": {"type": "string"}}))
    tree = links("n/b.json")
    tree["parameters"] = {"y": {"type": "string"}}
    tree["resources"][0]["properties"]["parameters"] = {"x": {"value": "[parameters('y')]"}}
    main_file = write(tmp_path / "a.json", tree)
    given = write(tmp_path / "p" / "values.json", {"y": "g"})

    def content_hash() -> str:
        loaded = load_policy([main_file], DecisionNumbers(), None, parameters=[given])
        return loaded.content_hash

    before = content_hash()
    assert content_hash() == before
    write(given, {"y": "h"})
    assert content_hash() != before
    write(given, {"y": "g"})
    linked.write_text(linked.read_text() + "\n")
    assert content_hash() != before


def test_a_daemon_keeps_its_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload reads them again, and whoever asks for the policy gets all that it was made from."""
    for method in ("start", "hand_over", "stop"):
        monkeypatch.setattr(Workers, method, lambda *arguments: None)
    write(tmp_path / "n" / "b.json", group("linked"))
    tree = group("[parameters('name')]", {"name": {"type": "string"}})
    tree["resources"] += links("n/b.json")["resources"]
    config = write(tmp_path / "hub.json", tree)
    given = write(tmp_path / "values" / "hub.parameters.json", {"name": "first"})
    supervisor = Supervisor(
        [config],
        tmp_path / "state",
        Table(),
        NoFlows(),
        Notifier(None),
        TagStore(tmp_path / "tags"),
        [given],
    )
    try:
        supervisor.prepare()
        supervisor.start()
        teller = PolicyTeller(supervisor)
        write(given, {"name": "second"})
        assert _told_names(teller) == ["first", "linked"]
        supervisor.reload()
        assert _told_names(teller) == ["second", "linked"]
        write(given, {"other": "third"})
        with pytest.raises(ConfigRefused, match="no template has a parameter 'other'"):
            supervisor.reload()
        assert _told_names(teller) == ["second", "linked"]
    finally:
        supervisor.close()


def _told_names(teller: PolicyTeller) -> list[str]:
    told = read_told_policy(teller.answer())
    roles = [document.role for document in told.documents]
    assert roles == [Role.POLICY, Role.PARAMETERS, Role.LINKED]
    return names(load_documents(told.documents, tags=told))


def test_an_answer_of_an_older_daemon() -> None:
    """It has documents without a role."""
    told = {"version": "0", "generation": 1, "documents": [], "serviceTags": None}
    assert list(read_told_policy(told).documents) == []
    assert Document("d", b"").role is Role.POLICY


@pytest.mark.parametrize(
    "verb", ["check", "convert", "effective-rules", "ip-flow-verify", "doctor"]
)
def test_every_verb_takes_parameters(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that gives nothing of use is refused by each, so each has read it."""
    config = str(write(tmp_path / "a.json", group("g")))
    given = str(write(tmp_path / "v.json", {"nothing": 1}))
    words = [verb, *([config] if verb == "check" else ["--config", config]), "--parameters", given]
    if verb == "effective-rules":
        words += ["--nic", "n"]
    if verb == "ip-flow-verify":
        words += ["--from", "1.1.1.1", "--to", "2.2.2.2", "--protocol", "ICMP"]
    assert main(words) == (1 if verb == "doctor" else 3)
    printed = capsys.readouterr()
    assert "no template has a parameter 'nothing'" in printed.out + printed.err


@pytest.mark.parametrize("verb", ["run", "boot"])
def test_the_daemon_is_handed_parameters(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads them itself, at every reload."""
    calls: list[tuple[object, ...]] = []

    def take(*arguments: object) -> int:
        calls.append(arguments)
        return 0

    monkeypatch.setattr(nsgd.daemon, verb, take)
    words = ["--config", "a", "--parameters", "p", "q", "--parameters", "r"]
    assert main([verb, *words]) == 0
    assert calls[0][-1] == [Path("p"), Path("q"), Path("r")]
    assert main([verb, "--config", "a"]) == 0
    assert calls[1][-1] == []


def test_a_running_policy_has_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--parameters beside --running would be disregarded: it is refused."""
    given = str(write(tmp_path / "v.json", {}))
    assert main(["effective-rules", "--running", "--nic", "n", "--parameters", given]) == 2
    assert "--parameters goes with --config" in capsys.readouterr().err
