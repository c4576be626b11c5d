"""What the pages show, asked over the daemon's control socket: verbs that read, few at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nsgd.answers.policy import QuestionedPolicy
from nsgd.config.load import load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.runtime.control_client import ControlError, ControlErrorKind, request, request_parts
from nsgd.runtime.policy_in_force import PolicyAnswerError, read_told_policy

Status = Mapping[str, Any]

_TIMEOUT_S = 5.0
_POLICY_TIMEOUT_S = 60.0  # its documents may be many megabytes
# However many browsers are open, the daemon answers so often and so many at once.
_STATUS_AGE_S = 0.5
_AT_ONCE = 4
_FLOWS_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class FoundFlows:
    """Open flows; *is_whole* is false where there may be more."""

    flows: list[dict[str, Any]]
    is_whole: bool


class Source(Protocol):
    """Answers of a daemon; each raises ControlError where there is none."""

    def status(self) -> Status:
        """As ``nsgd status -o json``."""

    def policy(self) -> QuestionedPolicy:
        """The policy in force."""

    def denials(self, **arguments: Any) -> Mapping[str, Any]:
        """Recent ones, as the verb tells them."""

    def flows(self, limit: int, **arguments: Any) -> FoundFlows:
        """Open flows, so many at most."""


class ControlSource:
    """Asks a control socket."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._status_lock = threading.Lock()
        # Also that there was none: pages that wait for one another need not all wait for that.
        self._status: tuple[float, Status | ControlError] | None = None
        self._policy_lock = threading.Lock()
        self._policy: tuple[str, QuestionedPolicy] | None = None

    def status(self) -> Status:
        """The status, perhaps of half a second ago."""
        with self._status_lock:
            if self._status is None or self._clock() - self._status[0] > _STATUS_AGE_S:
                self._status = self._ask_status()
            found = self._status[1]
        if isinstance(found, ControlError):
            raise ControlError(found.kind, str(found), found.problems)
        return found

    def _ask_status(self) -> tuple[float, Status | ControlError]:
        try:
            with self._slot():
                found: Status | ControlError = request(self._path, "status", _TIMEOUT_S)
        except ControlError as error:
            found = error
        return self._clock(), found

    def policy(self) -> QuestionedPolicy:
        """The policy in force, loaded and compiled here once for each that comes into force."""
        wanted = self.status()["policyHash"]
        with self._policy_lock:
            if self._policy is None or self._policy[0] != wanted:
                with self._slot():
                    answer = request(self._path, "policy", _POLICY_TIMEOUT_S)
                self._policy = None
                self._policy = str(answer.get("policyHash")), _load(answer)
            return self._policy[1]

    def denials(self, **arguments: Any) -> Mapping[str, Any]:
        """Recent denials."""
        with self._slot():
            return request(self._path, "denials", _TIMEOUT_S, **arguments)

    def flows(self, limit: int, **arguments: Any) -> FoundFlows:
        """Open flows; a large table is looked through for some seconds."""
        found: list[dict[str, Any]] = []
        with self._slot():
            until = self._clock() + _FLOWS_WAIT_S
            for part in request_parts(self._path, "flows", _TIMEOUT_S, limit=limit, **arguments):
                if "flows" not in part:
                    return FoundFlows(found, part["isWhole"] is True)
                found += part["flows"]
                if self._clock() > until:
                    break
        return FoundFlows(found, False)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=_TIMEOUT_S):
            raise ControlError(
                ControlErrorKind.BUSY, "too many pages ask the daemon at once; try again"
            )
        try:
            yield
        finally:
            self._slots.release()


def _load(answer: Mapping[str, Any]) -> QuestionedPolicy:
    try:
        told = read_told_policy(answer)
        return QuestionedPolicy(load_documents(told.documents, tags=told).model)
    except (PolicyAnswerError, ConfigRefused) as error:
        text = f"the policy in force cannot be read here: {error}"
        raise ControlError(ControlErrorKind.NO_ANSWER, text) from error
