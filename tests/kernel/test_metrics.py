"""What a running daemon exposes, counted against real packets: equal with both engines."""

from __future__ import annotations

import os
import re
import signal
import socket
import urllib.request
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from scapy.layers.inet import IP, TCP

from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network

Samples = Mapping[str, Mapping[tuple[str, ...], float]]
ENGINES = ("queue", "kernel")


def policy(**daemon: Any) -> dict[str, Any]:
    """A server behind a group, bound to its link; a client that is known by its addresses."""
    client = nic("client", "two", 4, 2, networkSecurityGroup="client")
    del client["link"]
    made = document(
        [subnet("one", 1, "web"), subnet("two", 2)],
        [nic("server", "one", 4, 1), client, nic("idle", "two", 5, 2)],
        {
            "web": [
                rule("Allow80", 200, "Inbound", "Allow", "Tcp", "80"),
                rule("Allow53", 300, "Inbound", "Allow", "Udp", "53"),
                rule("DenyRest", 400, "Inbound", "Deny"),
            ],
            "client": [rule("Deny26", 200, "Outbound", "Deny", "Udp", "26")],
        },
    )
    return made | {"daemon": daemon}


def start(net: Network, **daemon: Any) -> None:
    """The daemon with its hosts."""
    net.host("server", *nic_addresses(1, 4))
    net.host("client", *nic_addresses(2, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.start(policy(**daemon))


def scrape(net: Network) -> Samples:
    """Values by metric and by the values of its labels, in the order of their names."""
    port = re.findall(r"metrics at http://127.0.0.1:(\d+)/metrics", net.log.read_text())[-1]

    def get() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as got:
            return str(got.read().decode())

    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(net.gateway.call(get)):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def of_nics(samples: Samples) -> dict[tuple[str, str, str], int]:
    """First packets by interface, direction and access, those that are not zero."""
    return {
        (nic, direction, access): int(value)
        for (access, direction, nic), value in samples["nsgd_nic_first_packets_total"].items()
        if value
    }


def send_some(net: Network) -> None:
    """Flows of many kinds, some of which the kernel engine leaves to the worker."""
    for version in (4, 6):
        assert net.tcp("internet", "server", 80, version)
        assert net.udp("client", "server", 53, version)
        assert net.udp("server", "client", 1000, version)
        assert net.udp("server", "internet", 1001, version)
        server = net["server"].address(version)
        net["client"].bound(socket.SOCK_DGRAM, version=version).sendto(b"not in", (server, 54))
        net["client"].bound(socket.SOCK_DGRAM, version=version).sendto(b"not out", (server, 26))
    # The middle of a connection that nobody has seen before: for the worker, with either engine.
    net["internet"].send_raw(
        bytes(IP(src=INTERNET_V4, dst="10.0.1.4") / TCP(sport=5000, dport=80, flags="A"))
    )
    net.wait(lambda: net.status()["packets"]["midstream"] == 1, "not judged")
    net.wait(lambda: net.denied("rule") == 4, "not denied")


EXPECTED = {
    ("server", "Inbound", "Allow"): 5,
    ("server", "Inbound", "Deny"): 2,
    ("server", "Outbound", "Allow"): 4,
    ("client", "Outbound", "Allow"): 4,
    ("client", "Outbound", "Deny"): 2,
    ("client", "Inbound", "Allow"): 2,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_counted(net: Network, engine: str) -> None:
    """One daemon for all of it: to build a network takes longer than to count."""
    start(net, engine=engine)
    check_first_packets_by_interface(net, engine)
    check_fewer_series(net, engine)
    check_open_flows(net)
    check_engines_take_turns(net, engine)
    if engine == "queue":
        check_decision_times(net)


def check_first_packets_by_interface(net: Network, engine: str) -> None:
    """Each end of a flow in its direction; kept over reloads and the worker's death."""
    send_some(net)
    samples = scrape(net)
    assert of_nics(samples) == EXPECTED
    assert samples["nsgd_nic_first_packets_total"]["Allow", "Inbound", "idle"] == 0
    os.kill(net.status()["worker"]["pid"], signal.SIGKILL)
    net.wait(lambda: net.status()["worker"]["restarts"] == 1, "no other worker")
    net.wait(lambda: net.status()["queue"] is not None, "it does not serve")
    assert of_nics(scrape(net)) == EXPECTED
    changed = policy(engine=engine)
    del changed["networkInterfaces"][2]
    net.reload(changed)
    assert net.udp("client", "server", 53)
    samples = scrape(net)
    assert of_nics(samples) == EXPECTED | {
        ("server", "Inbound", "Allow"): 6,
        ("client", "Outbound", "Allow"): 5,
    }
    # Each rule has decided as often as its ends say, and each flow has ended as one of them.
    hits = samples["nsgd_rule_hits_total"]
    assert hits["Allow", "Inbound", "web", "Allow53"] == 3
    assert hits["Deny", "Inbound", "web", "DenyRest"] == 2
    assert hits["Deny", "Outbound", "client", "Deny26"] == 2
    flows = samples["nsgd_flows_total"]
    assert flows["Deny", "Outbound", "rule"] == 2
    assert flows["Deny", "Inbound", "rule"] == 2
    assert sum(flows.values()) == 14


def check_fewer_series(net: Network, engine: str) -> None:
    """By a reload, and back: what was not counted meanwhile stays uncounted."""
    net.reload(policy(engine=engine, metricsDetail="summary"))
    samples = scrape(net)
    per_rule = {name for name in samples if name.startswith(("nsgd_rule", "nsgd_nic"))}
    assert per_rule == set()
    assert samples["nsgd_flows_total"]["Deny", "Outbound", "rule"] == 2
    assert net.udp("client", "server", 53)
    net.reload(policy(engine=engine, metricsDetail="rules"))
    samples = scrape(net)
    assert samples["nsgd_rule_hits_total"]["Allow", "Inbound", "web", "Allow53"] == 4
    assert "nsgd_nic_first_packets_total" not in samples
    net.reload(policy(engine=engine))
    assert net.udp("client", "server", 53)
    of_client = of_nics(scrape(net))["client", "Outbound", "Allow"]
    # The kernel's counters are in the table all the time.
    assert of_client == (1 if engine == "queue" else 7)


def check_open_flows(net: Network) -> None:
    """By rule, as the table has them; and how full it is, as /proc says."""
    net.gateway.run(["conntrack", "-F"])
    for _ in range(3):
        assert net.udp("client", "server", 53)
    assert net.udp("server", "internet", 1001)

    def counted() -> bool:
        samples = scrape(net)
        return samples["nsgd_open_flows"][()] == 4 and samples["nsgd_rule_open_flows"] == {
            ("Allow", "Inbound", "web", "Allow53"): 3,
            ("Allow", "Outbound", "client", "AllowVnetOutBound"): 3,
            ("Allow", "Outbound", "web", "AllowInternetOutBound"): 1,
        }

    net.wait(counted, "the counts of open flows are not these", 15.0)
    samples = scrape(net)
    names = (f"/proc/sys/net/netfilter/nf_conntrack_{name}" for name in ("count", "max"))
    entries, limit = net.gateway.call(lambda: [int(Path(name).read_text()) for name in names])
    # With those of the scrapes.
    assert samples["nsgd_conntrack_entries"][()] == entries > 4
    assert samples["nsgd_conntrack_entries_limit"][()] == limit
    assert samples["nsgd_conntrack_dropped_total"][()] == 0
    assert net.status()["conntrack"]["limit"] == limit
    net.gateway.run(["conntrack", "-F"])
    net.wait(
        lambda: scrape(net)["nsgd_open_flows"][()] == 0, "flows that have ended are counted", 15.0
    )


def check_engines_take_turns(net: Network, engine: str) -> None:
    """By reloads: what either has counted stays, of interfaces as of rules."""
    (other,) = {*ENGINES} - {engine}
    names = ("nsgd_nic_first_packets_total", "nsgd_rule_hits_total", "nsgd_flows_total")
    for each in (other, engine, other, engine):
        before = scrape(net)
        net.reload(policy(engine=each))
        after = scrape(net)
        assert [after[name] for name in names] == [before[name] for name in names]
        assert net.udp("client", "server", 53)
        counted = of_nics(scrape(net))
        key = "client", "Outbound", "Allow"
        assert counted == {**of_nics(before), key: of_nics(before)[key] + 1} | {
            ("server", "Inbound", "Allow"): of_nics(before)["server", "Inbound", "Allow"] + 1
        }


def check_decision_times(net: Network) -> None:
    """One a tick of the worker, while there are packets: far fewer than are decided."""
    client = net["client"].bound(socket.SOCK_DGRAM)

    def timed() -> float:
        client.sendto(b"?", (net["server"].address(), 54))
        return scrape(net)["nsgd_decision_duration_seconds_count"][()]

    net.wait(lambda: timed() >= 2, "no decision is timed", 15.0)
    samples = scrape(net)
    buckets = samples["nsgd_decision_duration_seconds_bucket"]
    count = samples["nsgd_decision_duration_seconds_count"][()]
    assert buckets["+Inf",] == count < sum(samples["nsgd_verdicts_total"].values())
    assert list(buckets.values()) == sorted(buckets.values())
    # In seconds, as the bounds of the buckets are: each time is above the bound before its own.
    (*bounds, _), numbers = [float(bound) for (bound,) in buckets], list(buckets.values())
    least = sum(
        bound * (after - before)
        for bound, (before, after) in zip(bounds, pairwise(numbers), strict=True)
    )
    most = sum(
        bound * (after - before)
        for bound, (before, after) in zip(bounds, pairwise([0, *numbers[:-1]]), strict=True)
    )
    total = samples["nsgd_decision_duration_seconds_sum"][()]
    assert total > least
    assert total <= most or numbers[-1] > numbers[-2]
