"""What monitors are told, and that each of them costs a bounded amount."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nsgd.model.address import Address
from nsgd.model.packet import TCP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import ADOPTED, AUDIT_DENIED, NO_TABLE, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import DenialWriter
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.loop import Loop
from nsgd.runtime.monitors import MOST_MONITORS, MOST_WAITING, Monitor, Monitors
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.recent_denials import RecentDenials
from nsgd.runtime.told_denials import ToldDenials
from nsgd.wire.flow_events import FlowSeen
from tests.runtime.test_recent_denials import POLICY

INBOUND, OUTBOUND = Direction.INBOUND, Direction.OUTBOUND


class Events:
    """The kernel's, as the test says."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bool, FlowSeen]] = []
        self.lost = 0
        self.closed = 0
        self.refusal: RefusedByKernel | None = None

    def read(self, most: int) -> Sequence[tuple[bool, FlowSeen]]:
        if self.refusal is not None:
            raise self.refusal
        found, self.waiting = self.waiting[:most], self.waiting[most:]
        return found

    def close(self) -> None:
        self.closed += 1


class Setting:
    """Monitors, what they hear from, and a clock that stands still."""

    def __init__(self, loaded: LoadedPolicy, counters: SharedCounters) -> None:
        self.loaded = loaded
        self.counters = counters
        self.told = ToldDenials(Loop(), lambda group: None)
        self.recent = RecentDenials([counters], self.told)
        self.worker = DenialWriter(counters, is_limited=True)
        self.opened: list[Events] = []
        self.untold = 0
        self.fed = 0
        self.monitors = Monitors(
            Loop(), lambda: loaded, self.recent, self._open, lambda: self.untold, self._feed
        )

    def _open(self) -> Events:
        self.opened.append(Events())
        return self.opened[-1]

    def _feed(self) -> None:
        self.fed += 1

    def step(self) -> None:
        """As the loop does, when the time has come."""
        self.monitors._next_step_s = self.monitors._next_count_s = 0.0
        self.monitors.tend()

    def deny(self, port: int, direction: Direction = INBOUND, rule: str = "DenyAllInBound") -> None:
        """As the worker does."""
        number = self.loaded.numbers.by_direction[direction]["Web", rule, Access.DENY]
        if self.worker.wants(direction, number):
            self.worker.write(header(port), direction, number)

    def begin(self, port: int, outbound: int, inbound: int, *, ended: bool = False) -> None:
        """As the kernel does."""
        layout = MarkLayout(self.loaded.settings.mark_mask)
        mark = layout.outbound(outbound) | layout.inbound(inbound)
        seen = FlowSeen(b"", 1, header(port), mark, None, 1_700_000_000_123, 0)
        self.opened[-1].waiting.append((ended, seen))

    def allowed_by(self, rule: str) -> int:
        """The number of an inbound rule."""
        return self.loaded.numbers.by_direction[INBOUND]["Web", rule, Access.ALLOW]


def header(port: int) -> PacketHeader:
    """A packet to the server."""
    ends = Address.parse("203.0.113.7").value, Address.parse("10.0.1.4").value
    return PacketHeader(4, TCP, *ends, 40000, port, False)


def ports(monitor: Monitor) -> list[int]:
    """Of everything that waits."""
    found: list[int] = []
    while (part := monitor.take()) is not None and part["decisions"]:
        found += [each["destinationPort"] for each in part["decisions"]]
    return found


def counts(monitor: Monitor) -> dict[str, int]:
    """Of the next part."""
    part = monitor.take() or {}
    return {name: part[name] for name in ("lost", "suppressed", "missed") if part.get(name)}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    """A server behind a group."""
    path: Path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(POLICY)
    return load_policy([path], DecisionNumbers(), None)


@pytest.fixture
def setting(loaded: LoadedPolicy) -> Iterator[Setting]:
    """Nobody listens yet."""
    counters = SharedCounters.create(64)
    yield Setting(loaded, counters)
    counters.close()


def test_what_was_before_is_not_told(setting: Setting) -> None:
    """Neither denials that nobody had read, nor what was suppressed."""
    setting.deny(1)
    setting.untold = 7
    first = setting.monitors.attach({})
    setting.deny(2)
    setting.untold = 9
    second = setting.monitors.attach({})
    setting.deny(3)
    setting.untold = 10
    setting.step()
    assert counts(first) == {"suppressed": 3}
    assert counts(second) == {"suppressed": 1}
    setting.deny(4)
    setting.step()
    assert (ports(first), ports(second)) == ([4], [4])


def test_an_allowed_flow(setting: Setting) -> None:
    """Both sides, each with its rule or the reason why it has none."""
    monitor = setting.monitors.attach({})
    setting.begin(80, NO_TABLE, setting.allowed_by("AllowVnetInBound"))
    setting.begin(81, ADOPTED, ADOPTED)
    setting.step()
    part = monitor.take()
    assert part is not None
    ruled, adopted = part["decisions"]
    assert (ruled["access"], ruled["time"]) == ("Allow", "2023-11-14T22:13:20.123Z")
    assert (ruled["outbound"]["reason"], ruled["inbound"]["rule"]) == (
        "noNetworkSecurityGroup",
        "AllowVnetInBound",
    )
    assert adopted["inbound"] == {
        "networkSecurityGroup": None,
        "rule": None,
        "access": "Allow",
        "reason": "adopted",
    }


