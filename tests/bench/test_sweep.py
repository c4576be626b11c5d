"""What a sweep measures, and the curves of given measurements."""

from __future__ import annotations

from nsgd.bench.measure import Measurement
from nsgd.bench.policies import NICS, RULES, Size
from nsgd.bench.sweep import families, families_as_json, format_families, sweep_points

POINTS = sweep_points("mixed", [])


def test_every_number_is_measured() -> None:
    """Each contender with each number of rules and of NICs, none of them twice."""
    sizes = {Size(rules) for rules in RULES} | {Size(nics=nics) for nics in NICS}
    found = [(point.contender.name, point.size) for point in POINTS]
    assert len(set(found)) == len(found)
    for name in ("kernel-mixed", "queue-mixed", "linear-mixed"):
        assert {size for of_name, size in found if of_name == name} == sizes
    for name in ("one-rule", "bare"):
        assert {size for of_name, size in found if of_name == name} == {
            Size(nics=nics) for nics in NICS
        }


def test_linear_gets_what_it_can_keep_up_with() -> None:
    """More rules, fewer flows a second; the others get all."""
    shares = {
        (point.contender.name, point.size.rules): point.contender.rate_share for point in POINTS
    }
    of_linear = [shares["linear-mixed", rules] for rules in RULES]
    assert of_linear == sorted(set(of_linear), reverse=True)
    assert {share for (name, _), share in shares.items() if name != "linear-mixed"} == {1.0}


def test_some_contenders() -> None:
    """Words choose them as in other runs."""
    names = {point.contender.name for point in sweep_points("ports", ["linear", "bare"])}
    assert names == {"linear-ports", "bare"}
    assert sweep_points("ports", ["none"]) == []


def measured(*values: float | None) -> list[Measurement]:
    """So many rounds; None is one that failed."""
    return [Measurement({} if v is None else {"cpuUsPerFlow": v}) for v in values]


RESULTS = {
    ("one-rule", Size()): measured(8.0),
    ("queue-mixed", Size(10)): measured(19.0, 21.0, 20.0),
    ("queue-mixed", Size(100)): measured(None, None),
    ("queue-mixed", Size()): measured(30.0, None),
    ("queue-mixed", Size(nics=10)): measured(25.0),
}


def test_curves() -> None:
    """Medians by number; a baseline does not know rules, and what failed has no point."""
    by_rules, by_nics = families(RESULTS)
    curves = {
        curve.name: [(number, summary.median) for number, summary in curve.points]
        for curve in by_rules.curves
    }
    assert curves == {
        "one-rule": [(10, 8.0), (100, 8.0), (1000, 8.0)],
        "queue-mixed": [(10, 20.0), (1000, 30.0)],
    }
    curves = {
        curve.name: [(number, summary.median) for number, summary in curve.points]
        for curve in by_nics.curves
    }
    assert curves == {"one-rule": [(10_000, 8.0)], "queue-mixed": [(10, 25.0), (10_000, 30.0)]}


def test_tables_and_json() -> None:
    """Both say the same, with least and most."""
    found = families(RESULTS)
    text = format_families(found)
    assert "queue-mixed  20.0 (19.0..21.0)    -  30.0" in text
    document = families_as_json(found)
    (_, queue) = document["rules"]["curves"]
    assert queue["points"][0]["rules"] == 10
    assert queue["points"][0]["cpuUsPerFlow"]["values"] == [19.0, 21.0, 20.0]
    assert {"rules", "nics"} == document.keys()
