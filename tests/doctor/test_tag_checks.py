"""What doctor says of the installed service tags files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nsgd.doctor.check import State
from nsgd.doctor.facts import TagFileSeen
from nsgd.doctor.run import examine
from nsgd.runtime.tag_store import TagStore
from tests.doctor.facts import check
from tests.tag_files import tag_file

DAY_S = 86400.0


@pytest.mark.parametrize(
    ("files", "state", "found"),
    [
        ([], State.OK, "no file is installed"),
        ([TagFileSeen("Public", 363, 0.0)], State.OK, "Public 363, less than a minute old"),
        ([TagFileSeen("Public", 363, 10 * DAY_S)], State.OK, "Public 363, 10 days old"),
        (
            [TagFileSeen("A", 1, 0.0), TagFileSeen("B", 2, 10 * DAY_S + 1)],
            State.WARNING,
            "B 2, 10 days old: rules miss",
        ),
        (
            [TagFileSeen("A", 1, 11 * DAY_S), TagFileSeen("B", 2, 0.0, "B.json: cut", True)],
            State.WARNING,
            "B.json: cut (the one before is used)",
        ),
        ([TagFileSeen("B", None, 0.0, "B.json: cut")], State.WARNING, "B.json: cut"),
    ],
)
def test_service_tags(files: list[TagFileSeen], state: State, found: str) -> None:
    """Damage first, then age; ten days are fine, more are not."""
    judged = check("service tags", service_tags=tuple(files))
    assert judged.state is state
    assert judged.found.startswith(found)
    assert bool(judged.fix) == (state is State.WARNING)


def test_the_store_is_looked_at(tmp_path: Path) -> None:
    """By the whole examination, whatever else it finds here."""

    def found() -> tuple[State, str]:
        checks = examine((), tmp_path / "nsgd.sock", TagStore(tmp_path))
        (judged,) = (c for c in checks if c.name == "service tags")
        return judged.state, judged.found

    (tmp_path / "Public.json").write_bytes(tag_file())
    assert found() == (State.OK, "Public 7, less than a minute old")
    os.utime(tmp_path / "Public.json", (0, 0))
    assert found()[0] is State.WARNING
    (tmp_path / "Public.json").write_bytes(b"{")
    assert "cut short" in found()[1]
