"""Every command that the documentation shows is run, and prints what is shown.

A page is one session of a reader who follows it, in a directory with the repository's docs and
systemd and a few documents of their own: console.py says how. What cannot be run here is listed
below, with the reason.
"""

from __future__ import annotations

import fnmatch
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from tests.docs.console import Command, File, Shell, not_printed, steps
from tests.tag_files import tag_file

T = TypeVar("T")

REPOSITORY = Path(__file__).parent.parent.parent
PAGES = {
    str(page.relative_to(REPOSITORY)): list(steps(page.read_text()))
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
}
TEMPLATES = REPOSITORY / "tests" / "azure" / "templates"
TAGS = {"Storage": ["20.60.0.0/16"], "Storage.WestEurope": ["20.60.0.0/24"]}
EXAMPLE = REPOSITORY / "docs" / "examples" / "three-tier.yaml"

# Pages whose reader has a daemon already, on policy.yaml with this engine.
WITH_DAEMON = {
    "docs/operations.md": "kernel",
    "docs/observe.md": "queue",
    "docs/web.md": "queue",
    "docs/prometheus.md": "queue",
}

# Pages whose commands take tens of seconds together; make test-slow runs them.
LONG = {
    "README.md",
    "docs/how-to/migrate-from-azure.md",
    "docs/labs.md",
    "docs/observe.md",
    "docs/operations.md",
}

_SYSTEMD = "needs systemd as the system's first process; make package-test boots one"
_PACKAGE = "builds a Debian package, minutes; make package-test does it"
_BENCH = "minutes of load; tests/bench runs each part"
# Commands that are not run, by page and pattern.
NOT_RUN = {
    ("README.md", "git clone *"): "where the repository is, the reader knows",
    ("README.md", "make install"): "the tests run in what it has installed",
    ("README.md", "make lab"): "tests/lab/test_run.py runs this lab, with what is expected of it",
    ("README.md", "make test"): "runs this test",
    ("README.md", "make package *"): _PACKAGE,
    ("README.md", "*systemctl*"): _SYSTEMD,
    ("docs/azure-json.md", "nsgd run *"): "the daemon of a machine that has these two files",
    ("docs/azure-reference.md", "nsgd *"): "tests/test_docs_reference.py runs them",
    ("docs/benchmarks.md", "nsgd bench*"): _BENCH,
    (
        "docs/flow-logs.md",
        "nsgd flow-log read FILE...",
    ): "FILE... are the reader's; see tests/flowlog",
    ("docs/labs.md", "nsgd lab --config policy.yaml"): "the same as that of the example below it",
    ("docs/how-to/gateway.md", "systemctl *"): _SYSTEMD,
    ("docs/how-to/host.md", "systemctl *"): _SYSTEMD,
    ("docs/operations.md", "*systemctl*"): _SYSTEMD,
    (
        "docs/operations.md",
        "systemd-sysusers",
    ): "makes a user on the machine; make package-test does it",
    ("README.md", "nsgd selftest"): "half a minute; docs/operations.md has it with one engine",
    ("docs/operations.md", "nsgd selftest"): "half a minute; the one with one engine is run",
    ("docs/operations.md", "editor *"): "stands for the reader's editor",
    ("docs/operations.md", "make package"): _PACKAGE,
    ("docs/operations.md", "apt install *"): _PACKAGE,
    ("docs/web.md", "systemctl *"): _SYSTEMD,
    ("docs/web.md", "ssh *"): "needs the reader's machine beside the gateway",
    ("docs/tutorial.md", "git clone *"): "where the repository is, the reader knows",
    ("docs/tutorial.md", "make install"): "the tests run in what it has installed",
    ("docs/operations.md", "install *"): "writes into the machine; make package-test does it",
}
# Commands that do not end by themselves. A daemon runs on until the page stops it, or is over.
DAEMON = "nsgd run *"
# Others are interrupted after some seconds, the live view at a terminal; only monitor ends when
# the daemon does.
ENDLESS = {"nsgd monitor*": (124, 4), "nsgd top*": (124,), "nsgd web*": (124,)}
_INTERRUPTED_AFTER_S = 3
# Options that make what a page shows shorter, and change nothing else of it.
ALSO = {
    "nsgd lab --config azuredeploy.json --keep": "--probes 40",
    "nsgd lab --config docs/examples/three-tier.yaml --keep": "--probes 40",
}
# Exit statuses other than 0 that a command of a page is shown for, and why.
STATUS = {
    "nsgd check broken.yaml": (3,),  # a document with mistakes
    "nsgd status --runtime-dir /nowhere": (4,),  # nobody listens there
    "nsgd diff policy.yaml new*.yaml": (1,),  # some flows are judged differently
    "nsgd lint [!/]*": (1,),  # the example opens SSH to the world
    "nsgd diff shop.yaml new.yaml": (1,),
    "nsgd lab exec web1 curl *": (28,),  # denied
    "nsgd lab exec data2 ping *": (1,),  # denied
    "nsgd lab exec web ping *": (0, 1),  # denied, and then allowed: the output tells
    "nsgd confirm --revert": (1,),  # confirmed before
    # What it says of the machine that the tests run on is not the page's business.
    "*nsgd doctor*": (0, 1),
}


