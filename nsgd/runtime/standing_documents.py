"""Documents that stand in place of those of ``--config``, kept in the state directory.

They stand for as long as the documents of ``--config`` are what they were when this was decided:
whatever is written there later is newer, and counts again from the next reload or start on.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nsgd.config.document import Document, Role
from nsgd.config.problem import ConfigRefused
from nsgd.config.templates import read_templates
from nsgd.runtime.atomic_file import replace_file
from nsgd.runtime.documents import read_documents, read_linked
from nsgd.runtime.packed_documents import pack_documents, unpack_documents
from nsgd.runtime.state import StateError

log = logging.getLogger("nsgd")

_FILE = "standing-documents.json"
_VERSION = 1
# Of documents that cannot be read: they are never those that something stands in place of.
_UNREADABLE = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file holds."""

    documents: tuple[Document, ...]
    config_digest: str
    is_unconfirmed: bool  # a daemon of that time had others in force, on trial


class StandingDocuments:
    """Says which documents a start or a reload loads."""

    def __init__(
        self, paths: Sequence[Path], parameters: Sequence[Path], state_directory: Path
    ) -> None:
        self._paths, self._parameters = paths, parameters
        self._directory = state_directory
        self._path = state_directory / _FILE

    def given(self) -> tuple[Document, ...] | None:
        """Those that stand in place of --config; None where its own documents count.

        Raises:
            StateError: It cannot be told: the file is damaged.
        """
        kept = self.read()
        if kept is None:
            return None
        digest = self._config_digest()
        # A start must not fail for want of documents that would not be loaded anyway.
        if digest in (kept.config_digest, _UNREADABLE):
            log.info("documents of 'nsgd apply' stand in place of those of --config")
            return kept.documents
        log.info("the documents of --config are others than before, and count again")
        return None

    def read(self) -> Kept | None:
        """What is kept, whether it still stands or not. Raises StateError."""
        try:
            value = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise StateError(f"{self._path} cannot be read: {error}; {self._way_out}") from error
        try:
            if value["version"] != _VERSION:
                raise ValueError(f"version {value['version']!r} is not {_VERSION}")
            digest, is_unconfirmed = value["configDigest"], value["isUnconfirmed"]
            if not isinstance(digest, str) or not isinstance(is_unconfirmed, bool):
                raise TypeError("not what it must be")
            return Kept(unpack_documents(value["documents"]), digest, is_unconfirmed)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"{self._path} is damaged ({error}); {self._way_out}") from error

    @property
    def _way_out(self) -> str:
        return "restore it, or remove it for the documents of --config to count"

    def keep(self, documents: Sequence[Document], *, is_unconfirmed: bool = False) -> bool:
        """Let documents stand from now on; nothing is kept where --config has the very same.

        Args:
            documents: All of a policy, with those that others link to.
            is_unconfirmed: These are in force again with the next start, and others until then.

        Returns:
            Whether they stand in place of others.

        Raises:
            StateError: What was kept before is kept.
        """
        digest = self._config_digest()
        if _digest(documents) == digest and not is_unconfirmed:
            self.put_back(None)
            return False
        self.put_back(Kept(tuple(documents), digest, is_unconfirmed))
        return True

    def settle(self, loaded: Sequence[Document]) -> bool:
        """Follow what was loaded as given() said; whether it stands in place of others.

        Raises StateError.
        """
        kept = self.read()
        if kept is None:
            return False
        if kept.documents != tuple(loaded) or _digest(loaded) == kept.config_digest:
            self.put_back(None)
            return False
        if kept.is_unconfirmed:
            self.put_back(replace(kept, is_unconfirmed=False))
        return True

    def put_back(self, kept: Kept | None) -> None:
        """Keep exactly this. Raises StateError."""
        try:
            if kept is None:
                self._path.unlink(missing_ok=True)
                return
            content = {
                "version": _VERSION,
                "configDigest": kept.config_digest,
                "isUnconfirmed": kept.is_unconfirmed,
                "documents": pack_documents(kept.documents),
            }
            self._directory.mkdir(parents=True, exist_ok=True)
            # Documents may be nobody else's business.
            replace_file(self._path, json.dumps(content).encode(), 0o600)
        except OSError as error:
            raise StateError(f"{self._path} cannot be written: {error.strerror}") from error

    def _config_digest(self) -> str:
        try:
            documents = read_documents(self._paths, self._parameters)
            return _digest([*documents, *read_templates(documents, set(), read_linked).linked])
        except ConfigRefused:
            return _UNREADABLE


def _digest(documents: Sequence[Document]) -> str:
    """Of contents, in their order: a policy is the same under whatever names of files."""
    whole = hashlib.sha256()
    # What is linked to comes last in some orders, and is found by its links in all.
    for document in sorted(documents, key=lambda each: each.role is Role.LINKED):
        content = hashlib.sha256(document.content).digest()
        whole.update(document.role.value.encode() + b"\0" + content)
    return whole.hexdigest()
