"""``nsgd tags``: output, messages and exit codes, and the options of verbs that load documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.cli import main
from nsgd.runtime.tags_in_use import save_tags_in_use
from tests.runtime.test_tag_watch import document
from tests.tag_files import TAGS, tag_file


class Run:
    """Runs verbs on a state directory; *out* and *err* are what the last one wrote."""

    def __init__(self, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state = state
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str | Path) -> int:
        code = main(["tags", *map(str, words), "--state-dir", str(self.state)])
        self.out, self.err = self._capsys.readouterr()
        return code

    def file(self, content: bytes = b"", name: str = "new.json") -> Path:
        """A downloaded file."""
        path = self.state.parent / name
        path.write_bytes(content or tag_file())
        return path


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """An empty state directory."""
    (tmp_path / "state").mkdir()
    return Run(tmp_path / "state", capsys)


def test_update(run: Run) -> None:
    """Installed, nothing new, an older one refused, and forced."""
    assert run("update", run.file()) == 0
    assert run.out.startswith("service tags Public 7 installed in ")
    assert run("update", run.file()) == 0
    assert run.out == "nothing new: service tags Public 7 is installed already\n"
    older = run.file(tag_file(change_number=6))
    assert run("update", older) == 3
    assert run.err == (
        f"nsgd: {older}: its changeNumber is 6, and the installed file has 7 already; download the"
        " newest file, or use --force where this one is meant\n"
        "nsgd: the installed file stays\n"
    )
    assert run("update", older, "--force") == 0
    assert "forced: its changeNumber is 6" in run.out


def test_update_refuses_by_name(run: Run) -> None:
    """Each with the file, what is wrong, and the way out."""
    page = run.file(b"<html>")
    assert run("update", page) == 3
    assert run.err.startswith(f"nsgd: {page}: the file is an HTML page, not JSON; follow the")
    missing = run.state / "none.json"
    assert run("update", missing) == 3
    assert (
        run.err == f"nsgd: {missing}: cannot be read: no such file or directory; check the path\n"
    )
    assert run("update", run.state) == 3
    assert "is not a regular file" in run.err
    assert run("update", run.file(), "--cloud", "AzureGovernment") == 3
    assert "the file is of the cloud Public, not of AzureGovernment" in run.err
    save_tags_in_use(run.state, {"Public": ["Sql"]})
    assert run("update", run.file(), "--force") == 3
    assert "rules in force name the service tag 'Sql', which it does not have" in run.err
    (run.state / "tags-in-use.json").write_text("{")
    assert run("update", run.file()) == 1
    assert "tags-in-use.json cannot be read" in run.err


def test_update_that_cannot_write(run: Run) -> None:
    """The directory that is at fault, and what to do."""
    (run.state / "service-tags").write_text("")
    assert run("update", run.file()) == 1
    assert run.err.startswith(f"nsgd: {run.state / 'service-tags'}: cannot be written: ")


def test_show(run: Run) -> None:
    """A line a prefix, or JSON; an unknown one leads to a near one."""
    run("update", run.file())
    assert run("show", "sTORAGE") == 0
    assert run.out.splitlines() == ["Storage, Public 7: 3 prefixes", *TAGS["Storage"]]
    assert run("show", "storage.westeurope", "-o", "json") == 0
    assert json.loads(run.out) == {
        "cloud": "Public",
        "changeNumber": 7,
        "name": "Storage.WestEurope",
        "addressPrefixes": ["203.0.113.0/24"],
    }
    assert run("show", "Storage.WestEurop") == 1
    assert run.err == (
        "nsgd: Public 7 has no service tag 'Storage.WestEurop';"
        " did you mean 'Storage.WestEurope'?\n"
    )
    assert run("show", "zzz") == 1
    assert run.err.endswith("see nsgd tags list\n")


def test_find(run: Run) -> None:
    """Every tag that holds it; none is failure, for scripts."""
    run("update", run.file())
    assert run("find", "203.0.113.9") == 0
    assert run.out.splitlines() == [
        "Prefix          Service tag",
        "203.0.113.0/24  Storage",
        "203.0.113.0/24  Storage.WestEurope",
    ]
    assert run("find", "2001:db8:2::9", "-o", "json") == 0
    assert json.loads(run.out)["tags"] == [
        {"name": "AzureFrontDoor.Frontend", "addressPrefix": "2001:db8:2::/64"}
    ]
    assert run("find", "10.0.0.1") == 1
    assert run.err.startswith("nsgd: no service tag of Public 7 holds 10.0.0.1; Internet and")
    assert run("find", "10.0.0") == 2
    assert run.err == "nsgd: '10.0.0' is no address; write 10.0.0.1 or fd00::1\n"


def test_list(run: Run) -> None:
    """Names in the file's order, with how many prefixes."""
    run("update", run.file())
    assert run("list") == 0
    assert run.out.splitlines() == [
        "Prefixes  Service tag",
        "       3  Storage",
        "       1  Storage.WestEurope",
        "       2  AzureFrontDoor.Frontend",
    ]
    assert run("list", "-o", "json") == 0
    assert [tag["name"] for tag in json.loads(run.out)["tags"]] == list(TAGS)


