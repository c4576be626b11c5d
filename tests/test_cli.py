"""The command as its user sees it: output, messages and exit codes."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import nsgd.daemon
from nsgd import __version__
from nsgd.cli import main
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.kernel.error import KernelError
from nsgd.observe.snapshot import snapshot_as_json
from nsgd.runtime.control import ControlServer
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.tag_store import TagStore
from tests.observe.snapshots import SNAPSHOT

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
PROBLEM = Problem("a.yaml", "securityRules[3].priority", 12, "99 is outside 100-4096", "choose one")
STATUS = snapshot_as_json(SNAPSHOT)


def nsgd_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "nsgd", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Daemon:
    """Answers at a control socket like the daemon; *asked* are the verbs that came."""

    def __init__(self, directory: Path) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.refusal: Exception | None = None
        self._stopping = threading.Event()
        self._server = ControlServer(
            directory / "nsgd.sock",
            {
                "status": lambda arguments: self._answer("status", arguments, STATUS),
                "reload": lambda arguments: self._answer("reload", arguments, {"generation": 5}),
                "stop": lambda arguments: self._answer(
                    "stop", arguments, {"stopping": True, "rules": "rules as the daemon says"}
                ),
            },
            {"reload", "stop"},
        )
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def _answer(self, verb: str, arguments: dict[str, Any], result: dict[str, Any]) -> Any:
        self.asked.append((verb, arguments))
        if self.refusal is not None:
            raise self.refusal
        return result

    def _loop(self) -> None:
        while not self._stopping.wait(0.01):
            self._server.handle()

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()
        self._server.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that runs in tmp_path."""
    with contextlib.closing(Daemon(tmp_path)) as made:
        yield made


def ask(verb: str, directory: Path, *arguments: str) -> int:
    """Run a verb in this process on a runtime directory."""
    return main([verb, "--runtime-dir", str(directory), *arguments])


# The whole command


def test_version() -> None:
    """One line, as scripts read it."""
    answer = nsgd_process("--version")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, f"nsgd {__version__}\n", "")


def test_help_names_verbs_and_exit_codes() -> None:
    """What a user needs first."""
    answer = nsgd_process("--help")
    assert answer.returncode == 0
    for verb in ("run", "check", "status", "reload", "stop", "lab"):
        assert f"\n    {verb} " in answer.stdout
    for line in (
        "0  done",
        "1  failed",
        "2  wrong usage",
        "3  documents refused",
        "4  no daemon can be reached",
        "5  permission denied",
        "6  undetermined in part (diff, lint, reach)",
    ):
        assert f"\n  {line}\n" in answer.stdout


