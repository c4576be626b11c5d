"""The fuzz targets without a fuzzer: their seeds, and the same few mutations of them each time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nsgd.model.packet import PacketHeader
from nsgd.wire.packet import parse_packet
from tests.fuzz import control_target, netlink_target, packet_target

TARGETS = (packet_target, control_target, netlink_target)
_MUTATIONS = 1500


def mutated(seeds: list[bytes], count: int) -> Iterator[bytes]:
    """Bytes replaced, cut out, put in and joined."""
    drawn = random.Random(8)
    for _ in range(count):
        data = bytearray(drawn.choice(seeds))
        for _ in range(drawn.randint(1, 4)):
            at = drawn.randint(0, len(data))
            kind = drawn.randrange(4)
            if kind == 0 and at < len(data):
                data[at] = drawn.choice((0, 1, 4, 255, drawn.randrange(256)))
            elif kind == 1:
                del data[at : at + drawn.randint(1, 8)]
            elif kind == 2:
                data[at:at] = drawn.randbytes(drawn.randint(1, 8))
            else:
                data[at:] = drawn.choice(seeds)[at:]
        yield bytes(data)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__.rpartition(".")[2])
def test_seeds_and_mutations(target: ModuleType) -> None:
    """Nothing is raised."""
    seeds = list(target.seeds())
    assert max(map(len, seeds)) <= target.LONGEST_BYTES
    for data in (*seeds, *mutated(seeds, _MUTATIONS), b"", b"\0"):
        target.test_one_input(data)


def test_seeds_are_good_ones() -> None:
    """What is mutated is what the code expects: packets, messages and requests."""
    packets = [parse_packet(seed[5:]) for seed in packet_target.seeds()]
    assert all(isinstance(packet, PacketHeader) for packet in packets)
    bodies = netlink_target.flow_bodies()
    assert len(bodies) == 8
    daemon = control_target._daemon()
    answers = [daemon.ask(s[2:], s[1]) for s in control_target.seeds() if s[0] == 1]
    assert sum(b'"ok":true' in answer for answer in answers) >= 14
    assert any(b'"decisions":[{' in answer for answer in answers)
    assert any(b'"denials":[{' in answer for answer in answers)


def run_all(target: ModuleType) -> None:
    """All seeds."""
    for data in target.seeds():
        target.test_one_input(data)


def break_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The full way lets pass what the short way drops."""
    monkeypatch.setattr("nsgd.runtime.verdict.VerdictPath.judge", lambda self, *args: args[1])


def break_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter raises what is no refusal."""
    monkeypatch.setattr("nsgd.runtime.flow_list.FlowFilter.of", lambda arguments: 1 / 0)


def break_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that passes over what is malformed."""
    monkeypatch.setattr("nsgd.wire.nft_events.iterate_messages", lambda data: iter(()))


@pytest.mark.parametrize(
    ("target", "break_it"),
    list(zip(TARGETS, (break_packet, break_control, break_netlink), strict=True)),
    ids=("packet", "control", "netlink"),
)
def test_a_fault_is_found(
    target: ModuleType,
    break_it: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the seeds alone."""
    break_it(monkeypatch)
    with pytest.raises((AssertionError, ZeroDivisionError)):
        run_all(target)


def test_what_fuzzing_found() -> None:
    """Inputs that once ended the daemon, or wrote lines that were nobody's, each by itself."""
    for request in (
        {"verb": "flows", "protocol": "9" * 5000},
        {"verb": "denials", "limit": 1 << 63},
        {"verb": "cutFlows", "nsg": "a\nb\ud800"},
        {"verb": "apply", "documents": [{"name": "a\nb", "content": "eJwDAAAAAAE="}]},
    ):
        body = json.dumps(request).encode()
        control_target.test_one_input(b"\2\0" + body)


def test_the_makefile_runs_every_target() -> None:
    """A target that nobody runs finds nothing."""
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    (line,) = (line for line in makefile.splitlines() if line.startswith("FUZZ_TARGETS :="))
    there = {path.stem.removeprefix("fuzz_") for path in Path(__file__).parent.glob("fuzz_*.py")}
    assert set(line.split()[2:]) == there