def test_status(run: Run) -> None:
    """None, one, and one that is damaged."""
    assert run("status") == 1
    assert run.err.startswith("nsgd: no service tags file is installed; download")
    run("update", run.file())
    run("update", run.file(tag_file(change_number=8)))
    assert run("status") == 0
    path = run.state / "service-tags" / "Public.json"
    assert run.out.splitlines()[1].split() == [
        *("Public", "8", "3", "6", "less", "than", "a", "minute", str(path)),
    ]
    path.write_bytes(b"{")
    assert run("status", "-o", "json") == 1
    (file,) = json.loads(run.out)
    assert (file["changeNumber"], file["isPrevious"]) == (7, True)
    assert f"{path}: line 1: the file is cut short" in run.err


def test_nothing_installed(run: Run) -> None:
    """Where it was looked for, and what to do; another cloud's file is named."""
    for words in (["show", "Storage"], ["find", "10.0.0.1"], ["list"]):
        assert run(*words) == 1
        assert f"{run.state / 'service-tags'}: no service tags file of the cloud Public" in run.err
        assert "nsgd tags update FILE" in run.err
    run("update", run.file(tag_file(cloud="AzureGovernment")))
    assert run("list") == 0  # the only file
    assert run("list", "--cloud", "Public") == 1
    assert "installed are AzureGovernment" in run.err


def test_another_file(run: Run) -> None:
    """--service-tags looks into a file without installing it, or into a directory."""
    assert run("show", "Storage", "--service-tags", run.file()) == 0
    run("update", run.file())
    (run.state / "service-tags").rename(run.state / "other")
    assert run("show", "Storage") == 1
    assert run("show", "Storage", "--service-tags", run.state / "other") == 0
    assert run("list", "--service-tags", run.file(b"{")) == 3
    assert "cut short" in run.err


def test_wrong_usage() -> None:
    """A verb is needed, and one that there is."""
    for words in (["tags"], ["tags", "get"], ["tags", "update"], ["tags", "show"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2


def test_check_finds_the_tags(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """By the state directory and by a file; without either the way out is named."""
    config = run.state / "policy.json"
    config.write_text(json.dumps(document("storage")))
    check = ["check", str(config), "--state-dir", str(run.state)]
    assert main(check) == 3
    assert "nsgd tags update FILE" in capsys.readouterr().err
    assert main([*check, "--service-tags", str(run.file())]) == 0
    run("update", run.file())
    assert main(check) == 0
    damaged = run.state / "service-tags" / "Public.json"
    damaged.write_bytes(b"{")
    assert main(check) == 3
    assert f"{damaged}: line 1: the file is cut short" in capsys.readouterr().err


def test_the_state_directory_of_systemd(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is where files are looked for by default."""
    config = run.state / "policy.json"
    config.write_text(json.dumps(document("storage")))
    run("update", run.file())
    monkeypatch.setenv("STATE_DIRECTORY", str(run.state))
    assert main(["check", str(config)]) == 0
    monkeypatch.setenv("STATE_DIRECTORY", str(run.state / "none"))
    assert main(["check", str(config)]) == 3
