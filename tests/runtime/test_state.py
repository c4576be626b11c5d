"""Decision numbers keep their meaning on disk."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from nsgd.model.network import NetworkModel
from nsgd.model.rule import Access, Direction
from nsgd.policy.compile import compile_policy
from nsgd.policy.numbers import (
    DIRECTIONS,
    DecisionNumbers,
    NumbersExhaustedError,
    RuleIdentity,
)
from nsgd.runtime.state import StateError, load_numbers, numbers_saver, save_numbers
from tests.models import SMALL

POLICY = compile_policy(SMALL)


def test_numbers_survive(tmp_path: Path) -> None:
    """Saved and loaded numbers are equal, and a fresh directory has none."""
    numbers = DecisionNumbers().extended(POLICY, 32, 4096)
    assert load_numbers(tmp_path / "new") == DecisionNumbers()
    save_numbers(tmp_path / "new", numbers)
    assert load_numbers(tmp_path / "new") == numbers


def test_what_was_written_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the next numbers only those that came; all of them where others took their places."""
    rules = [("web", f"rule {number} ä", Access.ALLOW) for number in range(4)]
    save = numbers_saver(tmp_path)
    encoded: list[int] = []
    dumps = json.dumps

    def counting(entries: list[object]) -> str:
        encoded.append(len(entries))
        return dumps(entries)

    monkeypatch.setattr("nsgd.runtime.state.json.dumps", counting)

    def saved(inbound: list[RuleIdentity]) -> None:
        numbered = {rule: 32 + place for place, rule in enumerate(inbound)}
        numbers = DecisionNumbers({Direction.OUTBOUND: {}, Direction.INBOUND: numbered})
        save(numbers)
        assert load_numbers(tmp_path) == numbers
        entries = [[group, rule, access.value, n] for (group, rule, access), n in numbered.items()]
        content = {"version": 1, "Outbound": [], "Inbound": entries}
        assert (tmp_path / "decision-numbers.json").read_text() == dumps(content)

    saved([])
    saved(rules[:2])
    saved(rules[:3])
    saved(rules[:3])
    assert encoded == [2, 1]
    saved([*rules[:2], rules[3]])  # the last one was refused
    saved(rules[:1])
    assert encoded == [2, 1, 3, 1]


def test_a_number_is_never_given_to_another_rule() -> None:
    """Rules that went away keep theirs, and the next policy continues after them."""
    first = DecisionNumbers().extended(POLICY, 32, 4096)
    without = first.extended(compile_policy(NetworkModel()), 32, 4096)
    assert without == first
    again = without.extended(POLICY, 32, 4096)
    assert again == first
    for direction in DIRECTIONS:
        used = sorted(first.by_direction[direction].values())
        assert used == list(range(32, 32 + len(used)))


def test_exhaustion_is_refused() -> None:
    """The last number that fits is used, one more is refused."""
    needed = max(
        len(DecisionNumbers().extended(POLICY, 32, 4096).by_direction[d]) for d in DIRECTIONS
    )
    DecisionNumbers().extended(POLICY, 32, 32 + needed)
    with pytest.raises(NumbersExhaustedError, match="markMask"):
        DecisionNumbers().extended(POLICY, 32, 32 + needed - 1)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "Inbound": [], "Outbound": []}',
        '{"version": 1, "Inbound": [["g", "r", "Allow"]], "Outbound": []}',
        '{"version": 1, "Inbound": [["g", "r", "Maybe", 32]], "Outbound": []}',
        '{"version": 1, "Inbound": [["g", "r", "Allow", "x"]], "Outbound": []}',
        '{"version": 1, "Inbound": [["g","r","Allow",32],["g","s","Allow",32]], "Outbound": []}',
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, content: str) -> None:
    """Starting afresh would change what the marks of open flows mean."""
    (tmp_path / "decision-numbers.json").write_text(content)
    with pytest.raises(StateError, match=r"decision-numbers\.json"):
        load_numbers(tmp_path)


def test_an_unwritable_directory_is_an_error(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        save_numbers(tmp_path / "file", DecisionNumbers())


def test_the_file_is_readable_by_people(tmp_path: Path) -> None:
    """Group, rule, access and number stand in plain JSON."""
    save_numbers(tmp_path, DecisionNumbers().extended(POLICY, 32, 4096))
    document = json.loads((tmp_path / "decision-numbers.json").read_text())
    assert ["web", "AllowHttp", "Allow", 32] in document["Inbound"]


def test_the_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the daemon's alone; where it cannot be replaced it stays, with nothing beside it."""
    numbers = DecisionNumbers().extended(POLICY, 32, 4096)
    save_numbers(tmp_path, DecisionNumbers())
    save_numbers(tmp_path, numbers)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nsgd.runtime.atomic_file.os.fsync", full)
    with pytest.raises(StateError, match="No space left"):
        save_numbers(tmp_path, DecisionNumbers())
    assert list(tmp_path.iterdir()) == [file]
    assert load_numbers(tmp_path) == numbers
