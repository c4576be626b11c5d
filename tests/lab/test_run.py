"""``nsgd lab`` from end to end, against a stand-in that is right or wrong in a chosen way."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nsgd.commands.common import load_config
from nsgd.commands.lab import add_options
from nsgd.lab import run as lab_run
from nsgd.lab.netns import own_namespaces
from nsgd.lab.topology import Topology

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "docs" / "examples" / "web-servers.yaml"
EXPECTED = ROOT / "docs" / "examples" / "web-servers.expected.yaml"
FAKE_NSGD = ROOT / "tests" / "lab" / "fake_nsgd.py"

PROGRAM = f"""
import sys
from tests.lab.test_run import run_lab_verb
sys.exit(run_lab_verb("mute", {str(CONFIG)!r}, {str(EXPECTED)!r}))
"""


def run_lab_verb(fault: str, config: Path | str, expected: Path | str, *options: str) -> int:
    """Run the verb as the command line does, with the stand-in as ``nsgd``."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    args = parser.parse_args(["--config", str(config), "--expected", str(expected), *options])
    nsgd = [sys.executable, str(FAKE_NSGD), fault]
    return lab_run.run(args, nsgd, load=partial(load_config, args))


@pytest.mark.kernel
def test_everything_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, every probe a match, every counter what the probes must give."""
    assert run_lab_verb("none", CONFIG, EXPECTED, "-o", "json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["mismatches"], result["counterDifferences"]) == (0, [])
    assert len(result["probes"]) == 6 * 5 * 2
    assert {
        "from": "internet",
        "to": "WorkerNic",
        "service": "http",
        "ipVersion": 6,
        "expected": "Deny",
        "observed": "no answer",
        "detail": "",
        "decidedBy": "MyNSG Inbound DenyAllInBound",
        "isMatch": True,
    } in result["probes"]
    assert own_namespaces() == []


@pytest.mark.kernel
def test_the_table_has_every_pair_and_the_counters(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each pair and service, both families together."""
    assert run_lab_verb("none", CONFIG, EXPECTED) == 0
    table, counters, summary = capsys.readouterr().out.strip().split("\n\n")
    assert len(table.splitlines()) == 1 + 6 * 5
    assert "MISMATCH" not in table
    assert "AllowWebFromInternet   Allow   4" in counters
    assert summary == "60 of 60 probes as expected, 0 rule counters differ"


@pytest.mark.kernel
def test_a_leak_is_seen_on_the_wire(capsys: pytest.CaptureFixture[str]) -> None:
    """Though the rule that should have denied it was counted."""
    assert run_lab_verb("leak", CONFIG, EXPECTED, "--only-failures") == 1
    output = capsys.readouterr().out
    (line,) = (line for line in output.splitlines() if line.endswith("MISMATCH"))
    assert line.split()[:6] == ["internet", "WorkerNic", "ssh", "4+6", "Deny", "answered"]
    assert "58 of 60 probes as expected, 0 rule counters differ" in output


@pytest.mark.kernel
def test_a_wrong_counter_is_a_mismatch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though everything on the wire is right."""
    monkeypatch.setattr("nsgd.lab.prediction._COUNTERS_TIMEOUT_S", 0.5)
    assert run_lab_verb("miscount", CONFIG, EXPECTED, "--only-failures") == 1
    output = capsys.readouterr().out
    assert "MISMATCH MyNSG Inbound DenyAllInBound: 15 hits counted, 16 expected" in output
    assert "60 of 60 probes as expected, 1 rule counters differ" in output


@pytest.mark.kernel
def test_a_daemon_that_dies(capsys: pytest.CaptureFixture[str]) -> None:
    """Its exit code and its last words are told, and nothing is left behind."""
    assert run_lab_verb("die", CONFIG, EXPECTED) == 1
    assert "ended with exit code 9\n  fake trouble" in capsys.readouterr().err
    assert own_namespaces() == []


@pytest.mark.kernel
def test_a_daemon_that_is_never_ready(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has an end."""
    monkeypatch.setattr("nsgd.lab.subject._READY_TIMEOUT_S", 0.5)
    assert run_lab_verb("mute", CONFIG, EXPECTED) == 1
    assert "the daemon: not ready after" in capsys.readouterr().err


@pytest.mark.kernel
def test_a_broken_lab_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails without a firewall makes every result worthless; the pairs are named."""
    build = Topology.__init__

    def build_and_break(self: Topology, *arguments: Any) -> None:
        build(self, *arguments)
        self.gateway.set_down("veth-worker")

    monkeypatch.setattr(Topology, "__init__", build_and_break)
    assert run_lab_verb("none", CONFIG, EXPECTED) == 1
    error = capsys.readouterr().err
    assert "the lab itself is broken: 40 of 60 probes fail without it" in error
    assert "WebNic > WorkerNic http IPv4" in error
    assert own_namespaces() == []


def test_bad_files_are_refused_before_anything_is_built(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit 3, as for any document."""
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    assert run_lab_verb("none", empty, EXPECTED) == 3
    assert run_lab_verb("none", CONFIG, empty) == 3
    assert run_lab_verb("none", CONFIG, tmp_path / "absent.yaml") == 3
    assert capsys.readouterr().err.count("nsgd lab: ") == 3


def lab_namespaces(pid: int) -> list[str]:
    return [name for name in os.listdir("/run/netns") if name.startswith(f"nsgd-{pid}-")]


def has_fake(pid: int) -> bool:
    """Tell whether the lab of *pid* has started its daemon."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return any(b"fake_nsgd" in Path(f"/proc/{c}/cmdline").read_bytes() for c in children)


@pytest.mark.kernel
@pytest.mark.parametrize(
    "moment",
    [
        lambda pid: len(lab_namespaces(pid)) == 1,
        lambda pid: len(lab_namespaces(pid)) == 4,
        has_fake,
    ],
    ids=["first namespace", "last namespace", "daemon"],
)
def test_ctrl_c_cleans_up(moment: Callable[[int], bool]) -> None:
    """At any moment: exit 130, one line, no namespace and no process left."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as lab:
        deadline = time.monotonic() + 20
        while not moment(lab.pid):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        with ExitStack() as held:
            # Held open: the inode of a namespace that is gone may be that of another test's.
            names = lab_namespaces(lab.pid)
            spaces = [held.enter_context(open(f"/run/netns/{name}", "rb")) for name in names]
            inodes = {os.fstat(space.fileno()).st_ino for space in spaces}
            lab.send_signal(signal.SIGINT)
            _, error = lab.communicate(timeout=20)
            assert (lab.returncode, error) == (130, "nsgd lab: interrupted; the lab is removed\n")
            assert lab_namespaces(lab.pid) == []
            left = [pid for pid in os.listdir("/proc") if pid.isdigit() and network(pid) in inodes]
            assert left == []


def network(pid: str) -> int | None:
    """Inode of a process's network namespace."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None
