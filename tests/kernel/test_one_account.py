"""One run of a lab, of which every place that tells of it tells the same numbers, to the last.

What was sent is counted by the test itself and on the links of the hosts. Compared with that are
conntrack, read by its own program; the series that Debian's Prometheus has scraped; the flow log's
files, read by the independent reader and by the command; ``nsgd top``, ``status``, ``flows`` and
``denials``; and the web page, as Chromium shows it.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.server import Prometheus, prometheus
from tests.kernel.account import conntrack, plan, sources
from tests.kernel.account.capture import Capture, End
from tests.kernel.account.conntrack import Counts
from tests.kernel.account.page import PageReader
from tests.kernel.account.plan import NICS, Rule
from tests.kernel.account.sources import Account
from tests.kernel.account.traffic import Flow, Traffic
from tests.kernel.documents import INTERNET_V4, INTERNET_V6, nic_addresses
from tests.web.chromium import browser
from tests.web.live import WithPage, with_page

_PATIENCE_S = 15.0
_LATE = (1, 77 + 48)  # the packets and bytes of an answer to a flow that has been cut
_NAMES = {6: "Tcp", 17: "Udp", 1: "Icmp", 58: "Icmp"}


def add(first: tuple[int, ...], second: tuple[int, ...]) -> Any:
    """Number by number."""
    return tuple(map(sum, zip(first, second, strict=True)))


def agree(read: Callable[[], Any], expected: Any, name: str) -> None:
    """Wait until what is read is what is expected."""
    deadline = time.monotonic() + _PATIENCE_S
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == expected, name


class Laboratory:
    """The gateway, who watches it, and what has been sent so far."""

    def __init__(self, net: WithPage, server: Prometheus, page: PageReader) -> None:
        self.net, self.server, self.page = net, server, page
        self.log = net.directory / "log"
        self.traffic = Traffic(net)
        self.rounds = 0  # in which all that is planned was sent
        self.carried: dict[Rule, tuple[int, int]] = {}  # by the rules that records name
        self.counts: dict[End, Counts] = {}
        self.logged: set[tuple[End, str]] = set()  # flows, and the directions of their rules

    def asked(self, *arguments: str) -> Any:
        """What a verb prints as JSON."""
        answer = self.net.nsgd(*arguments, "-o", "json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def expected(self, planned: Counter[Any]) -> Counter[Any]:
        """What is planned for a round, of all rounds."""
        return Counter({key: count * self.rounds for key, count in planned.items()})

    def round(self, path: Path) -> None:
        """Send all that is planned, look while it is open, cut a flow, and let the rest end."""
        self.rounds += 1
        ends = conntrack.Ends(self.net, path)
        with Capture(self.net.hosts.values()) as capture:
            flows = self.traffic.open(plan.KINDS)
            opened = {flow.end: flow for flow in flows if not flow.kind.is_denied}
            agree(lambda: self.net.denied("rule"), self.denied(), "denied packets")
            counts = self.settled(capture, opened.values())
            check_what_was_sent(capture, flows)
            check_open_flows(self, opened, counts)
            (cut,) = (flow for flow in flows if flow.kind is plan.CUT)
            self.cut(cut, capture)
            for flow in flows:
                flow.close()
            rest = [flow for flow in opened.values() if flow is not cut]
            counts = self.settled(capture, rest, cut)
            counts[cut.end] = plan.CUT.traffic()
            conntrack.end_all(self.net)
            # conntrack counts what is dropped, too.
            final = counts | {cut.end: add(counts[cut.end], (0, 0, *_LATE))}
            agree(lambda: conntrack.of_lab(ends.heard(), opened), final, "ends of conntrack")
            assert capture.dropped() == 0
        ends.close()
        self.add(opened.values(), counts)

    def denied(self) -> int:
        """Packets that rules must have denied."""
        return self.expected(plan.denials()).total()

    def settled(
        self, capture: Capture, flows: Iterable[Flow], cut: Flow | None = None
    ) -> dict[End, Counts]:
        """What the links of both ends, and conntrack, have of flows, once nothing is under way."""
        hosts = {flow.end: (flow.kind.source, flow.kind.destination) for flow in flows}
        others = set() if cut is None else {cut.end}

        def read() -> list[dict[End, Counts]]:
            listed = conntrack.of_lab(conntrack.listed(self.net), hosts.keys() | others)
            links = (
                {
                    end: (*capture.count(ends[at], end), *capture.count(ends[at], end.reversed()))
                    for end, ends in hosts.items()
                }
                for at in (0, 1)
            )
            return [{end: listed[end] for end in listed if end in hosts}, *links]

        deadline = time.monotonic() + _PATIENCE_S
        found = read()
        while not found[0] == found[1] == found[2] and time.monotonic() < deadline:
            time.sleep(0.1)
            found = read()
        assert found[0] == found[1] == found[2]
        return found[0]

    def cut(self, flow: Flow, capture: Capture) -> None:
        """Cut a flow: its records are whole at once, and what comes then is in none."""
        to = ("--source", flow.end.source, "--port", str(flow.end.destination_port))
        assert self.asked("flows", "cut", *to) == {"cut": 1}
        key = flow.end, "Inbound"

        def records() -> tuple[bool, Counts]:
            found = sources.of_log(self.log)
            return re.fullmatch("BC*E", found.states[key]) is not None, found.counts[key]

        agree(records, (True, plan.CUT.traffic()), "records of a flow that was cut")
        self.traffic.answer(flow, _LATE[1] - 48)
        agree(lambda: self.net.denied("cut"), self.rounds, "packets of a flow that was cut")
        answer = flow.end.reversed()
        agree(lambda: capture.count("web1", answer), add(flow.kind.traffic()[2:], _LATE), "sent")
        assert capture.count("internet", answer) == flow.kind.traffic()[2:]

    def add(self, opened: Iterable[Flow], counts: dict[End, Counts]) -> None:
        """Add a round's flows to what has been carried."""
        for flow in opened:
            sent, sent_bytes, answers, answered_bytes = found = counts[flow.end]
            both = sent + answers, sent_bytes + answered_bytes
            # Echoes of all rounds have the same ends.
            self.counts[flow.end] = add(self.counts.get(flow.end, (0, 0, 0, 0)), found)
            for rule in flow.kind.named:
                self.carried[rule] = add(self.carried.get(rule, (0, 0)), both)
                self.logged.add((flow.end, rule[1]))