def listed(table: Mapping[str, T], words: str) -> T | None:
    """What a table says of a command by its first pattern that fits."""
    return next((each for key, each in table.items() if fnmatch.fnmatchcase(words, key)), None)


def is_left_out(page: str, words: str) -> bool:
    """Tell whether a command stands in the table of those that are not run."""
    return any(page == where and fnmatch.fnmatchcase(words, pattern) for where, pattern in NOT_RUN)


def words_of(command: Command) -> str:
    """The command, as every page would write it."""
    return command.words.replace(".venv/bin/", "")


def commands_of(page: str) -> list[Command]:
    """Commands of a page that are run."""
    shown = [step for step in PAGES[page] if isinstance(step, Command)]
    return [each for each in shown if not is_left_out(page, words_of(each))]


@pytest.fixture(scope="module")
def as_azure() -> bytes:
    """The example as Azure's resources, which every page may have."""
    command = [sys.executable, "-m", "nsgd", "convert", "--config", str(EXAMPLE), "-o", "arm"]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture
def desk(tmp_path: Path, as_azure: bytes) -> Path:
    """The reader's directory, and what the machine has that is asked in it."""
    desk = tmp_path / "desk"
    desk.mkdir()
    shutil.copytree(REPOSITORY / "docs", desk / "docs")
    shutil.copytree(REPOSITORY / "systemd", desk / "systemd")
    example = EXAMPLE.read_text()
    changed = example.replace("Prefix: 0.0.0.0/0", "Prefix: 10.0.0.0/8")
    assert changed != example
    (desk / "policy.yaml").write_text(example)
    (desk / "new.yaml").write_text(changed)
    (desk / "new-policy.yaml").write_text(changed)
    (desk / "ServiceTags_Public_20250707.json").write_bytes(tag_file(TAGS))
    for name in ("", ".parameters"):
        template = TEMPLATES / f"docs-style{name}.json"
        shutil.copy(template, desk / f"hub{name}.json")
    (desk / "policy").mkdir()
    (desk / "azuredeploy.json").write_bytes(as_azure)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("nsgd", "nsgd"), ("az", "tests.docs.az")):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m {module} "$@"\n'
        )
        program.chmod(0o755)
    (desk / ".venv" / "bin").mkdir(parents=True)
    (desk / ".venv" / "bin" / "nsgd").symlink_to(programs / "nsgd")
    return desk


def environment(desk: Path) -> dict[str, str]:
    """Programs of the project first; state of its own."""
    state = desk.parent / "state"
    state.mkdir()
    return {
        "PATH": f"{desk.parent / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "STATE_DIRECTORY": str(state),
        "COLUMNS": "100",
    }


