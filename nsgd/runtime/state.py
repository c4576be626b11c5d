"""Decision numbers on disk: written before a policy that uses them comes into force."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from operator import eq
from pathlib import Path

from nsgd.model.rule import Access
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


class _NumbersText:
    """Numbers as the file has them; of those that it had before only what has come is written anew.

    A rule that is added, or whose access turns, gives one number more. To write all of 20 000 takes
    a fifth of such a change.
    """

    def __init__(self) -> None:
        self._sides = {direction: _SideText() for direction in DIRECTIONS}

    def of(self, numbers: DecisionNumbers) -> bytes:
        """The content of the file."""
        sides = (
            b'"%b": [%b]' % (direction.value.encode(), side.of(numbers.by_direction[direction]))
            for direction, side in self._sides.items()
        )
        return b'{"version": %d, %b}' % (_VERSION, b", ".join(sides))


class _SideText:
    def __init__(self) -> None:
        self._known: Mapping[RuleIdentity, int] = {}
        self._text = b""

    def of(self, numbers: Mapping[RuleIdentity, int]) -> bytes:
        known = len(self._known)
        # After a load that was refused other rules may have the numbers that came with it.
        if known > len(numbers) or not all(map(eq, self._known.items(), numbers.items())):
            known, self._text = 0, b""
        entries = [
            [group, rule, access.value, number]
            for (group, rule, access), number in islice(numbers.items(), known, None)
        ]
        if entries:
            # Without indent, which is written by other code, ten times as slow.
            text = json.dumps(entries)[1:-1].encode()
            self._text = self._text + b", " + text if self._text else text
        self._known = numbers
        return self._text


def save_numbers(
    directory: Path, numbers: DecisionNumbers, text: _NumbersText | None = None
) -> None:
    """Replace the file atomically and durably. Raises StateError."""
    path = directory / _FILE
    content = (text or _NumbersText()).of(numbers)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        replace_file(path, content, _MODE)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error}") from error


def numbers_saver(directory: Path) -> Callable[[DecisionNumbers], None]:
    """A function like save_numbers() that keeps what it has written for the next time."""
    return partial(save_numbers, directory, text=_NumbersText())
