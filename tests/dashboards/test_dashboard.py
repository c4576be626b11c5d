"""The dashboard's form: what Grafana needs and its linters ask for, and metrics that exist."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from tests.dashboards.dashboard import DASHBOARD, DIRECTORY, SELECTOR, Panel, panels, queries
from tests.observe.test_metrics import DOCUMENTED, PAGE

PANELS = [panel for panel in panels() if panel.kind != "row"]
QUERIES = list(queries())
ROWS = (
    "Health",
    "Verdicts",
    "Rules by rate",
    "Denials",
    "Network interfaces",
    "Queues and kernel",
    "Reloads and policy",
    "Flow log",
)


def test_rows() -> None:
    """As docs/prometheus.md lists them."""
    assert tuple(panel.title for panel in panels() if panel.kind == "row") == ROWS
    text = (DIRECTORY.parent / "prometheus.md").read_text()
    assert all(f"| {row} |" in text for row in ROWS)


def test_variables() -> None:
    """Each with a label, several values and all of them, asked again when the time changes."""
    made = DASHBOARD["templating"]["list"]
    assert [each["name"] for each in made] == ["datasource", "job", "instance", "nsg", "nic"]
    assert (made[0]["type"], made[0]["query"]) == ("datasource", "prometheus")
    for variable in made[1:]:
        assert variable["multi"]
        assert variable["includeAll"]
        assert variable["refresh"] == 2
        assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert variable["definition"] == variable["query"]["query"]
        # A rule ahead of all groups has an empty one.
        assert variable["allValue"] == (".*" if variable["name"] in ("nsg", "nic") else ".+")
        for before in ("job", "instance")[: made.index(variable) - 1]:
            assert f'{before}=~"${before}"' in variable["definition"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_panel(panel: Panel) -> None:
    """It says what it shows, in which unit, from the data source that is chosen."""
    assert panel.title
    assert panel.raw["description"].endswith(".")
    assert panel.unit
    assert panel.queries
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert panel.raw["datasource"] == chosen
    assert all(target["datasource"] == chosen for target in panel.raw["targets"])
    letters = [target["refId"] for target in panel.raw["targets"]]
    assert len(set(letters)) == len(letters)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Last reload", "nsgd status"),
        ("Documents", "nsgd check PATH"),
        ("Denying rules", "nsgd denials"),
        ("Open flows", "nsgd flows --nsg NAME"),
        ("Lost in queues", "row Queues and kernel"),
    ],
)
def test_where_a_metric_cannot_answer_it_says_who_does(title: str, words: str) -> None:
    """In the description, which is all that a reader in Grafana sees."""
    (found,) = (panel for panel in PANELS if panel.title == title)
    assert words in found.raw["description"]


def test_places() -> None:
    """No two panels overlap, none is wider than the grid, and each has a number of its own."""
    made = panels()
    for panel in made:
        x, _, width, height = panel.place
        assert 0 <= x < x + width <= 24
        assert height > 0
    for one, other in combinations(made, 2):
        (x, y, w, h), (x2, y2, w2, h2) = one.place, other.place
        is_apart = x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
        assert is_apart, (one.title, other.title)
    numbers = [panel.raw["id"] for panel in made]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(("title", "expression"), QUERIES)
def test_query(title: str, expression: str) -> None:
    """Chosen by job and instance; counters by their rate, over an interval of Grafana's."""
    found = SELECTOR.findall(expression)
    assert found
    for name, chosen in found:
        assert chosen.startswith('{job=~"$job",instance=~"$instance"'), name
        if name.endswith(("_total", "_bucket")):
            counted = re.escape(f"{name}{chosen}")
            ranges = r"\[\$__(?:rate_interval|range)\]"
            assert re.search(rf"\b(?:rate|increase)\({counted}{ranges}\)", expression), name
    assert not re.search(r"\[\d", expression)


def test_metrics_are_documented() -> None:
    """And all but a few of those that are documented are shown."""
    documented = {name for name, *_ in DOCUMENTED.findall(PAGE.read_text())}
    used = {
        name.removesuffix("_bucket") for _, text in QUERIES for name, _ in SELECTOR.findall(text)
    }
    assert used - {"process_cpu_seconds_total"} <= documented
    assert len(used & documented) > 35


def test_it_carries_nothing_of_where_it_was_made() -> None:
    """No address, and no data source but by its variable."""
    text = (DIRECTORY / "nsgd.json").read_text()
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|localhost|/tmp/", text)
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}", "nsgd"}
