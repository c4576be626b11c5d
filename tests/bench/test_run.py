"""``nsgd bench`` from end to end, in seconds."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nsgd.bench.run import ALL_CONTENDERS, add_arguments, run
from nsgd.lab.netns import own_namespaces

ROOT = Path(__file__).parents[2]


def bench(*options: str) -> int:
    """Run the verb as the command line does."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(options))


@pytest.mark.kernel
def test_quick_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is measured, flows are delivered, and the hits prove the spread."""
    assert bench("--quick", "-o", "json", "--only", "generator,none,one-rule,bare,queue-ports") == 0
    result = json.loads(capsys.readouterr().out)
    assert own_namespaces() == []
    contenders = {contender["name"]: contender for contender in result["contenders"]}
    assert list(contenders) == ["generator", "none", "one-rule", "bare", "queue-ports"]
    assert {"kernel", "cpu", "processors", "python", "packages"} <= result["machine"].keys()
    assert result["plan"]["order"] == list(contenders)

    def median(name: str, key: str) -> float:
        value: float = contenders[name]["measured"][key]["median"]
        return value

    assert median("generator", "offeredPerS") > 0
    for name in ("none", "one-rule", "bare", "queue-ports"):
        for key in ("deliveredPerS", "latencyP50Us", "connectsPerS", "gbitPerS"):
            assert median(name, key) > 0, (name, key)
        assert contenders[name]["conntrack"] == {"dropped": 0, "evicted": 0}
    for key in ("applyMs", "reloadMs", "supervisorMib", "workerMib"):
        assert median("queue-ports", key) > 0
    assert contenders["none"]["measured"]["rssMib"] is None

    hits = contenders["queue-ports"]["ruleHits"]
    assert {(entry["networkSecurityGroup"], entry["direction"]) for entry in hits} == {
        ("client-nic", "Outbound"),
        ("client-subnet", "Outbound"),
        ("server-subnet", "Inbound"),
        ("server-nic", "Inbound"),
    }
    # 2000 flows over 1000 rules; a busy machine may lose a few.
    for entry in hits:
        assert entry["rulesHit"] > 900
        assert entry["max"] <= 4


@pytest.mark.kernel
def test_an_interrupt_leaves_nothing() -> None:
    """Ctrl-C ends every process and removes every namespace."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nsgd.bench", "--only", "bare"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 30
    while len(pids := children.read_text().split()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert len(pids) == 2
    assert not any(Path("/proc", pid).exists() for pid in pids)
    assert [name for name in os.listdir("/run/netns") if f"-{process.pid}-" in name] == []


def test_rulesets_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each contender's ruleset, without root."""
    assert bench("--print-rulesets") == 0
    printed = capsys.readouterr().out
    for contender in ALL_CONTENDERS:
        assert f"# {contender.name}: " in printed
    assert "ct mark set" in printed
    assert "queue num" in printed


def test_policies_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The five documents, for whoever wants to read or run them."""
    assert bench("--write-policies", str(tmp_path / "policies")) == 0
    files = sorted(tmp_path.glob("policies/*.json"))
    assert [str(file) for file in files] == sorted(capsys.readouterr().out.split())
    documents: list[dict[str, Any]] = [json.loads(file.read_text()) for file in files]
    assert [len(document["networkSecurityGroups"]) for document in documents] == [4] * 5


@pytest.mark.parametrize(
    "options", [["--only", "nothing"], ["--repeat", "0"], ["--rate", "0"], ["--rate", "nan"]]
)
def test_wrong_usage(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and what is wrong."""
    assert bench(*options) == 2
    assert "nsgd bench: " in capsys.readouterr().err
