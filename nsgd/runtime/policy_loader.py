"""Loads a policy for a start, a reload or an apply, from the documents that count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nsgd.config.document import Document
from nsgd.model.settings import DaemonSettings
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.load import LoadedBefore, LoadedPolicy, load_policy
from nsgd.runtime.standing_documents import StandingDocuments
from nsgd.runtime.tag_store import InstalledTags


class PolicyLoader:
    """What is the same as in the last good load is not made again."""

    def __init__(
        self,
        paths: Sequence[Path],
        parameters: Sequence[Path],
        standing: StandingDocuments,
        tags: InstalledTags,
    ) -> None:
        self._paths, self._parameters = paths, parameters
        self._standing, self._tags = standing, tags
        self._before = LoadedBefore()

    def load(
        self,
        numbers: DecisionNumbers,
        running: DaemonSettings | None,
        given: Sequence[Document] | None = None,
    ) -> LoadedPolicy:
        """As load_policy(); unless documents are *given*, those that stand, or of the paths.

        Raises:
            ConfigRefused, StateError: The documents, or what says which count, are at fault.
        """
        found = self._standing.given() if given is None else given
        return load_policy(
            self._paths, numbers, running, self._before, self._tags, self._parameters, found
        )
