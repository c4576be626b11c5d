"""What is kept of a reload that was refused."""

from __future__ import annotations

from dataclasses import replace

from nsgd.observe.refused_reload import RefusedReload
from nsgd.observe.snapshot import snapshot_as_json
from tests.observe.snapshots import SNAPSHOT


def test_when_and_why_are_told_and_bounded() -> None:
    """Of many problems the first, each cut where it is long; how many there are is whole."""
    refused = RefusedReload.of(["a.yaml:7: taken", *["x" * 1000] * 30], 1_700_000_000.9)
    told = snapshot_as_json(replace(SNAPSHOT, refused_reload=refused))["reloads"]
    assert told["refusedAt"] == "2023-11-14T22:13:20Z"
    assert told["problems"][0] == "a.yaml:7: taken"
    assert told["problemCount"] == 31
    assert [len(text) for text in told["problems"][1:]] == [400] * 4
    assert told["problems"][1].endswith("...")


def test_none_was_refused() -> None:
    """Nothing of it is told."""
    told = snapshot_as_json(SNAPSHOT)["reloads"]
    assert (told["refusedAt"], told["problemCount"], told["problems"]) == (None, 0, [])
