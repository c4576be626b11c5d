"""``nsgd bench`` from end to end, in seconds."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nsgd.bench import run as run_module
from nsgd.bench.contenders import ContenderFailed
from nsgd.bench.measure import QUICK, measure_cost
from nsgd.bench.network import write_frames
from nsgd.bench.options import add_arguments
from nsgd.bench.policies import Size
from nsgd.bench.run import run
from nsgd.bench.selection import all_contenders, contender_names
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
    names = ["generator", "none", "conntrack", "one-rule", "bare", "queue-ports", "linear-ports"]
    assert bench("--quick", "-o", "json", "--only", ",".join(names)) == 0
    result = json.loads(capsys.readouterr().out)
    assert own_namespaces() == []
    contenders = {contender["name"]: contender for contender in result["contenders"]}
    assert sorted(contenders) == sorted(names)
    assert {"kernel", "cpu", "processors", "python", "packages"} <= result["machine"].keys()
    assert result["plan"]["order"] == list(contenders)
    assert (result["plan"]["rules"], result["plan"]["nics"]) == (1000, 10_000)

    def median(name: str, key: str) -> float:
        value: float = contenders[name]["measured"][key]["median"]
        return value

    assert median("generator", "offeredPerS") > 0
    for name in names[1:]:
        for key in ("deliveredPerS", "latencyP50Us", "connectsPerS", "gbitPerS"):
            assert median(name, key) > 0, (name, key)
        assert contenders[name]["measured"]["cpuAgainUsPerFlow"] is not None
        # Checksums are right: with one wrong in each packet all TCP would be invalid.
        assert contenders[name]["conntrack"] == {"dropped": 0, "evicted": 0, "invalid": 0}
    for key in ("applyMs", "reloadMs", "supervisorMib", "workerMib", "gbitByConntrack"):
        assert median("queue-ports", key) > 0
    assert contenders["none"]["measured"]["rssMib"] is None

    hits = contenders["queue-ports"]["ruleHits"]
    assert {(entry["networkSecurityGroup"], entry["direction"]) for entry in hits} == {
        ("client-nic", "Outbound"),
        ("client-subnet", "Outbound"),
        ("server-subnet", "Inbound"),
        ("server-nic", "Inbound"),
    }
    # 2000 flows, of which 1000 rules would have two each after whole rounds of addresses and
    # ports only; a busy machine may lose a few.
    for entry in hits:
        assert entry["rulesHit"] > 800
        assert entry["max"] <= 10


@pytest.mark.kernel
def test_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    """Every number of NICs is measured, by flows between so many."""
    options = ("--sweep", "--quick", "--policy", "ports", "-o", "json", "--only", "one-rule")
    assert bench(*options) == 0
    result = json.loads(capsys.readouterr().out)
    assert own_namespaces() == []
    (by_nics,) = result["nics"]["curves"]
    assert [point["nics"] for point in by_nics["points"]] == [10, 100, 1000, 10_000]
    assert result["plan"]["policy"] == "ports"
    assert result["failures"] == []


@pytest.mark.kernel
def test_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    """All stand at the same time, each has a turn in every round, and second gateways their own."""
    options = ("--pairs", "--quick", "--repeat", "2", "--rules", "10", "--nics", "10")
    assert bench(*options, "-o", "json", "--only", "conntrack,bare,queue-mixed") == 0
    result = json.loads(capsys.readouterr().out)
    assert own_namespaces() == []
    assert result["failures"] == []
    contenders = {contender["name"]: contender for contender in result["contenders"]}
    names = ["conntrack", "conntrack again", "bare", "bare again", "queue-mixed"]
    assert list(contenders) == names
    assert sorted(result["plan"]["order"]) == sorted(names)
    begins = {name: [turn["startedS"] for turn in contenders[name]["turns"]] for name in names}
    # The second round is the first one backwards.
    first, second = (sorted(names, key=lambda name: begins[name][number]) for number in (0, 1))
    assert first == second[::-1] == result["plan"]["order"]
    for name in names:
        for turn in contenders[name]["turns"]:
            # What others use meanwhile is taken out, by ticks: on a busy machine anything is left.
            assert isinstance(turn["cpuUsPerFlow"], float)
            assert turn["senderUsPerFlow"] > 0
            assert turn["gbitPerS"] > 0
            assert (turn["workerUsPerFlow"] or 0) > 0 or "conntrack" in name
        assert contenders[name]["conntrack"] == {"dropped": 0, "evicted": 0, "invalid": 0}
    # Both contenders of a ratio meet in the round: where both cost anything at all, it has one.
    pairs = zip(contenders["bare again"]["turns"], contenders["bare"]["turns"], strict=True)
    for again, bare in pairs:
        costs = again["cpuUsPerFlow"], bare["cpuUsPerFlow"]
        assert again["cpuByBare"] == (costs[0] / costs[1] if min(costs) > 0 else None)
    assert contenders["queue-mixed"]["measured"]["gbitByConntrack"] is not None
    hits = contenders["queue-mixed"]["ruleHits"]
    assert len(hits) == 4
    assert all(entry["hits"] > 1000 for entry in hits)


@pytest.mark.kernel
@pytest.mark.parametrize("is_spoilt", [False, True])
def test_wrong_checksums_are_noticed(is_spoilt: bool, tmp_path: Path) -> None:
    """Packets that conntrack calls invalid are of no flow: the contender fails, and says so."""
    byte = 14 + 20 + 16  # of TCP's checksum
    frames = tmp_path / "frames"
    write_frames(frames, 10)
    if is_spoilt:
        content = bytearray(frames.read_bytes())
        content[64 + byte :: 128] = bytes(value ^ 1 for value in content[64 + byte :: 128])
        frames.write_bytes(content)
    (conntrack,) = (c for c in all_contenders(Size()) if c.name == "conntrack")
    if is_spoilt:
        with pytest.raises(ContenderFailed, match=r"calls \d+ of .* invalid") as caught:
            measure_cost(conntrack, QUICK, frames)
        assert caught.value.invalid_packets >= 100
    else:
        assert measure_cost(conntrack, QUICK, frames).conntrack_invalid == 0


def test_a_failure_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What conntrack called invalid fails the run, and rounds stay side by side."""

    def fail(*_: object) -> None:
        raise ContenderFailed("conntrack calls 3 of the generator's packets invalid", 3)

    monkeypatch.setattr(run_module, "measure", fail)
    monkeypatch.setattr(run_module, "write_frames", lambda *_: None)
    monkeypatch.setattr(run_module, "remove_leftovers", lambda: None)
    assert bench("--only", "bare", "-o", "json", "--repeat", "2") == 1
    output = capsys.readouterr()
    assert "bare, round 2: conntrack calls 3" in output.err
    (bare,) = json.loads(output.out)["contenders"]
    assert bare["conntrack"]["invalid"] == 6
    assert bare["measured"]["cpuUsPerFlow"] is None


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
    assert bench("--print-rulesets", "--rules", "10", "--nics", "10") == 0
    printed = capsys.readouterr().out
    for contender in all_contenders(Size(10, 10)):
        assert f"# {contender.name}: {contender.description}" in printed
    assert "ct mark set" in printed
    assert "queue num" in printed
    assert "ip saddr vmap @outbound" in printed


