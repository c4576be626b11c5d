"""Every verb has a form for programs, says that it takes long at terminals only, and ends well."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsgd.cli import main, parser_for
from nsgd.commands.progress import progress
from nsgd.lab.progress import progress as lab_progress

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "examples" / "three-tier.yaml"
# Verbs without a result of their own, and one whose only form is JSON.
WITHOUT = {"run", "web", "boot", "schema", "lab exec", "tags", "flow-log"}


def verbs(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each verb with its options, and those that are verbs of a verb."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                full = f"{name} {word}".strip()
                yield full, [text for each in below._actions for text in each.option_strings]
                yield from verbs(below, full)


@pytest.mark.parametrize(("name", "options"), list(verbs(parser_for(["bench"]))))
def test_every_verb_has_json(name: str, options: list[str]) -> None:
    """Or has nothing to print."""
    assert ("-o" in options) is (name not in WITHOUT)


class Terminal(io.StringIO):
    """Standard error at a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line once it takes long, and none is left."""
    shown = Terminal()
    told = threading.Event()

    def write(text: str) -> int:
        if text.endswith(" s"):
            told.set()
        return io.StringIO.write(shown, text)

    monkeypatch.setattr(shown, "write", write)
    monkeypatch.setattr("sys.stderr", shown)
    with progress("counting", 0.01):
        assert told.wait(10)
    assert shown.getvalue().startswith("\r\033[Kcounting, 0 s")
    assert shown.getvalue().endswith("\r\033[K")
    lab_progress("3 probes")
    assert shown.getvalue().endswith("\r\033[K3 probes")


def test_no_progress_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor for what is done at once."""
    with progress("counting", 0.0):
        lab_progress("3 probes")
    assert capsys.readouterr().err == ""


def test_what_is_quick_needs_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line would be gone before it is read."""
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    with progress("counting", 60):
        pass
    assert shown.getvalue() == ""


def test_check_for_programs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is declared; or each problem with its place and way out."""
    assert main(["check", str(EXAMPLE), "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["declares"]["networkInterfaces"] == 6
    assert (found["problems"], found["cannotRun"]) == ([], [])
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("networkSecurityGroups:\n  - {name: web, securityRules: 3}\n")
    assert main(["check", str(wrong), "-o", "json"]) == 3
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["document"] == str(wrong)
    assert (problem["line"], problem["path"]) == (2, "networkSecurityGroups[0].securityRules")
    assert problem["message"]
    assert problem["wayOut"]


@pytest.mark.parametrize(
    ("words", "verb", "answer"),
    [
        (["reload"], "reload", {"generation": 5}),
        (["confirm"], "confirm", {"generation": 5, "isReverted": False, "isStanding": True}),
        (["apply", str(EXAMPLE), "--no-diff"], "apply", {"generation": 5, "isStanding": False}),
    ],
)
def test_the_daemons_answer_for_programs(
    words: list[str],
    verb: str,
    answer: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As it came."""
    asked: list[str] = []

    def request(path: Path, verb: str, timeout_s: float, **arguments: Any) -> dict[str, Any]:
        asked.append(verb)
        return answer

    monkeypatch.setattr("nsgd.runtime.control_client.request", request)
    assert main([*words, "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == answer
    assert asked == [verb]


def test_removed_rules_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where no daemon runs."""
    monkeypatch.setattr("nsgd.daemon.remove_rules", lambda: False)
    words = ["stop", "--remove-rules", "--runtime-dir", str(tmp_path), "-o", "json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == {
        "hasEnded": True,
        "rules": "there are no rules to remove",
    }


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a traceback."""

    def interrupt(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nsgd.config.load.load_documents", interrupt)
    assert main(["check", str(EXAMPLE)]) == 130
    assert capsys.readouterr().err == "nsgd: interrupted\n"


def test_an_output_without_room() -> None:
    """A full disk is said, and is no traceback."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nsgd", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "nsgd: the output cannot be written: no space left on device; make room for it\n"
    )


def test_a_daemon_of_another_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One that lacks a verb says so in its own words; the way out is added."""
    from nsgd.runtime.control_client import ControlError, ControlErrorKind

    def request(*arguments: Any, **more: Any) -> None:
        raise ControlError(ControlErrorKind.USAGE, "the verb is none of status, reload")

    monkeypatch.setattr("nsgd.runtime.control_client.request", request)
    assert main(["denials", "--runtime-dir", str(tmp_path)]) == 2
    assert "another version; restart it" in capsys.readouterr().err
