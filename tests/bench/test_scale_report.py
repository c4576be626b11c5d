"""The tables of nsgd bench --scale, and the same for programs."""

from __future__ import annotations

from nsgd.bench.scale import Values, Variant, variants
from nsgd.bench.scale_changes import CHANGES
from nsgd.bench.scale_documents import Extent
from nsgd.bench.scale_report import format_scale, growth, scale_as_json, slowest, summaries

EXTENT = Extent(nics=1000, groups=20)
KEYS = [change.key for change in CHANGES]


def changed(**others: float) -> Values:
    """What one start measured of reloads, 50 ms where nothing else is said."""
    return {**dict.fromkeys(KEYS, 50.0), "reloadMs": 50.0, **others}


def test_growth_is_within_a_round() -> None:
    """The large by the small of the same round; a round that failed on one side has none."""
    small: list[Values] = [{"startMs": 100.0}, {"startMs": 200.0}, {}]
    large: list[Values] = [{"startMs": 900.0}, {"startMs": 2000.0}, {"startMs": 7.0}]
    found = growth(small, large)["startMs"]
    assert found is not None
    assert found.values == (9.0, 10.0)
    assert growth(small, large)["reloadMs"] is None
    assert growth(small, large)["slowestMs"] is None


def test_the_slowest_kind_is_slow_in_most_rounds() -> None:
    """Its median counts, not a single reload that something disturbed."""
    rounds = [changed(access=90.0), changed(access=80.0, address=300.0), changed(access=70.0)]
    assert slowest(rounds) == "access"
    found = summaries(rounds)["slowestMs"]
    assert found is not None
    assert found.values == (90.0, 80.0, 70.0)
    assert slowest([{}]) is None
    assert summaries([{}])["slowestMs"] is None


def test_the_slowest_kind_grows_by_itself() -> None:
    """What is slowest at the large extent is compared with the same at the small one."""
    small, large = [changed(address=60.0)], [changed(access=100.0)]
    found = growth(small, large)["slowestMs"]
    assert found is not None
    assert found.values == (2.0,)


def test_report() -> None:
    """Every variant, and the growth of each engine and form."""
    measured: dict[Variant, list[Values]] = {
        variant: [{"startMs": float(variant.extent.nics)}] for variant in variants(EXTENT)
    }
    assert len(measured) == 8
    text = format_scale(measured)
    assert "kernel, YAML   100    200" in text
    document = scale_as_json(measured)
    assert document["growth"]["queue, JSON"]["startMs"]["median"] == 10.0
    assert [v["securityRules"] for v in document["variants"]] == [200, 2000] * 4


def test_a_table_of_changes() -> None:
    """A row for each kind, a column for each variant, the median with least and most."""
    one, other = variants(EXTENT, ["kernel"])[:2]
    text = format_scale(
        {
            one: [changed(), {}, changed()],
            other: [changed(added=120.0), changed(added=150.0), changed(added=130.0)],
        }
    )
    main, _, _, table, meanings = text.split("\n\n")
    assert "130 (120..150)" in main
    title, headings, *rows = table.splitlines()
    assert title == "One rule changed, by what changes (ms):"
    columns = [heading.strip() for heading in headings.split("  ") if heading]
    assert columns == ["Changed", "kernel, JSON, 100 NICs", "kernel, JSON, 1000 NICs"]
    assert len(rows) == len(CHANGES)
    added = next(row for row in rows if row.startswith("rule added "))
    assert added.split()[2:] == ["50.0", "(50.0..50.0)", "130", "(120..150)"]
    for change in CHANGES:
        assert f"{change.heading}: {change.meaning}" in meanings.splitlines()


def test_changes_for_programs() -> None:
    """Every reload of every kind, what the kinds are, and which is the slowest."""
    variant = variants(EXTENT)[1]
    rounds = [changed(added=120.0), changed(added=150.0), changed(added=130.0)]
    document = scale_as_json({variant: rounds})
    assert list(document["changes"]) == KEYS
    (of_variant,) = document["variants"]
    assert list(of_variant["changes"]) == KEYS
    assert of_variant["changes"]["added"] == {
        "median": 130.0,
        "min": 120.0,
        "max": 150.0,
        "values": [120.0, 150.0, 130.0],
    }
    assert of_variant["slowestChange"] == "added"
    assert of_variant["measured"]["slowestMs"]["median"] == 130.0
    assert "slowestMs" in document["columns"]
    (empty,) = scale_as_json({variant: [{}]})["variants"]
    assert empty["changes"] == dict.fromkeys(KEYS)
    assert empty["slowestChange"] is None