def check_what_was_sent(capture: Capture, flows: Iterable[Flow]) -> None:
    """On the links is what was given to the sockets."""
    for flow in flows:
        sent = capture.count(flow.kind.source, flow.end)
        if flow.kind.is_denied:
            assert sent[0] == 1, flow
            assert capture.count(flow.kind.destination, flow.end) == (0, 0), flow
        elif flow.kind.protocol == "tcp":
            # Segments are the kernel's to make; they have the bytes, and a header of 32 at least.
            payload = sum(size for size, _ in flow.kind.rounds)
            assert sent[1] >= payload + sent[0] * 52, flow
        else:
            answers = capture.count(flow.kind.source, flow.end.reversed())
            assert (*sent, *answers) == flow.kind.traffic(), flow


def check_open_flows(lab: Laboratory, opened: dict[End, Flow], counts: dict[End, Counts]) -> None:
    """While flows are open: the command, the page, the log so far, and how many by rule."""
    expected = {end: (counts[end], flow.kind.named) for end, flow in opened.items()}
    assert sources.open_flows(lab.asked("flows")) == expected
    assert lab.page.open_flows() == {
        (_with_port(end, 0), _with_port(end, 1), _NAMES[end.protocol]): counts[end]
        for end in opened
    }
    by_rule = Counter(rule for flow in opened.values() for rule in flow.kind.named)
    agree(
        lambda: {
            sources.rule_of(key): count
            for key, count in sources.series(lab.server, "nsgd_rule_open_flows").items()
        },
        by_rule,
        "open flows by rule",
    )
    (entries,) = sources.series(lab.server, "nsgd_open_flows").values()
    assert entries == len(opened)
    carried = {
        (end, rule[1]): counts[end] for end, flow in opened.items() for rule in flow.kind.named
    }
    before = {key: lab.counts.get(key[0], (0, 0, 0, 0)) for key in carried}

    def logged() -> dict[tuple[End, str], Counts]:
        found = sources.of_log(lab.log).counts
        return {key: found.get(key, (0, 0, 0, 0)) for key in carried}

    agree(logged, {k: add(before[k], c) for k, c in carried.items()}, "the log of open flows")


def _with_port(end: End, which: int) -> str:
    address = (end.source, end.destination)[which]
    port = (end.source_port, end.destination_port)[which]
    if end.protocol not in (6, 17):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def check_all(lab: Laboratory) -> None:
    """Everything of all rounds, once all flows have ended."""
    net = lab.net
    account = Account(lab.expected(plan.hits()), lab.carried)
    agree(lambda: sources.of_status(net.status()), account, "status")
    agree(lambda: sources.of_prometheus(lab.server), account, "Prometheus")
    top = lab.asked("top", "--once", "--interval", "0.5")
    assert sources.of_top(top) == account
    assert lab.page.account() == account
    check_the_log(lab)
    check_denials(lab, top)
    check_first_packets(lab)
    status = net.status()
    assert (status["flowLog"]["eventsLost"], status["flowLog"]["endedUnseen"]) == (0, 0)
    assert status["kernelDenials"]["untold"] == top["denialsNotTold"] == 0


