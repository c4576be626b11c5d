"""Decision numbers on disk: written before a policy that uses them comes into force."""

from __future__ import annotations

import json
from pathlib import Path

from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers, RuleIdentity
from nsgd.ruleset.marks import FIRST_RULE_NUMBER
from nsgd.runtime.atomic_file import replace_file

_FILE = "decision-numbers.json"
_STARTED = "started"  # empty; open flows are adopted only while it is absent
_VERSION = 1
_MODE = 0o600


class StateError(Exception):
    """The state directory cannot be read or written."""


def has_started(directory: Path) -> bool:
    """Tell whether a daemon has come into force with this state directory before."""
    return (directory / _STARTED).exists()


def note_start(directory: Path) -> None:
    """Remember that a policy came into force. Raises StateError."""
    try:
        (directory / _STARTED).touch()
    except OSError as error:
        raise StateError(f"{directory / _STARTED} cannot be written: {error}") from error


def load_numbers(directory: Path) -> DecisionNumbers:
    """The numbers given so far; none where there is no file.

    A damaged file is an error rather than a fresh start: open flows carry numbers whose meaning
    would be lost.
    """
    path = directory / _FILE
    try:
        if path.exists() and not path.is_file():
            raise StateError(f"{path} is not a regular file")
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return DecisionNumbers()
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(f"{path} cannot be read: {error}") from error
    try:
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']!r} is not {_VERSION}")
        return DecisionNumbers(
            {direction: _read_side(document[direction.value]) for direction in DIRECTIONS}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"{path} is damaged ({error}); restore it, or remove it and the marks of open flows"
            " ('conntrack -F')"
        ) from error


def _read_side(entries: list[list[object]]) -> dict[RuleIdentity, int]:
    side: dict[RuleIdentity, int] = {}
    for group, rule, access, number in entries:
        if not isinstance(group, str) or not isinstance(rule, str) or type(number) is not int:
            raise TypeError(f"not a numbered rule: {[group, rule, access, number]!r}")
        if not FIRST_RULE_NUMBER <= number < 1 << 16:
            raise ValueError(f"{number} is not a rule's number")
        side[group, rule, Access(access)] = number
    if len(set(side.values())) != len(entries):
        raise ValueError("a number or a rule stands twice")
    return side


def save_numbers(directory: Path, numbers: DecisionNumbers) -> None:
    """Replace the file atomically and durably. Raises StateError."""
    document = {"version": _VERSION} | {
        direction.value: _write_side(numbers, direction) for direction in DIRECTIONS
    }
    path = directory / _FILE
    # Without indent, which is written by other code, ten times as slow.
    content = json.dumps(document).encode()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        replace_file(path, content, _MODE)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error}") from error


def _write_side(numbers: DecisionNumbers, direction: Direction) -> list[list[object]]:
    return [
        [group, rule, access.value, number]
        for (group, rule, access), number in numbers.by_direction[direction].items()
    ]
