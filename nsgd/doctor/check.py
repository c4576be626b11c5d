"""One check: what was looked at, how it is, what was found, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How it is, from the harmless to what keeps nsgd from working."""

    OK = "ok"
    UNKNOWN = "unknown"  # it could not be seen
    WARNING = "warning"  # it works, and may not do what is expected
    PROBLEM = "problem"  # nsgd would not run, or would not filter


SEVERITY = tuple(State)


@dataclass(frozen=True, slots=True)
class Check:
    """*fix* is empty where nothing needs to be done."""

    name: str
    state: State
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Check:
    """Nothing to do."""
    return Check(name, State.OK, found)


def unknown(name: str, found: str, fix: str = "") -> Check:
    """It could not be seen."""
    return Check(name, State.UNKNOWN, found, fix)


def warning(name: str, found: str, fix: str) -> Check:
    """It works, and may not do what is expected."""
    return Check(name, State.WARNING, found, fix)


def problem(name: str, found: str, fix: str) -> Check:
    """nsgd would not run, or would not filter."""
    return Check(name, State.PROBLEM, found, fix)
