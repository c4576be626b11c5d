"""The alerts: what promtool says of them, their tests, and where they send a reader."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.dashboards.dashboard import ALERTS, ALERTS_TEST, DIRECTORY, SELECTOR, alerts
from tests.docs.test_pages import anchors
from tests.observe.test_metrics import DOCUMENTED, PAGE
from tests.programs import program

REPOSITORY = DIRECTORY.parents[1]


def promtool(*arguments: str) -> None:
    """Run it; it has to be content."""
    command = [program("prometheus", "promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_reads_the_rules() -> None:
    """All of them."""
    promtool("check", "rules", str(ALERTS))


def test_the_rules_fire_when_they_should() -> None:
    """By promtool's unit tests, and not otherwise."""
    promtool("test", "rules", str(ALERTS_TEST))


def test_every_alert_is_tested() -> None:
    """Firing at one time and silent at another."""
    checks = [
        check
        for test in yaml.safe_load(ALERTS_TEST.read_text())["tests"]
        for check in test["alert_rule_test"]
    ]
    names = {rule["alert"] for rule in alerts()}
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == names
    assert {check["alertname"] for check in checks if not check["exp_alerts"]} == names


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_alert(rule: Mapping[str, Any]) -> None:
    """It has a severity, says what is so and what follows, and leads to a section of its own."""
    assert rule["alert"].startswith("Nsgd")
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    notes = rule["annotations"]
    assert "{{ $labels.instance }}" in notes["summary"]
    assert notes["description"].endswith(".")
    page, _, anchor = notes["runbook"].partition("#")
    assert anchor == rule["alert"].lower()
    assert anchor in anchors((REPOSITORY / page).read_text())
    documented = {name for name, *_ in DOCUMENTED.findall(PAGE.read_text())}
    named = {name for name, _ in SELECTOR.findall(rule["expr"])}
    assert named <= documented
    assert named or "up{" in rule["expr"]
    for name in named:
        if name.endswith("_total"):
            assert re.search(rf"(?:rate|increase)\({name}", rule["expr"])