def check_the_log(lab: Laboratory) -> None:
    """Each flow begins and ends once, and has conntrack's numbers; rules have their sums."""
    records = sources.of_log(lab.log)
    assert records.account == Account(lab.expected(plan.denials()), lab.carried)
    assert sources.of_command(lab.log, lab.net) == lab.carried
    counts = {key: found for key, found in records.counts.items() if "B" in records.states[key]}
    # An end without a group has records too.
    assert counts == {key: lab.counts[key[0]] for key in counts}
    assert counts.keys() >= lab.logged
    for key in counts:
        letters = "(BC*E)*" if key[0].protocol in (1, 58) else "BC*E"
        assert re.fullmatch(letters, records.states[key]), (key, records.states[key])
    begun = Counter(
        rule
        for kind in plan.KINDS
        if not kind.is_denied
        for rule in kind.named
        for _ in range(kind.flows)
    )
    assert records.begun == lab.expected(begun)


def check_denials(lab: Laboratory, top: Any) -> None:
    """By rule, as they are listed; and with all flows, as they are counted."""
    denials, outcomes = lab.expected(plan.denials()), lab.expected(plan.outcomes())
    assert sources.denied(lab.asked("denials")["denials"]) == denials
    assert sources.denied(top["denials"]) == denials
    without_direction = Counter({(group, "", rule): n for (group, _, rule), n in denials.items()})
    assert lab.page.denied() == without_direction
    flows = {
        tuple(dict(key)[name] for name in ("direction", "access", "reason")): count
        for key, count in sources.series(lab.server, "nsgd_flows_total").items()
        if count
    }
    assert flows == outcomes
    by_access = Counter[str]()
    for (_, access, _), count in outcomes.items():
        by_access[access] += count
    assert lab.page.flows() == by_access
    by_reason = sources.series(lab.server, "nsgd_denied_packets_total")
    found = {dict(key)["reason"]: count for key, count in by_reason.items() if count}
    assert found == {"rule": denials.total(), "cut": lab.rounds}
    assert set(sources.series(lab.server, "nsgd_cut_flows_total").values()) == {lab.rounds}


def check_first_packets(lab: Laboratory) -> None:
    """By network interface."""
    expected = lab.expected(plan.first_packets())
    found = sources.series(lab.server, "nsgd_nic_first_packets_total")
    assert {
        tuple(dict(key)[name] for name in ("nic", "direction", "access")): count
        for key, count in found.items()
        if count
    } == expected
    assert sources.first_packets(lab.net.status()) == expected
    assert lab.page.first_packets(tuple(NICS)) == expected


@pytest.fixture
def net() -> Iterator[WithPage]:
    """The hosts and the gateway."""
    with with_page(WithPage) as made:
        for name, place in NICS.items():
            made.host(name, *nic_addresses(*place))
        made.host("internet", INTERNET_V4, INTERNET_V6)
        # No flow ends before it is ended.
        made.gateway.sysctl(
            (f"net.netfilter.nf_conntrack_{name}", "600")
            for name in ("udp_timeout", "udp_timeout_stream", "icmp_timeout", "icmpv6_timeout")
        )
        yield made


def test_everything_tells_the_same_numbers(net: WithPage) -> None:
    """With one engine, and after a reload with the other: nothing that was counted is lost."""
    prometheus()
    engines = ("queue", "kernel") if net.engine == "queue" else ("kernel", "queue")
    directory = net.directory
    net.start(plan.policy(engines[0], str(directory / "log")))
    (port,) = re.findall(r"metrics at http://[^:]+:(\d+)/", net.log.read_text())
    server = Prometheus(net.gateway, directory / "prometheus")
    try:
        server.start(int(port))
        net.serve()
        with browser(net.gateway.popen) as tab:
            tab.look()
            lab = Laboratory(net, server, PageReader(tab))
            for engine in engines:
                if net.status()["engine"] != engine:
                    net.reload(plan.policy(engine, str(directory / "log")))
                lab.round(directory / f"{engine}.xml")
                check_all(lab)
            assert tab.console == []
    finally:
        server.close()