@pytest.mark.parametrize("verb", ["run", "check", "status", "reload", "stop", "lab"])
def test_help_of_each_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what it does, in a sentence, and the exit codes."""
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: nsgd {verb} ")
    assert text.split("\n\n")[1].endswith(".")
    assert "exit codes:" in text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "the following arguments are required: VERB"),
        (["start"], "invalid choice: 'start'"),
        (["run"], "the following arguments are required: --config"),
        (["check"], "the following arguments are required: PATH"),
        (["status", "-o", "yaml"], "invalid choice: 'yaml'"),
        (["stop", "now"], "unrecognized arguments: now"),
        (["lab"], "the following arguments are required: --config"),
    ],
)
def test_wrong_usage(words: Sequence[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, usage and reason."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("usage: nsgd")
    assert text in error


def test_a_reader_that_has_seen_enough() -> None:
    """``nsgd check | head -0`` shows no traceback."""
    command = [sys.executable, "-m", "nsgd", "check", str(EXAMPLES / "web-servers.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


# check


def test_check() -> None:
    """A summary of what is declared."""
    answer = nsgd_process("check", str(EXAMPLES / "web-servers.yaml"))
    assert (answer.returncode, answer.stderr) == (0, "")
    documents = answer.stdout.splitlines()[-1].partition(" ")[0]
    assert re.fullmatch("[0-9a-f]{16}", documents)
    assert answer.stdout == (
        "1 document: 1 virtual network, 2 network interfaces, 1 network security group,"
        " 1 application security group, 1 security rule\n"
        f"{documents} is what nsgd status calls them once they are in force\n"
    )


def test_check_shows_all_problems(tmp_path: Path) -> None:
    """Of all documents, each on its line, and their number."""
    first, second, missing = (tmp_path / name for name in ("1.yaml", "2.yaml", "3.yaml"))
    first.write_text("networkSecurityGroups: 5\nvirtualNetworks: 7\n")
    second.write_text("nothing: {}\n")
    answer = nsgd_process("check", str(first), str(second))
    assert (answer.returncode, answer.stdout) == (3, "")
    *problems, last = answer.stderr.splitlines()
    assert [line.partition(": ")[0] for line in problems] == [
        f"{first}:1",
        f"{first}:2",
        f"{second}:1",
    ]
    assert last == "3 problems in 2 documents"
    answer = nsgd_process("check", str(missing))
    assert (answer.returncode, answer.stdout) == (3, "")
    assert answer.stderr == (
        f"{missing}: cannot be read: no such file or directory; check the path\n"
        "1 problem in 1 document\n"
    )


def test_check_warns_of_networks_that_only_links_tell_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fine to ask about, but not to run: exit code 0 and a warning."""
    path = tmp_path / "overlap.json"
    names = ("one", "two")
    document = {
        "virtualNetworks": [
            {
                "name": name,
                "addressSpace": ["10.0.0.0/16"],
                "subnets": [{"name": "s", "addressPrefixes": ["10.0.0.0/24"]}],
            }
            for name in names
        ],
        "networkInterfaces": [
            {"name": "nic", "subnet": "one/s", "privateIPAddresses": ["10.0.0.4"]}
        ],
    }
    path.write_text(json.dumps(document))
    assert main(["check", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.err == (
        "warning: virtual networks one and two overlap, and one gateway cannot tell their flows"
        " apart; give each a gateway or network namespace of its own; 'nsgd run' refuses this\n"
    )
    assert shown.out.startswith("1 document: 2 virtual networks, 1 network interface, ")


@pytest.mark.parametrize(
    "arguments",
    [["check", str(EXAMPLES / "web-servers.yaml")], ["status", "--runtime-dir", "/nonexistent"]],
)
def test_light_verbs_import_no_heavy_library(arguments: list[str]) -> None:
    """Documents can be checked where the kernel's libraries are not installed."""
    code = (
        "import sys; from nsgd.cli import main; main(sys.argv[1:]);"
        "print(*{'pyroute2', 'netfilterqueue', 'prometheus_client'} & sys.modules.keys())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == ""


# run


@pytest.mark.parametrize("verb", ["run", "boot"])
def test_a_start_waits_for_no_other_verb(verb: str) -> None:
    """What it does not need it does not load; all others have every verb."""
    code = (
        "import sys; from nsgd.cli import parser_for; parser_for(sys.argv[1:]);"
        "print(*sorted(name for name in sys.modules if name.startswith('nsgd.commands.')))"
    )
    argv = [sys.executable, "-c", code]
    found = subprocess.run([*argv, verb], capture_output=True, text=True, check=True).stdout.split()
    assert found == ["nsgd.commands.common", "nsgd.commands.daemon", "nsgd.commands.progress"]
    others = subprocess.run([*argv, "status"], capture_output=True, text=True, check=True).stdout
    assert "nsgd.commands.lab" in others.split()


def test_run_hands_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents in the order given, and the directories of options or of systemd."""
    calls: list[tuple[object, ...]] = []

    def run(*arguments: object) -> int:
        calls.append(arguments)
        return 3

    monkeypatch.setattr(nsgd.daemon, "run", run)
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one:/run/two")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert main(["run", "--config", "b", "a", "--config", "c"]) == 3
    state = str(tmp_path)
    assert main(["run", "--config", "a", "--runtime-dir", "r", "--state-dir", state]) == 3
    assert [arguments[:3] for arguments in calls] == [
        ([Path("b"), Path("a"), Path("c")], Path("/run/one"), Path("/var/lib/nsgd")),
        ([Path("a")], Path("r"), tmp_path),
    ]
    stores = [arguments[3] for arguments in calls]
    assert [store.path for store in stores if isinstance(store, TagStore)] == [
        Path("/var/lib/nsgd/service-tags"),
        tmp_path / "service-tags",
    ]


# status


def test_status(daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text for people, JSON for programs."""
    assert ask("status", tmp_path) == 0
    text = capsys.readouterr().out
    assert text.startswith("nsgd     1.2.3, running since ")
    assert "DenyAllOutBound" not in text
    assert ask("status", tmp_path, "--all") == 0
    assert "DenyAllOutBound" in capsys.readouterr().out
    assert ask("status", tmp_path, "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == STATUS
    assert daemon.asked == [("status", {})] * 3


def test_status_finds_the_daemon_by_the_environment(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a unit of systemd."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    assert main(["status"]) == 0


@pytest.mark.parametrize("verb", ["status", "reload", "stop"])
def test_no_daemon(verb: str, tmp_path: Path) -> None:
    """Exit code 4 and the place that was looked at."""
    answer = nsgd_process(verb, "--runtime-dir", str(tmp_path))
    assert (answer.returncode, answer.stdout) == (4, "")
    assert answer.stderr == (
        f"nsgd: no daemon listens at {tmp_path}/nsgd.sock; it does not run,"
        " or has another --runtime-dir\n"
    )


# reload


def test_reload(daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The new generation is told."""
    assert ask("reload", tmp_path) == 0
    assert capsys.readouterr().out == "policy 5 in force\n"


def test_a_refused_reload(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, every problem, and what decides now."""
    daemon.refusal = ConfigRefused((PROBLEM, PROBLEM))
    assert ask("reload", tmp_path) == 3
    line = "a.yaml:12: securityRules[3].priority: 99 is outside 100-4096; choose one\n"
    last = "nsgd: reload refused, 2 problems; the policy in force stays\n"
    assert capsys.readouterr().err == line * 2 + last
    daemon.refusal = RefusedByKernel("the kernel refused the ruleset: too large")
    assert ask("reload", tmp_path) == 3
    assert capsys.readouterr().err == (
        "the kernel refused the ruleset: too large\n"
        "nsgd: reload refused, 1 problem; the policy in force stays\n"
    )


# stop


@contextlib.contextmanager
def daemon_process(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that answers one request to stop, and ends."""
    code = (
        "import sys, select, pathlib; from nsgd.runtime.control import ControlServer\n"
        "stop = []\n"
        "def handler(arguments):\n"
        "    stop.append(arguments)\n"
        "    return {'stopping': True, 'rules': 'rules as the daemon says'}\n"
        "path = pathlib.Path(sys.argv[1]) / 'nsgd.sock'\n"
        "server = ControlServer(path, {'stop': handler}, {'stop'})\n"
        "print('ready', flush=True)\n"
        "while not stop: select.select([server], [], []); server.handle()\n"
        "server.close(); print(stop, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_stop_says_that_rules_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what that means; it returns when the daemon has ended."""
    with daemon_process(tmp_path) as process:
        assert ask("stop", tmp_path) == 0
        assert process.stdout is not None
        assert process.stdout.readline() == b"[{'removeRules': False}]\n"
        assert process.wait(0.5) == 0
    assert capsys.readouterr().out == "stopped; rules as the daemon says\n"


def test_stop_and_remove_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon is told to remove them."""
    with daemon_process(tmp_path) as process:
        assert ask("stop", tmp_path, "--remove-rules") == 0
        assert process.stdout is not None
        assert process.stdout.readline() == b"[{'removeRules': True}]\n"
    assert capsys.readouterr().out == "stopped; rules as the daemon says\n"


def test_a_daemon_that_does_not_stop(
    daemon: Daemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is claimed that did not happen."""
    monkeypatch.setattr("nsgd.commands.daemon._STOP_TIMEOUT_S", 0.1)
    assert ask("stop", tmp_path) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("nsgd: the daemon still runs after 0.1 s; its log says")


@pytest.mark.parametrize(
    ("was_there", "text"),
    [
        (True, "no daemon runs; the rules it left are removed: traffic passes unfiltered\n"),
        (False, "no daemon runs, and there are no rules to remove\n"),
    ],
)
def test_rules_without_a_daemon_are_removed(
    was_there: bool,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A killed daemon left them."""
    monkeypatch.setattr(nsgd.daemon, "remove_rules", lambda: was_there)
    assert ask("stop", tmp_path, "--remove-rules") == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize(("number", "code"), [(1, 5), (13, 5), (28, 1)])
def test_rules_that_cannot_be_removed(
    number: int,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The kernel's refusal is shown, with the likely reason."""

    class Refusing:
        def __enter__(self) -> Refusing:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def remove(self) -> bool:
            raise KernelError("delete", "table inet nsgd", number)

    monkeypatch.setattr(nsgd.daemon, "NftTable", Refusing)
    assert ask("stop", tmp_path, "--remove-rules") == code
    error = capsys.readouterr().err
    assert error.startswith("nsgd: delete table inet nsgd: ")
    assert ("needs CAP_NET_ADMIN, and no running daemon may own the table" in error) == (code == 5)


def test_rules_of_a_daemon_that_does_not_answer_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A busy daemon is no dead one."""
    monkeypatch.setattr("nsgd.commands.daemon.REQUEST_TIMEOUT_S", 0.1)
    monkeypatch.setattr(nsgd.daemon, "remove_rules", pytest.fail)
    server = ControlServer(tmp_path / "nsgd.sock", {}, set())
    with contextlib.closing(server):
        assert ask("stop", tmp_path, "--remove-rules") == 4
    assert "does not answer within 0.1 s" in capsys.readouterr().err
