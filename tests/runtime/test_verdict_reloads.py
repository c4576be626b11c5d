"""One worker's memory, policy after policy: each packet is decided as by a worker that is new."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsgd.model.packet import ICMP, ICMPV6, TCP, UDP
from nsgd.model.rule import Access
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime import asked_sides, packet_handler, paged_ends, tables_between
from nsgd.runtime import counters as cell
from nsgd.runtime import load as runtime_load
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.load import LoadedBefore, LoadedPolicy
from nsgd.runtime.nic_slots import NicSlots
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.policy_handover import HandOver, HandOverMaker, changed_policy
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.oracle.choose import RandomChooser, Written, chance, pick
from tests.oracle.oracle import Oracle, Packet
from tests.oracle.packets import PacketSource
from tests.runtime.directories import Tags, loaded, write
from tests.runtime.edits import EDITS, State
from tests.runtime.test_incremental_load import drawn
from tests.runtime.test_verdict_agreement import (
    FakePacket,
    Links,
    header_of,
    of_interfaces,
    to_bytes,
)

SEQUENCES, STEPS, PACKETS = 9, 10, 250
PREFIXES = ("*", "8.8.8.0/25", *(f"10.0.0.0/{size}" for size in range(9, 31)))


class Worker:
    """A handler on its own counters, as a worker process keeps them."""

    def __init__(self, numbers: int) -> None:
        self.counters = SharedCounters.create(numbers)
        self.cells = OutcomeCells(self.counters)
        self.given: list[tuple[int, int, int]] = []
        self.path: VerdictPath | None = None
        self.changed = 0  # policies that were taken as changes

    def take(self, policy: HandOver) -> None:
        """Another policy, or what differs from the one that it has."""
        before = None if self.path is None else self.path.lookups
        if before is not None and policy.changes_of == before.policy.generation:
            self.changed += 1
            found = changed_policy(before.policy, policy.changes)
        else:
            found = WorkerPolicy.from_bytes(policy.whole())
        self.path = VerdictPath(found, self.counters, before)
        self.links_changed()

    def install(self, built: WorkerPolicy) -> None:
        """Another policy, as if there had been none."""
        self.path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), self.counters)
        self.links_changed()

    def links_changed(self) -> None:
        """Another handler for the same policy."""
        assert self.path is not None
        self.handle = packet_handler.packet_handler(
            self.path, self.cells, lambda *verdict: self.given.append(verdict)
        )

    def replaced(self) -> None:
        """By another process, which finds the counters of the one before and gets all."""
        self.path = None
        self.cells = OutcomeCells(self.counters)


def interfaces_of(state: State) -> list[Written]:
    """Those that are declared."""
    return state.document.get("networkInterfaces") or []


def other_values(chooser: RandomChooser, state: State) -> None:
    """A rule of a group with another prefix or port: the endpoints stay."""
    groups = state.document.get("networkSecurityGroups") or []
    rules = [rule for group in groups for rule in group.get("securityRules") or []]
    if not rules:
        return
    rule = pick(chooser, rules)
    side = pick(chooser, ("source", "destination"))
    if chance(chooser, 60):
        for key in [key for key in rule if key.startswith(side) and "Port" not in key]:
            del rule[key]
        rule[f"{side}AddressPrefix"] = pick(chooser, PREFIXES)
    elif f"{side}PortRange" in rule:
        rule[f"{side}PortRange"] = str(pick(chooser, ("*", 53, "80-443", "1024-65535")))


def mixed(draw: random.Random, packets: list[Packet]) -> Iterator[Packet]:
    """Senders, receivers and ports of different packets together, half of UDP or TCP."""
    by_version = [[each for each in packets if each.version == version] for version in (4, 4, 6)]
    for _ in range(PACKETS):
        some = draw.choice(by_version) or packets
        packet, to, ports = draw.choices(some, k=3)
        yield packet._replace(
            destination=to.destination,
            out_link=to.out_link,
            protocol=draw.choice((TCP, UDP, packet.protocol, packet.protocol)),
            source_port=ports.source_port,
            destination_port=ports.destination_port,
        )


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_every_policy_is_as_for_a_new_worker(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdict, mark and all counts, through edits, links of other names, and other workers."""
    monkeypatch.setattr(runtime_load, "set_aside", lambda: None)
    if seed % 2:
        # Memories that are full again and again.
        monkeypatch.setattr(asked_sides, "_MOST_KNOWN", 5)
        monkeypatch.setattr(tables_between, "_MOST_KNOWN", 7)
        monkeypatch.setattr(packet_handler, "_MOST_REMEMBERED", 9)
    if seed % 4:
        # Pages that are taken over, as where classes are many.
        monkeypatch.setattr(paged_ends, "_FEW_CLASSES", 3)
        monkeypatch.setattr(paged_ends, "_room_for", lambda classes: classes + 40)
        monkeypatch.setattr(paged_ends, "_MOST_DENSE_PAGES", 3)
    links = Links()
    monkeypatch.setattr("socket.if_indextoname", links.name)
    chooser, draw = RandomChooser(f"reloads-{seed}"), random.Random(seed)
    state = drawn(chooser)
    # Where no link binds an interface, much more is remembered.
    while seed % 3 and any(each.get("link") for each in interfaces_of(state)):
        state = drawn(chooser)
    good = copy.deepcopy(state)
    before, tags = LoadedBefore(), Tags(state.tag_files)
    numbers = DecisionNumbers()
    hand_overs, slots = HandOverMaker(), NicSlots()
    accepted = 0
    workers: tuple[Worker, Worker] | None = None
    for step in range(STEPS):
        tags.files = copy.deepcopy(state.tag_files)
        write(tmp_path, state.texts())
        found = loaded(tmp_path, numbers, tags, before)
        if not isinstance(found, LoadedPolicy):
            state = copy.deepcopy(good)
            pick(chooser, (*EDITS, *(other_values,) * 8))(chooser, state)
            continue
        accepted += 1
        good = copy.deepcopy(state)
        anew = loaded(tmp_path, numbers, tags, None)
        assert isinstance(anew, LoadedPolicy)
        numbers = found.numbers
        layout = MarkLayout(found.settings.mark_mask)
        if workers is None:
            workers = Worker(layout.capacity), Worker(layout.capacity)
        worker, new = workers
        given = slots.of(found, [worker.counters, new.counters])
        policy = hand_overs.of(step + 1, found.policy, numbers, found.settings, given)
        if draw.random() < 0.2:
            worker.replaced()
        worker.take(policy)
        new.install(WorkerPolicy.build(step, anew.policy, numbers, anew.settings, given))
        oracle = Oracle(state.document, state.tag_files)
        source = PacketSource(state.document, state.tag_files)
        packets = [source.draw(chooser) for _ in range(PACKETS // 3)]
        for number, packet in enumerate(mixed(draw, packets)):
            if number == PACKETS // 2:
                draw.shuffle(links.names)
                worker.links_changed()
            if packet.version == 6 and packet.protocol in {0, 43, 44, 60}:
                continue
            if packet.protocol == (ICMPV6 if packet.version == 4 else ICMP):
                continue
            header = header_of(packet)
            indexes = links.index(packet.in_link), links.index(packet.out_link)
            worker.handle(FakePacket(to_bytes(header), 0, *indexes))
            assert new.path is not None
            mark = new.path.judge(to_bytes(header), 0, packet.in_link, packet.out_link)
            assert worker.given == [(0, 7, 0) if mark is None else (1, 7, mark)], (step, packet)
            worker.given.clear()
            answer = oracle.judge(packet)
            is_denied = answer.access == Access.DENY.value
            if found.settings.is_host_only or found.settings.mode.value == "audit":
                continue
            if answer.access != "Unmanaged":
                assert (mark is None) is is_denied, (step, packet, answer)
        totals = worker.counters.totals()
        totals[cell.OUTCOMES_USED] = 0
        assert totals == new.counters.totals()
        assert of_interfaces(worker.counters) == of_interfaces(new.counters)
        for _ in range(draw.choice((1, 1, 2, 4))):
            pick(chooser, (*EDITS, *(other_values,) * 8))(chooser, state)
    assert workers is not None
    assert accepted > STEPS / 2
    assert workers[0].changed
    for worker in workers:
        worker.counters.close()
