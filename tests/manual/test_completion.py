"""Completion, asked as a shell asks."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from nsgd.cli import parser_for
from nsgd.manual.completion import completion
from tests.manual.pages import parsers

# What bash sets before it calls the function of a command.
ASK = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_shtab_nsgd
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script for bash."""
    path = tmp_path_factory.mktemp("completion") / "nsgd"
    path.write_text(completion(parser_for(["bench"]), "bash"))
    return path


def ask(script: Path, words: str) -> list[str]:
    """What bash would offer for the last of the words."""
    asked = ["bash", "-c", ASK, "bash", str(script), *shlex.split(words)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("nsgd ta", ["tags"]),
        ("nsgd tags up", ["update"]),
        ("nsgd lab ex", ["exec"]),
        ("nsgd status -o ''", ["table", "json"]),
        ("nsgd check --no", ["--notes"]),
        ("nsgd bench --sw", ["--sweep"]),
    ],
)
def test_words_that_begin_so(script: Path, words: str, offered: list[str]) -> None:
    """Verbs, verbs of verbs, options and what an option takes."""
    assert ask(script, words) == offered


def test_documents_and_directories(script: Path, tmp_path: Path) -> None:
    """Paths where the command takes them."""
    (tmp_path / "policy.yaml").touch()
    (tmp_path / "place").mkdir()
    assert ask(script, f"nsgd check {tmp_path}/po") == [f"{tmp_path}/policy.yaml"]
    assert ask(script, f"nsgd run --config {tmp_path}/po") == [f"{tmp_path}/policy.yaml"]
    assert ask(script, f"nsgd status --runtime-dir {tmp_path}/p") == [f"{tmp_path}/place"]


def test_all_verbs_are_offered(script: Path) -> None:
    """Those of the parser, and nothing else that is a word."""
    verbs = {parser.prog.split()[1] for parser in parsers() if parser.prog.count(" ") == 1}
    offered = {word for word in ask(script, "nsgd ''") if not word.startswith("-")}
    assert verbs <= offered


def test_zsh_can_read_its_script(tmp_path: Path) -> None:
    """It is for the command nsgd, names every verb, and has no error of syntax."""
    text = completion(parser_for(["bench"]), "zsh")
    assert text.startswith("#compdef nsgd\n")
    assert "_shtab_nsgd_tags_update_options" in text
    if shutil.which("zsh") is None:
        return
    path = tmp_path / "_nsgd"
    path.write_text(text)
    checked = subprocess.run(["zsh", "-n", path], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
