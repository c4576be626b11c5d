"""The dashboard and the alerts as values: panels, queries, and what stands for variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).parents[2] / "docs" / "dashboards"
METRICS_PAGE = DIRECTORY.parent / "metrics.md"
ALERTS = DIRECTORY / "alerts.yaml"
ALERTS_TEST = DIRECTORY / "alerts_test.yaml"
DASHBOARD: dict[str, Any] = json.loads((DIRECTORY / "nsgd.json").read_text())
# A metric of ours, or of the process, with what it is chosen by.
SELECTOR = re.compile(r"\b((?:nsgd|process)_\w+)(\{[^}]*\})?")


@dataclass(frozen=True, slots=True)
class Query:
    """One of a panel's."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel; *kind* is Grafana's, and its place is in units of the dashboard's grid."""

    kind: str
    title: str
    unit: str
    place: tuple[int, int, int, int]  # x, y, width, height
    queries: tuple[Query, ...]
    raw: Mapping[str, Any]


def panels() -> list[Panel]:
    """All of them, rows too, from top to bottom."""
    return [
        Panel(
            raw["type"],
            raw["title"],
            raw.get("fieldConfig", {}).get("defaults", {}).get("unit", ""),
            (grid["x"], grid["y"], grid["w"], grid["h"]),
            tuple(Query(each["expr"], each["legendFormat"]) for each in raw.get("targets", ())),
            raw,
        )
        for raw in DASHBOARD["panels"]
        for grid in (raw["gridPos"],)
    ]


def queries() -> Iterator[tuple[str, str]]:
    """Title and expression of every query, those of annotations too."""
    for panel in panels():
        for query in panel.queries:
            yield panel.title, query.expression
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def documented_queries() -> Iterator[tuple[str, str]]:
    """The examples of docs/metrics.md."""
    for block in re.findall(r"^```promql\n(.*?)^```", METRICS_PAGE.read_text(), re.M | re.S):
        for line in block.splitlines():
            yield METRICS_PAGE.name, line


def substituted(expression: str, *, step: str, span: str, **variables: str) -> str:
    """An expression as Grafana sends it.

    Args:
        expression: With variables.
        step: For $__rate_interval, such as 10s.
        span: For $__range.
        variables: Regular expressions for the dashboard's own; all of each, where not given.
    """
    given = {"job": ".+", "instance": ".+", "nsg": ".*", "nic": ".*"} | variables
    given |= {"__rate_interval": step, "__range": span}
    return re.sub(r"\$(\w+)", lambda found: given[found[1]], expression)


def alerts() -> list[Mapping[str, Any]]:
    """Every alert."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]
