"""The table shows each probe once, and a row matches only by what the wire showed."""

from __future__ import annotations

from collections import Counter

import pytest

from nsgd.lab.prediction import counted_hits, decided_by, hit_differences, predicted_hits
from nsgd.lab.report import Row, format_counters, format_rows, rows_as_json
from nsgd.lab.topology import LabHost
from nsgd.lab.traffic import Observation, Observed, Probe, Service, all_probes
from nsgd.model.address import Address
from nsgd.model.decision import Decision, Reason, TableDecision
from nsgd.model.rule import Access, Direction, Protocol

HTTP = Service("http", Protocol.TCP, 80)
PING = Service("ping", Protocol.ICMP)
A = LabHost("a", (Address.parse("10.0.0.4"), Address.parse("fd00::4")))
B = LabHost("b", (Address.parse("10.0.0.5"), Address.parse("fd00::5")))
FOUR = LabHost("four", (Address.parse("10.0.0.6"),))
OUTBOUND = TableDecision("web", Direction.OUTBOUND, "AllowVnetOutBound", Access.ALLOW)
INBOUND = TableDecision("data", Direction.INBOUND, "DenySql", Access.DENY)
DENIED = Decision(Access.DENY, Reason.RULE, (OUTBOUND, INBOUND))


def row(observed: Observed, expected: Access, version: int = 4, detail: str = "") -> Row:
    probe = Probe(A, B, HTTP, 4 if version == 4 else 6)
    return Row(Observation(probe, observed, detail, 40000), expected, "web Inbound Rule")


@pytest.mark.parametrize("observed", Observed)
@pytest.mark.parametrize("expected", Access)
def test_only_an_answer_is_allow_and_only_silence_is_deny(
    observed: Observed, expected: Access
) -> None:
    """A packet that came through without its answer is neither."""
    matches = {(Observed.ANSWERED, Access.ALLOW), (Observed.NO_ANSWER, Access.DENY)}
    assert row(observed, expected).is_match == ((observed, expected) in matches)


def test_families_that_say_the_same_share_a_line() -> None:
    """And those that differ do not."""
    same = [row(Observed.ANSWERED, Access.ALLOW, version) for version in (4, 6)]
    assert len(format_rows(same).splitlines()) == 2
    assert " 4+6 " in format_rows(same)
    other = [same[0], row(Observed.REFUSED, Access.ALLOW, 6, "by someone")]
    lines = format_rows(other).splitlines()
    assert len(lines) == 3
    assert "refused (by someone)" in lines[2]
    assert lines[2].endswith("MISMATCH")


def test_only_failures() -> None:
    """The table has the mismatches alone, and says so where there is none."""
    good, bad = row(Observed.ANSWERED, Access.ALLOW), row(Observed.ANSWERED, Access.DENY)
    assert len(format_rows([good, bad], only_failures=True).splitlines()) == 2
    assert format_rows([good], only_failures=True) == "no mismatch"
    assert [entry["isMatch"] for entry in rows_as_json([good, bad])] == [True, False]


def test_every_ordered_pair_is_probed_in_the_families_that_both_have() -> None:
    """No host to itself, no family that one of the two lacks."""
    probes = all_probes([A, B, FOUR], [HTTP, PING, Service("dns", Protocol.UDP, 53, (6,))])
    seen = Counter((p.sender.name, p.receiver.name, p.service.name, p.version) for p in probes)
    assert set(seen.values()) == {1}
    assert len(probes) == 2 * 5 + 4 * 2
    assert ("a", "four", "http", 4) in seen
    assert ("a", "four", "http", 6) not in seen


@pytest.mark.parametrize(
    ("service", "version", "protocol", "ports"),
    [(HTTP, 4, 6, (40000, 80)), (PING, 4, 1, (0, 0)), (PING, 6, 58, (0, 0))],
)
def test_first_packet_of_a_probe(
    service: Service, version: int, protocol: int, ports: tuple[int, int]
) -> None:
    """An echo identifier is no port."""
    packet = Probe(A, B, service, 4 if version == 4 else 6).packet(40000)
    assert (packet.version, packet.protocol) == (version, protocol)
    assert (packet.source_port, packet.destination_port) == ports


def test_each_consulted_table_is_one_hit() -> None:
    """A denied probe counts in the group that allowed it first, too."""
    assert decided_by(DENIED) == "data Inbound DenySql"
    assert decided_by(Decision(None, Reason.UNMANAGED)) == "unmanaged"
    predicted = predicted_hits([DENIED, DENIED, Decision(Access.ALLOW, Reason.NO_NSG)])
    assert predicted == {
        ("web", "Outbound", "AllowVnetOutBound"): 2,
        ("data", "Inbound", "DenySql"): 2,
    }


def test_counters_are_compared_both_ways() -> None:
    """Too few, too many and not expected at all are differences; a zero is none."""
    entry = {"networkSecurityGroup": "web", "direction": "Outbound", "access": "Allow"}
    status = {
        "ruleHits": [
            entry | {"rule": "AllowVnetOutBound", "hits": 1},
            entry | {"rule": "AllowInternetOutBound", "hits": 3},
            entry | {"rule": "DenyAllOutBound", "hits": 0},
        ],
        "flows": [{"direction": "Outbound", "access": "Allow", "reason": "rule", "flows": 4}],
        "queue": {"number": 9480, "length": 0},
        "packets": {"queued": 4, "denied": {"spoofed": 2, "invalid": 0}},
    }
    predicted = predicted_hits([DENIED, DENIED])
    assert hit_differences(predicted, counted_hits(status)) == [
        "data Inbound DenySql: 0 hits counted, 2 expected",
        "web Outbound AllowInternetOutBound: 3 hits counted, 0 expected",
        "web Outbound AllowVnetOutBound: 1 hits counted, 2 expected",
    ]
    text = format_counters(status)
    assert "AllowInternetOutBound" in text
    assert "DenyAllOutBound" not in text
    assert text.endswith("packets: queued 4, denied.spoofed 2\n\nqueue: number 9480")
