"""Sentences that log, status and commands share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nsgd.config.problem import ConfigRefused
from nsgd.model.settings import DaemonRole, DaemonSettings, Engine, FailureMode, Mode
from nsgd.ruleset.guarded import Guarded

_MOST_NOTES = 20


def rules_that_stay(settings: DaemonSettings) -> str:
    """What a stop leaves behind, and the way out."""
    is_open = settings.failure_mode is FailureMode.OPEN
    undecided = "pass undecided" if is_open else "are dropped"
    if settings.engine is Engine.KERNEL:
        undecided = f"are decided by the kernel, and those that it leaves to the worker {undecided}"
    return (
        f"rules stay in place: decided flows go on, new ones {undecided};"
        " 'nsgd stop --remove-rules' removes them"
    )


def closed_until_then(guarded: Guarded) -> str:
    """What a boot without a policy has closed."""
    closed = {
        DaemonRole.GATEWAY: "nothing is forwarded",
        DaemonRole.HOST: "declared addresses of this machine are closed but for failsafe",
    }
    return " and ".join(text for role, text in closed.items() if role in guarded.roles)


def state_line(settings: DaemonSettings, generation: int, last_reload_succeeded: bool) -> str:
    """One line for systemctl status."""
    mode = "audit, nothing is dropped; " if settings.mode is Mode.AUDIT else ""
    fresh = "" if last_reload_succeeded else "; the last reload was refused"
    return f"{mode}policy {generation} in force{fresh}"


def note_lines(notes: Sequence[str]) -> Iterator[str]:
    """What the log says of notes on the documents: the first ones, and how many others there are.

    A policy that differs from what Azure does must not take a command to find that out.
    """
    for note in notes[:_MOST_NOTES]:
        yield f"note: {note}"
    if len(notes) > _MOST_NOTES:
        yield f"{len(notes) - _MOST_NOTES} other notes: 'nsgd check --notes' tells them"


def problems_of(error: Exception) -> Sequence[object]:
    """Why documents were refused, each problem by itself."""
    return error.problems if isinstance(error, ConfigRefused) else (error,)


def refusal_lines(error: Exception, generation: int) -> Iterator[str]:
    """What the log says of a reload that was refused: every problem, and what stays in force."""
    problems = problems_of(error)
    yield from map(str, problems)
    noun = "problem" if len(problems) == 1 else "problems"
    yield f"reload refused, {len(problems)} {noun}, keeping policy {generation}"
