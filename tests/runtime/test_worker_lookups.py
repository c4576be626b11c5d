"""Look-ups that are made of those of another policy are as those that are made anew."""

from __future__ import annotations

import copy
import gc
import json
import random
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import compile_policy
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED, EndpointMap
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.refine import refine_steps
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime import nic_counts, paged_ends, worker_lookups
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.worker_lookups import Judges, Lookups, make_lookups
from nsgd.runtime.worker_policy import WorkerPolicy

from .test_nic_counts import document

LAST = (1 << 32) - 1
SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)
N = 10 << 24  # the first address of the networks


def overlapping() -> dict[str, Any]:
    """Two networks of which some addresses are the same, and IPv6."""
    made = document()
    made["virtualNetworks"][0]["addressSpace"].append("fd00::/48")
    made["virtualNetworks"][0]["subnets"][0] = {
        "name": "s",
        "addressPrefixes": ["10.0.0.0/24", "fd00::/64"],
    }
    subnets = [
        {"name": "s", "addressPrefix": "10.0.0.64/26"},
        {"name": "t", "addressPrefix": "10.1.0.0/24"},
    ]
    spaces = ["10.0.0.0/16", "10.1.0.0/16"]
    made["virtualNetworks"].append({"name": "m", "addressSpace": spaces, "subnets": subnets})
    made["networkInterfaces"][1] |= {"subnet": "m/t", "privateIPAddresses": ["10.1.0.5"]}
    made["networkInterfaces"][2]["privateIPAddresses"] = ["10.0.0.200", "fd00::6"]
    return made


def worker_policy() -> WorkerPolicy:
    """As the supervisor hands it over."""
    made = load_documents([Document("a.json", json.dumps(overlapping()).encode())])
    policy = compile_policy(made.model)
    numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
    built = WorkerPolicy.build(1, policy, numbers, SETTINGS, (1, 2, 3))
    return WorkerPolicy.from_bytes(built.to_bytes())


def with_classes(
    policy: WorkerPolicy, starts: list[int], classes: list[int], generation: int = 2
) -> WorkerPolicy:
    """The same with others of IPv4 addresses."""
    addresses = {**policy.address_classes, 4: (starts, classes)}
    return replace(policy, generation=generation, address_classes=addresses)


def refined(policy: WorkerPolicy, *ranges: tuple[int, int]) -> WorkerPolicy:
    """The same where the ranges are told apart, too."""
    known = policy.address_classes[4]
    starts, classes = refine_steps(known, ranges, LAST + 1)
    return with_classes(policy, list(starts), list(classes), policy.generation + 1)


def anew(policy: WorkerPolicy, draw: random.Random) -> WorkerPolicy:
    """The same with other numbers of classes, of which some are no one's."""
    starts, classes = policy.address_classes[4]
    used = sorted({*classes})
    numbers = dict(zip(used, draw.sample(range(len(used) + 5), len(used)), strict=True))
    return with_classes(policy, list(starts), [numbers[each] for each in classes])


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedCounters]:
    """Empty; pages are taken over as where classes are many."""
    monkeypatch.setattr(paged_ends, "_FEW_CLASSES", 0)
    monkeypatch.setattr(paged_ends, "_room_for", lambda classes: classes + 25)
    made = SharedCounters.create(LAYOUT.capacity)
    yield made
    made.close()


def check(found: Lookups, counters: SharedCounters) -> None:
    """By the definition, at every start and where interfaces are."""
    policy = found.policy
    endpoint_map = policy.policy.endpoint_map
    starts, classes = policy.address_classes[4]
    assert len(found.judges) == max(classes) + 1
    assert starts[-1] == LAST + 1  # where nobody is
    starts, classes = starts[:-1], classes[:-1]
    for start, number in zip(starts, classes, strict=True):
        value = endpoint_map.by_address(4, start)
        expected: Judges | None = Judges((), ())
        if value <= AMBIGUOUS:
            expected = None
        elif value != NOT_DECLARED:
            endpoint = endpoint_map.endpoints[value]
            expected = Judges(endpoint.outbound, endpoint.inbound)
        assert found.judges[number] == expected
    made = make_lookups(policy, counters)
    for address in {*starts, *(start - 1 for start in starts if start), LAST}:
        for ends in (found.nics.ends_v4, made.nics.ends_v4):
            assert (
                ends.find_class(address)
                == classes[max(place for place, start in enumerate(starts) if start <= address)]
            )
        slot = made.nics.ends_v4.find_slot(address)
        assert found.nics.ends_v4.find_slot(address) == slot
        assert slot == {N + 4: 1, N + (1 << 16) + 5: 2, N + 200: 3}.get(address, 0)


def test_the_policy_has_what_is_to_be_tested(counters: SharedCounters) -> None:
    """Addresses of a group, of nobody, and of one network or the other."""
    found = make_lookups(worker_policy(), counters)
    check(found, counters)
    assert {None, Judges((), ())} < {*found.judges}


