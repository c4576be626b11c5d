"""Policies that are applied, for good or until they are confirmed; unconfirmed ones are reverted.

What is on trial is in memory alone. The state directory has the documents of the policy before
from the moment that it is at stake: whichever way the daemon ends, the next one starts with them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nsgd.config.document import Document
from nsgd.config.problem import ConfigRefused
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.packed_documents import unpack_documents
from nsgd.runtime.standing_documents import StandingDocuments
from nsgd.runtime.state import StateError

log = logging.getLogger("nsgd")

LONGEST_S = 86_400
_RETRY_S = 5.0


class UnconfirmedError(StateError):
    """Something is on trial that must be confirmed or reverted first; the text says so."""


class Changes(Protocol):
    """What a trial needs of the supervisor."""

    def in_force(self) -> LoadedPolicy:
        """The policy in force."""

    def bring_into_force(self, documents: Sequence[Document], *, reevaluate: bool) -> int:
        """Load documents and put them in force; returns the generation."""

    def go_back(self, before: LoadedPolicy, *, reevaluate: bool) -> int:
        """Put a policy in force again; returns the generation."""


@dataclass(slots=True)
class _OnTrial:
    before: LoadedPolicy
    seconds: int
    deadline_s: float  # of the clock
    reevaluate: bool


class Trial:
    """Serves the verbs ``apply`` and ``confirm``; *counts* by result, since the start."""

    def __init__(
        self,
        changes: Changes,
        standing: StandingDocuments,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*clock* gives monotonic seconds."""
        self._changes, self._standing, self._clock = changes, standing, clock
        self._on_trial: _OnTrial | None = None
        self.counts = {"applied": 0, "confirmed": 0, "reverted": 0, "refused": 0}
        self.is_standing = False  # documents in force are not those of --config

    @property
    def seconds_left(self) -> float | None:
        """Until what is on trial is reverted; None where nothing is."""
        trial = self._on_trial
        return None if trial is None else max(0.0, trial.deadline_s - self._clock())

    @property
    def documents(self) -> tuple[Document, ...] | None:
        """Those on trial; None where nothing is."""
        return None if self._on_trial is None else self._changes.in_force().documents

    def started(self) -> None:
        """Say what has become of a trial that an earlier daemon did not bring to its end.

        To be called once a policy is in force. Raises StateError.
        """
        kept = self._standing.read()
        if kept is not None and kept.is_unconfirmed:
            self.counts["reverted"] += 1
            log.warning("the policy on trial was not confirmed before the daemon ended: reverted")
        self.settle()

    def settle(self) -> None:
        """Follow what was loaded: what stood before, or --config's documents, which end that."""
        if self._on_trial is not None:
            return
        try:
            self.is_standing = self._standing.settle(self._changes.in_force().documents)
        except StateError as error:
            # It says the same when it is read again.
            log.error("%s", error)

    def require_none(self) -> None:
        """Raises UnconfirmedError while something is on trial."""
        if self._on_trial is not None:
            raise UnconfirmedError(
                f"a policy is on trial, for {self.seconds_left:.0f} s more:"
                " 'nsgd confirm' keeps it, 'nsgd confirm --revert' goes back"
            )

    def apply(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Put documents in force, for good or on trial.

        Raises:
            UsageRefused, ConfigRefused, StateError, RefusedByKernel: The policy in force stays.
        """
        seconds = arguments.get("confirmSeconds")
        if seconds is not None and not 1 <= seconds <= LONGEST_S:
            raise UsageRefused(f"{seconds} s is no time to confirm; give 1 to {LONGEST_S}")
        try:
            documents = unpack_documents(arguments.get("documents", []))
        except ValueError as error:
            raise UsageRefused(str(error)) from error
        for document in documents:
            # Problems begin with it, in the log too.
            if not document.name.isprintable():
                raise UsageRefused(f"a document's name cannot be printed: {document.name!a}")
        reevaluate = arguments.get("reevaluate") is True
        try:
            generation = self._apply(documents, seconds, reevaluate)
        except (ConfigRefused, StateError, RefusedByKernel) as error:
            self.counts["refused"] += 1
            # Of documents each problem: a line of the log that has no beginning is nobody's.
            for line in str(error).splitlines() or ["its documents are refused"]:
                log.error("a policy was not applied: %s", line)
            raise
        self.counts["applied"] += 1
        log.info(
            "policy %d was applied%s",
            generation,
            "" if seconds is None else f", on trial: reverted in {seconds} s if not confirmed",
        )
        return {
            "generation": generation,
            "confirmSeconds": seconds,
            "isStanding": self.is_standing,
        }

    def _apply(self, documents: Sequence[Document], seconds: int | None, reevaluate: bool) -> int:
        self.require_none()
        before = self._changes.in_force()
        kept, was_standing = self._standing.read(), self.is_standing
        # First on disk: from here on a daemon that is killed starts again with what is right.
        if seconds is None:
            self.is_standing = self._standing.keep(documents)
        else:
            self._standing.keep(before.documents, is_unconfirmed=True)
        try:
            generation = self._changes.bring_into_force(documents, reevaluate=reevaluate)
        except BaseException:
            self.is_standing = was_standing
            self._standing.put_back(kept)
            raise
        if seconds is not None:
            deadline_s = self._clock() + seconds
            self._on_trial = _OnTrial(before, seconds, deadline_s, reevaluate)
        return generation

    def confirm(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Keep what is on trial for good, or go back at once.

        Raises:
            StateError: Nothing is on trial, or it cannot be kept: it stays on trial.
            RefusedByKernel: It cannot be reverted: this is tried again.
        """
        if self._on_trial is None:
            raise StateError("no policy is on trial: it was confirmed before, or reverted")
        if arguments.get("revert") is True:
            generation = self._revert("as asked")
            return {"generation": generation, "isReverted": True, "isStanding": self.is_standing}
        documents = self._changes.in_force().documents
        self.is_standing = self._standing.keep(documents)
        self._on_trial = None
        self.counts["confirmed"] += 1
        log.info("the policy on trial was confirmed")
        return {"isReverted": False, "isStanding": self.is_standing}

    def tend(self) -> None:
        """Revert what was not confirmed in time; what fails is tried again."""
        trial = self._on_trial
        if trial is None or self._clock() < trial.deadline_s:
            return
        try:
            self._revert(f"not confirmed within {trial.seconds} s")
        except (RefusedByKernel, StateError) as error:
            trial.deadline_s = self._clock() + _RETRY_S
            log.error("%s; the policy on trial is not reverted yet: trying again", error)

    def _revert(self, why: str) -> int:
        trial = self._on_trial
        assert trial is not None
        generation = self._changes.go_back(trial.before, reevaluate=trial.reevaluate)
        self._on_trial = None
        self.counts["reverted"] += 1
        try:
            self.is_standing = self._standing.keep(trial.before.documents)
        except StateError as error:
            # What is kept already are the same documents.
            self.is_standing = True
            log.error("%s", error)
        log.warning(
            "policy %d is the one before again: the trial was reverted, %s", generation, why
        )
        return generation

    def end(self) -> None:
        """Go back before the daemon ends: nobody would do it any more."""
        if self._on_trial is None:
            return
        try:
            self._revert("as the daemon ends")
        except (RefusedByKernel, StateError) as error:
            log.error("%s; the rules of the policy on trial stay", error)