def run_daemon(shell: Shell, command: str) -> None:
    """Leave it running; it must answer before the reader goes on."""
    shell.run(f"{command} > daemon.log 2>&1 &")
    deadline = time.monotonic() + 60
    while (answer := shell.run("nsgd status"))[0] != 0:
        assert time.monotonic() < deadline, answer[1] + shell.run("cat daemon.log")[1]


def run_for_a_while(shell: Shell, command: str) -> None:
    """In the background: interrupted() asks how it went."""
    shown = f"script -qec {shlex.quote(command)} /dev/null" if "nsgd top" in command else command
    shell.run(
        f"(timeout -s INT {_INTERRUPTED_AFTER_S} {shown} < /dev/null > $(mktemp -p . out.XXX) 2>&1;"
        f" echo $? > $(mktemp -p . status.XXX)) & waited+=($!)"
    )


def interrupted(shell: Shell) -> set[int]:
    """How what ran for a while ended: 124 if it had to be interrupted."""
    _, printed = shell.run('[ -z "${waited:-}" ] || { wait "${waited[@]}"; cat status.*; }')
    return {int(status) for status in printed.split()}


@pytest.mark.kernel
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page in LONG else [])
        for page in PAGES
        if commands_of(page)
    ],
)
def test_commands_of_a_page(page: str, desk: Path) -> None:
    """In their order, by a reader who has come to the page with a policy of their own."""
    failed = []
    allowed: set[int] = set()
    with Shell(desk, environment(desk)) as shell:
        if engine := WITH_DAEMON.get(page):
            for policy in desk.glob("*.yaml"):
                policy.write_text(policy.read_text().replace("engine: queue", f"engine: {engine}"))
            shell.run("cp policy.yaml /etc/nsgd/nsgd.yaml")
            run_daemon(shell, "nsgd run --config policy.yaml")
        for step in PAGES[page]:
            if isinstance(step, File):
                # By the shell: /etc is its own.
                text = desk.parent / "text"
                text.write_text(step.text)
                assert shell.run(f"install -D -m 644 {text} {shlex.quote(step.name)}")[0] == 0
                continue
            words = words_of(step)
            if is_left_out(page, words):
                continue
            if fnmatch.fnmatchcase(words, DAEMON):
                run_daemon(shell, words)
                continue
            endings = listed(ENDLESS, words)
            if endings and "--once" not in words:
                allowed.update(endings)
                run_for_a_while(shell, words)
                continue
            also = listed(ALSO, words)
            status, printed = shell.run(f"{words} {also}" if also else step.line)
            wanted = listed(STATUS, words) or (0,)
            missing = not_printed(step.output, printed)
            if missing or status not in wanted:
                failed.append(f"{step.line}: exit status {status}, {missing} not in\n{printed}")
        if not interrupted(shell) <= allowed:
            failed.append(shell.run("head -n 20 out.* status.*")[1])
    assert not failed, "\n\n".join(failed)


def test_what_is_not_run_is_still_there() -> None:
    """Of each entry of the table some command."""
    for page, pattern in NOT_RUN:
        commands = [step for step in PAGES[page] if isinstance(step, Command)]
        assert any(fnmatch.fnmatchcase(words_of(each), pattern) for each in commands), pattern


def test_exceptions_are_still_there() -> None:
    """Of each status that is expected, and of each page with a daemon."""
    shown = {words_of(each) for page in PAGES for each in commands_of(page)}
    for pattern in (*STATUS, *ALSO):
        assert fnmatch.filter(shown, pattern), pattern
    assert WITH_DAEMON.keys() | LONG <= PAGES.keys()


def test_every_console_block_has_commands() -> None:
    """None is all output, which nobody would compare."""
    for page, each in PAGES.items():
        text = (REPOSITORY / page).read_text()
        assert text.count("```console\n") <= sum(isinstance(step, Command) for step in each), page
