"""What each place where nsgd tells of flows says, in common words.

Nothing is worked out here: names are brought together, and numbers are added where a place has
several for one rule.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.dashboards.server import Prometheus
from tests.flowlog.independent_reader import flows_below
from tests.kernel.account.capture import End
from tests.kernel.account.conntrack import Counts
from tests.kernel.account.plan import Rule
from tests.kernel.network import Network

DIRECTIONS = {"I": "Inbound", "O": "Outbound"}
_PROTOCOLS = {"Tcp": 6, "Udp": 17}


@dataclass(slots=True)
class Account:
    """Of all rules; what has nothing to say of a rule that never had anything leaves it out."""

    hits: Counter[Rule] = field(default_factory=Counter)
    traffic: dict[Rule, tuple[int, int]] = field(default_factory=dict)  # packets and bytes


def _named(row: Mapping[str, Any]) -> Rule:
    return row["networkSecurityGroup"] or "", row["direction"], row["rule"]


def _account(hits: Iterable[tuple[Rule, int]], traffic: Iterable[tuple[Rule, int, int]]) -> Account:
    return Account(
        Counter({rule: count for rule, count in hits if count}),
        {rule: (packets, octets) for rule, packets, octets in traffic if packets or octets},
    )


def of_status(status: Mapping[str, Any]) -> Account:
    """``nsgd status -o json``."""
    return _account(
        ((_named(row), row["hits"]) for row in status["ruleHits"]),
        ((_named(r), r["packets"], r["bytes"]) for r in status["flowLog"]["ruleTraffic"]),
    )


def of_top(top: Mapping[str, Any]) -> Account:
    """``nsgd top --once -o json``."""
    rows = top["rules"]
    return _account(
        ((_named(row), row["hits"]) for row in rows),
        ((_named(row), row["packets"] or 0, row["bytes"] or 0) for row in rows),
    )


def of_prometheus(server: Prometheus) -> Account:
    """The series of rules, as Prometheus has them."""
    packets, octets = (series(server, f"nsgd_rule_{name}_total") for name in ("packets", "bytes"))
    assert packets.keys() == octets.keys()
    return _account(
        ((rule_of(key), count) for key, count in series(server, "nsgd_rule_hits_total").items()),
        ((rule_of(key), count, octets[key]) for key, count in packets.items()),
    )


def rule_of(key: frozenset[tuple[str, str]]) -> Rule:
    """The rule that labels name."""
    labels = dict(key)
    return labels["nsg"], labels["direction"], labels["rule"]


def series(server: Prometheus, name: str) -> dict[frozenset[tuple[str, str]], int]:
    """Values by labels, those of the scrape apart; a fraction fails the test."""
    found = {}
    for each in server.query(name):
        labels = {k: v for k, v in each["metric"].items() if k not in _OF_SCRAPE}
        found[frozenset(labels.items())] = int(each["value"][1])
    return found


_OF_SCRAPE = ("__name__", "job", "instance")


def open_flows(rows: Iterable[Mapping[str, Any]]) -> dict[End, tuple[Counts, tuple[Rule, ...]]]:
    """``nsgd flows -o json``: counts, and the rules that a flow names."""
    found = {}
    for row in rows:
        sides = (
            (row[name]["networkSecurityGroup"] or "", name.capitalize(), row[name]["rule"])
            for name in ("outbound", "inbound")
            if row[name]["rule"] is not None
        )
        counts = row["packets"], row["bytes"], row["replyPackets"], row["replyBytes"]
        protocol = _PROTOCOLS.get(row["protocol"]) or (58 if ":" in row["source"] else 1)
        end = End(
            protocol,
            row["source"],
            row["sourcePort"] or 0,
            row["destination"],
            row["destinationPort"] or 0,
        )
        found[end] = counts, tuple(sides)
    return found


@dataclass(slots=True)
class Records:
    """The flow log's files."""

    account: Account  # hits are denials: records that say D
    states: dict[tuple[End, str], str]  # letters in order of time, by direction
    counts: dict[tuple[End, str], Counts]  # sums
    begun: Counter[Rule]  # records that say B, by the rule that they name


def of_log(directory: Path) -> Records:
    """By the independent reader."""
    made = Records(Account(), {}, {}, Counter())
    traffic = made.account.traffic
    for flow in sorted(flows_below(directory), key=lambda each: int(each["time_ms"])):
        direction = DIRECTIONS[flow["direction"]]
        rule = flow["group"], direction, flow["rule"].removeprefix("DefaultRule_")
        sent, sent_bytes, received, received_bytes = flow["counts"]
        is_ruled = bool(flow["group"])
        if flow["state"] == "D":
            made.account.hits[rule] += 1
        elif flow["state"] == "B":
            made.begun[rule] += is_ruled
        elif is_ruled:
            before = traffic.get(rule, (0, 0))
            traffic[rule] = (
                before[0] + sent + received,
                before[1] + sent_bytes + received_bytes,
            )
        end = End(
            flow["protocol"],
            flow["source"],
            flow["source_port"],
            flow["destination"],
            flow["destination_port"],
        )
        key = end, direction
        made.states[key] = made.states.get(key, "") + flow["state"]
        a, b, c, d = made.counts.get(key, (0, 0, 0, 0))
        made.counts[key] = a + sent, b + sent_bytes, c + received, d + received_bytes
    made.account.traffic = {rule: found for rule, found in traffic.items() if any(found)}
    return made


def of_command(directory: Path, net: Network) -> dict[Rule, tuple[int, int]]:
    """``nsgd flow-log read -o json``: packets and bytes of each rule."""
    read = net.gateway.run(net._nsgd("flow-log", "read", str(directory), "-o", "json"))
    found: dict[Rule, tuple[int, int]] = {}
    for record in json.loads(read.stdout):
        if record["networkSecurityGroup"] and record["state"] in "CE":
            name = record["rule"].removeprefix("DefaultRule_")
            rule = record["networkSecurityGroup"], record["direction"], name
            packets, octets = found.get(rule, (0, 0))
            found[rule] = (
                packets + record["packetsSent"] + record["packetsReceived"],
                octets + record["bytesSent"] + record["bytesReceived"],
            )
    return {rule: counts for rule, counts in found.items() if any(counts)}


def denied(rows: Iterable[Mapping[str, Any]]) -> Counter[Rule]:
    """``nsgd denials -o json``, and ``nsgd top``: how often each rule has denied."""
    found: Counter[Rule] = Counter()
    for row in rows:
        found[_named(row)] += row["times"]
    return found


def first_packets(status: Mapping[str, Any]) -> dict[tuple[str, str, str], int]:
    """By interface, direction and access, where there are some."""
    return {
        (row["name"], direction, access): count
        for row in status["networkInterfaces"]
        for direction in ("Inbound", "Outbound")
        for access in ("Allow", "Deny")
        if (count := row[direction.lower()][access.lower()])
    }