@pytest.mark.parametrize("seed", range(6))
def test_a_series_of_changes(seed: int, counters: SharedCounters) -> None:
    """New classes of addresses inside and outside of what is declared, and classes made anew."""
    draw = random.Random(seed)
    policy = worker_policy()
    found = make_lookups(policy, counters)
    near = [
        N - 1,
        N,
        N + 4,
        N + 63,
        N + 64,
        N + 70,
        N + 127,
        N + 128,
        N + 255,
        N + 65535,
        N + 65536,
        N + 65541,
        0,
        LAST,
    ]
    for _ in range(10):
        if draw.random() < 0.4:
            policy = anew(policy, draw)
        else:
            ends = sorted(draw.sample([*near, draw.randrange(LAST), draw.randrange(N, N + 256)], 4))
            policy = refined(policy, (ends[0], ends[1]), (ends[2], ends[3]))
        found = make_lookups(policy, counters, found)
        check(found, counters)


def test_only_what_differs_is_asked(
    counters: SharedCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither whose the other addresses are nor what slots they have; the pages are the same."""
    policy = worker_policy()
    before = make_lookups(policy, counters)
    asked: list[int] = []
    judges_of = worker_lookups._judges_of

    def noted(endpoint_map: EndpointMap, address: int) -> Judges | None:
        asked.append(address)
        return judges_of(endpoint_map, address)

    monkeypatch.setattr(worker_lookups, "_judges_of", noted)
    monkeypatch.setattr(paged_ends.PagedEnds, "__init__", None)
    monkeypatch.setattr(nic_counts.NicCounts, "__init__", None)
    low = N + (1 << 16) + 3
    after = make_lookups(refined(policy, (low, low + 9)), counters, before)
    # The interface at low + 2 was of a class of its own before.
    assert asked == [low, low + 3]
    now, then = after.nics.ends_v4, before.nics.ends_v4
    page = N >> 16
    assert now.pages[now.top[page]] is then.pages[then.top[page]]
    assert now.pages[now.top[page + 1]] is not then.pages[then.top[page + 1]]
    assert (now.find_slot(low + 2), then.find_slot(low + 2)) == (2, 2)
    # What no address tells apart leaves all as it is.
    starts, classes = after.policy.address_classes[4]
    again = with_classes(after.policy, list(starts), list(classes))
    same = make_lookups(again, counters, after)
    assert asked == [low, low + 3]
    assert same.nics.ends_v4.pages == now.pages
    assert same.judges == after.judges


@pytest.mark.parametrize("change", ["endpoint map", "slots", "slots alone", "roles", "steps"])
def test_made_anew(change: str, counters: SharedCounters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something else is another one, too, or too much is."""
    policy = worker_policy()
    before = make_lookups(policy, counters)
    made = refined(policy, (N + 3, N + 9))
    if change == "endpoint map":
        other = copy.deepcopy(policy.policy.endpoint_map)
        made = replace(made, policy=replace(made.policy, endpoint_map=other))
    elif change == "slots":
        made = replace(made, nic_slots=(3, 1, 2))
    elif change == "slots alone":
        made = replace(policy, nic_slots=(3, 1, 2))
    elif change == "roles":
        made = replace(made, is_host_only=True)
    else:
        monkeypatch.setattr(worker_lookups, "_MOST_STEPS", 0)
    after = make_lookups(made, counters, before)
    assert after.nics is not before.nics
    assert not {*map(id, pages(after))} & {*map(id, pages(before))}
    assert after.nics.ends_v4.find_slot(N + 4) == (3 if "slots" in change else 1)
    assert after.judges == make_lookups(made, counters).judges


def pages(found: Lookups) -> list[paged_ends.Page]:
    """Those that are not all alike."""
    ends = found.nics.ends_v4
    return [*ends.pages[ends.first_page :]]


class Kept(list[int]):
    """A list that can be told to be gone."""


@pytest.mark.parametrize("most_dense", [0, 64])
def test_nothing_of_the_first_policy_stays(
    most_dense: int, counters: SharedCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But what is the same in the last one."""
    monkeypatch.setattr(paged_ends, "_MOST_DENSE_PAGES", most_dense)
    policy = worker_policy()
    starts, classes = map(Kept, policy.address_classes[4])
    found = make_lookups(with_classes(policy, starts, classes), counters)
    # A page that never differs is the same to the last.
    ends = found.nics.ends_v4
    kept = ends.pages[ends.top[(N >> 16) + 1]]
    gone = [weakref.ref(each) for each in (starts, classes, found.nics, ends)]
    del starts, classes, ends
    for number in range(10):
        next_ = refined(found.policy, (N + 20 + number, N + 20 + number))
        found = make_lookups(next_, counters, found)
    gc.collect()
    assert [each() for each in gone] == [None] * 4
    assert any(page is kept for page in pages(found))
    check(found, counters)
