"""Notes on the documents reach the log at each load, and do not fill it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.load import load_policy
from nsgd.runtime.says import note_lines
from tests.azure.resources import nsg, resource


def test_a_load_tells_the_notes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each on a line of its own."""
    path = tmp_path / "azure.json"
    path.write_text(json.dumps([nsg(), nsg(), resource("publicIPAddresses", "p", {})]))
    caplog.set_level(logging.INFO, "nsgd")
    load_policy([path], DecisionNumbers(), None)
    assert [record.message.removeprefix(f"note: {path}") for record in caplog.records] == [
        ": [1]: is given before, just the same",
        "note: read over: 1 of type Microsoft.Network/publicIPAddresses",
    ]


def test_a_few_of_many_notes() -> None:
    """And how many others there are."""
    lines = list(note_lines([str(i) for i in range(25)]))
    assert lines[:20] == [f"note: {i}" for i in range(20)]
    assert lines[20:] == ["5 other notes: 'nsgd check --notes' tells them"]
    assert list(note_lines(["a"])) == ["note: a"]
