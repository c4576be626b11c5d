"""What was guarded last, on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsgd.model.address import PortRange
from nsgd.model.rule import Protocol
from nsgd.model.settings import DaemonRole, DaemonSettings, Failsafe
from nsgd.ruleset.guarded import Guarded
from nsgd.runtime.guarded_file import load_guarded, save_guarded
from nsgd.runtime.state import StateError
from tests.models import SMALL, prefixes

FAILSAFE = (
    Failsafe(Protocol.TCP, (PortRange(22, 22), PortRange(80, 90)), prefixes("10.0.0.0/8", "::/0")),
    Failsafe(Protocol.UDP, (PortRange(53, 53),)),
)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Roles, failsafe, subnets and links; the last one counts."""
    directory = tmp_path / "new"
    assert load_guarded(directory) == Guarded()
    settings = DaemonSettings(roles=frozenset(DaemonRole), failsafe=FAILSAFE)
    for guarded in (Guarded.of(SMALL, settings), Guarded()):
        save_guarded(directory, guarded)
        assert load_guarded(directory) == guarded
    assert [path.name for path in directory.iterdir()] == ["guarded.json"]


def test_what_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    """A reload a second is no write a second."""
    save_guarded(tmp_path, Guarded())
    before = (tmp_path / "guarded.json").stat().st_ino
    save_guarded(tmp_path, Guarded())
    assert (tmp_path / "guarded.json").stat().st_ino == before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"roles": ["router"], "failsafe": [], "prefixes": [], "links": []}',
        '{"roles": [], "failsafe": [], "prefixes": ["10.0.0.1/8"], "links": []}',
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    """It names the file and the way out."""
    (tmp_path / "guarded.json").write_text(content)
    with pytest.raises(StateError, match=r"guarded\.json cannot be read .*; restore or remove it"):
        load_guarded(tmp_path)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """A file in its place."""
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        save_guarded(tmp_path / "state", Guarded())