def test_several_workers(capsys: pytest.CaptureFixture[str]) -> None:
    """Behind each contender of the queue engine stands the same with that number of queues."""
    size = ("--rules", "10", "--nics", "10")
    only = ("--only", "one-rule,queue-ports,kernel-ports")
    assert bench("--print-rulesets", *size, *only, "--queues", "2,3") == 0
    printed = capsys.readouterr().out
    names = re.findall(r"^# ([\w-]+): ", printed, re.MULTILINE)
    assert names == ["one-rule", "kernel-ports", "queue-ports", "queue-ports-x2", "queue-ports-x3"]
    assert "engine queue, 3 workers, 10 NICs" in printed
    assert ("symhash mod 2" in printed, "symhash mod 3" in printed) == (True, True)


def test_policies_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The five documents, for whoever wants to read or run them, at the size asked for."""
    options = ("--write-policies", str(tmp_path / "policies"), "--rules", "100", "--nics", "10")
    assert bench(*options) == 0
    files = sorted(tmp_path.glob("policies/*.json"))
    assert [str(file) for file in files] == sorted(capsys.readouterr().out.split())
    documents: list[dict[str, Any]] = [json.loads(file.read_text()) for file in files]
    assert [len(document["networkSecurityGroups"]) for document in documents] == [4] * 5
    for document in documents:
        assert len(document["networkInterfaces"]) == 10
        assert len(document["networkSecurityGroups"][0]["securityRules"]) == 100


def test_names_do_not_depend_on_the_size() -> None:
    """A contender is called the same whatever its policy's size."""
    names = contender_names()
    assert names == [contender.name for contender in all_contenders(Size(10, 10))]
    assert len(set(names)) == len(names) == 20
    assert {"kernel-mixed", "queue-lists", "linear-ports"} < set(names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "nothing"], "no contender is named nothing"),
        (["--repeat", "0"], "at least 1"),
        (["--rate", "0"], "at least 1"),
        (["--rate", "nan"], "at least 1"),
        (["--sweep", "--scale"], "two runs"),
        (["--policy", "ports"], "--policy needs --sweep"),
        (["--plot", "curves.png"], "--plot needs --sweep"),
        (["--sweep", "--plot", "curves.jpg"], "name it .png"),
        (["--sweep", "--only", "none"], "none of these contenders"),
        (["--sweep", "--nics", "10"], "without --sweep or --scale"),
        (["--tags-file", "tags.json"], "--tags-file needs --scale"),
        (["--overload", "--flow-log"], "--overload and --flow-log are two runs"),
        (["--flow-log", "--only", "bare"], "one-rule-reader, queue, queue-log"),
        (["--flow-log", "--rate", "60000"], "--rate is at most 50000"),
        (["--flow-log", "--print-rulesets"], "without --flow-log"),
        (["--pairs", "--overload"], "--overload and --pairs are two runs"),
        (["--pairs", "--only", "bare,linear"], "--pairs has no linear: its contenders are none, "),
        (["--pairs", "--only", "scapy"], "--pairs has no scapy"),
        (["--pairs", "--only", "generator"], "kernel-*, queue-*"),
        (["--pairs", "--policy", "ports"], "--policy needs --sweep or --flow-log"),
        (["--pairs", "--rate", "150001"], "--rate is at most 150000"),
        (["--pairs", "--queues", "2"], "--queues is for a run without --pairs"),
        (["--pairs", "--write-policies", "/nonexistent"], "without --pairs"),
        (["--only", "kernel-log"], "no contender is named kernel-log"),
        (["--scale", "--tags-file", "/nonexistent"], "--tags-file /nonexistent: "),
        (["--queues", "1"], "--queues takes numbers from 2 to 16"),
        (["--queues", "two"], "--queues takes numbers from 2 to 16"),
        (["--queues", "2", "--only", "kernel,bare"], "needs a contender of the queue engine"),
        (["--queues", "2", "--sweep"], "--queues is for a run without --sweep"),
        (["--scale", "--only", "bare"], "engines kernel and queue only"),
    ],
)
def test_wrong_usage(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and what is wrong, before anything is measured."""
    assert bench(*options) == 2
    error = capsys.readouterr().err
    assert error.startswith("nsgd bench: ")
    assert message in error