def test_what_is_no_decision_of_ours(setting: Setting) -> None:
    """Ends of flows, flows without our mark, and those of audit mode, which are told as denials."""
    monitor = setting.monitors.attach({})
    setting.begin(1, NO_TABLE, NO_TABLE, ended=True)
    setting.begin(2, 0, 0)
    setting.begin(3, NO_TABLE, AUDIT_DENIED)
    denied = setting.loaded.numbers.by_direction[INBOUND]["Web", "DenyAllInBound", Access.DENY]
    setting.begin(4, NO_TABLE, denied)
    setting.step()
    assert ports(monitor) == []


def test_denials_without_a_rule(setting: Setting) -> None:
    """An ambiguous network has a number and no rule."""
    monitor = setting.monitors.attach({})
    setting.worker.write(header(5), INBOUND, AUDIT_DENIED)
    setting.step()
    part = monitor.take()
    assert part is not None
    assert part["decisions"][0]["inbound"]["reason"] == "noRule"


def test_filters(setting: Setting) -> None:
    """All must hold; a wrong one is refused."""
    asked: list[dict[str, Any]] = [
        {"rule": "denyallinbound"},
        {"access": "Deny", "port": 2},
        {"access": "allow"},
        {"nic": "Server", "direction": "Outbound"},
        {"source": "192.0.2.0/24"},
    ]
    found = [setting.monitors.attach(each) for each in asked]
    for port in (1, 2):
        setting.deny(port)
    setting.deny(25, OUTBOUND, "DenyOut")
    setting.begin(80, NO_TABLE, setting.allowed_by("AllowVnetInBound"))
    setting.step()
    assert [ports(each) for each in found] == [[1, 2], [2], [80], [25], []]
    for wrong in ({"access": "maybe"}, {"port": 70000}, {"source": "x"}):
        with pytest.raises(UsageRefused):
            setting.monitors.attach(wrong)


def test_the_kernel_tells_while_somebody_wants_to_hear(setting: Setting) -> None:
    """Of new flows, where not only denials are wanted; the worker of all, for any monitor."""
    denials = setting.monitors.attach({"access": "Deny"})
    assert not setting.opened
    assert setting.counters.cells[cell.DENIALS_ALL] == 1
    both = [setting.monitors.attach({}) for _ in range(2)]
    (events,) = setting.opened
    both[0].close()
    assert events.closed == 0
    both[1].close()
    assert events.closed == 1
    denials.close()
    assert setting.counters.cells[cell.DENIALS_ALL] == 0
    setting.step()
    assert setting.fed == 0


def test_a_worker_tells_all_while_there_is_a_monitor(setting: Setting) -> None:
    """Its limits hold again when the last has left."""
    monitor = setting.monitors.attach({"access": "Deny"})
    for port in range(100):
        setting.deny(port)
    setting.step()
    assert ports(monitor) == list(range(100))
    monitor.close()
    for port in range(100):
        setting.deny(port)
    assert setting.counters.cells[cell.DENIALS_UNTOLD] == 90


def test_a_slow_reader_loses_the_oldest(setting: Setting) -> None:
    """And hears how many ahead of what is left; another loses nothing."""
    slow, quick = setting.monitors.attach({}), setting.monitors.attach({})
    heard: list[int] = []
    for port in range(MOST_WAITING + 30):
        setting.begin(port, NO_TABLE, NO_TABLE)
    while setting.opened[0].waiting:
        setting.step()
        heard += ports(quick)
    assert heard == list(range(MOST_WAITING + 30))
    part = slow.take()
    assert part is not None
    assert part["lost"] == 30
    assert part["decisions"][0]["destinationPort"] == 30
    assert len(part["decisions"]) < MOST_WAITING
    assert ports(slow)[-1] == MOST_WAITING + 29


def test_what_was_not_heard_is_told(setting: Setting) -> None:
    """Events that the kernel had no room for, and only to those who want to hear of them."""
    both, denials = setting.monitors.attach({}), setting.monitors.attach({"access": "Deny"})
    setting.opened[0].lost = 12
    setting.step()
    assert counts(both) == {"missed": 12}
    assert counts(denials) == {}


def test_a_step_is_bounded(setting: Setting) -> None:
    """However much has come, the loop goes on."""
    monitor = setting.monitors.attach({})
    for port in range(2000):
        setting.begin(port, NO_TABLE, NO_TABLE)
    setting.step()
    assert 0 < len(ports(monitor)) < 2000


def test_only_so_many(setting: Setting) -> None:
    """The place of one that has left is free."""
    found = [setting.monitors.attach({}) for _ in range(MOST_MONITORS)]
    with pytest.raises(RefusedByKernel, match="8 monitors already"):
        setting.monitors.attach({})
    found[3].close()
    setting.monitors.attach({})


def test_events_that_fail(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    """Denials go on, and the next monitor asks the kernel again."""
    monitor = setting.monitors.attach({})
    setting.opened[0].refusal = RefusedByKernel("no more")
    setting.step()
    assert "no new flows: no more" in caplog.text
    setting.deny(1)
    setting.step()
    assert ports(monitor) == [1]
    setting.monitors.attach({})
    assert len(setting.opened) == 2


def test_a_part_comes_each_second(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing happens: the client sees that the daemon lives."""
    now_s = 100.0
    monkeypatch.setattr("nsgd.runtime.monitors.time.monotonic", lambda: now_s)
    monitor = setting.monitors.attach({})
    assert monitor.take() is not None
    assert monitor.take() is None
    now_s += 1
    part = monitor.take()
    assert part is not None
    assert part["decisions"] == []
