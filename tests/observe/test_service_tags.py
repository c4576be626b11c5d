"""What metrics and status say of service tags, and that they say nothing where none are used."""

from __future__ import annotations

import dataclasses

from prometheus_client import generate_latest

from nsgd.observe.metrics import metrics_registry
from nsgd.observe.service_tag_state import ServiceTagsState
from nsgd.observe.snapshot import Snapshot, snapshot_as_json
from nsgd.observe.text import format_status
from tests.observe.snapshots import SNAPSHOT

STATE = ServiceTagsState("Public", 363, 12.5 * 86400, False, {"Storage": 3, "Sql.WestEurope": 1})
WITH_TAGS = dataclasses.replace(SNAPSHOT, service_tags=STATE)


def samples(snapshot: Snapshot) -> list[str]:
    """The samples about service tags."""
    text = generate_latest(metrics_registry(lambda: snapshot)).decode()
    return [line for line in text.splitlines() if line.startswith("nsgd_service_tag")]


def test_metrics() -> None:
    """The file's by cloud, the prefixes by tag."""
    assert samples(WITH_TAGS) == [
        'nsgd_service_tags_age_seconds{cloud="Public"} 1.08e+06',
        'nsgd_service_tags_change_number{cloud="Public"} 363.0',
        'nsgd_service_tag_prefixes{tag="Storage"} 3.0',
        'nsgd_service_tag_prefixes{tag="Sql.WestEurope"} 1.0',
    ]
    assert samples(SNAPSHOT) == []


def test_json() -> None:
    """For programs."""
    assert snapshot_as_json(SNAPSHOT)["serviceTags"] is None
    assert snapshot_as_json(WITH_TAGS)["serviceTags"] == {
        "cloud": "Public",
        "changeNumber": 363,
        "ageSeconds": 1_080_000,
        "isPrevious": False,
        "tags": [{"name": "Storage", "prefixes": 3}, {"name": "Sql.WestEurope", "prefixes": 1}],
    }


def test_text() -> None:
    """One row, and what is wrong in it; also of a daemon of an older release, which sends none."""

    def row(state: ServiceTagsState | None) -> str:
        status = snapshot_as_json(dataclasses.replace(SNAPSHOT, service_tags=state))
        lines = format_status(status).splitlines()
        return next((line for line in lines if line.startswith("service tags")), "")

    text = "service tags  Public 363, 12 days old; 2 tags in use with 4 prefixes"
    assert row(STATE) == text
    previous = dataclasses.replace(STATE, is_previous=True)
    assert row(previous) == f"{text}; the newest file cannot be used, this is the one before"
    assert row(None) == ""
    older = snapshot_as_json(SNAPSHOT)
    del older["serviceTags"]
    assert "service tags" not in format_status(older)
