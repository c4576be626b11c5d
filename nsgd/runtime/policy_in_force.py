"""The policy in force as its documents, so that whoever asks loads the same and answers the same.

Documents go over the control socket as they were read, not as the file system has them by now, and
with them the service tags that they were read with.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nsgd
from nsgd.config.document import Document
from nsgd.config.tag_catalogue import TagCatalogue, TagFileRefused, read_tag_file
from nsgd.model.network import ServiceTagPrefixes
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.packed_documents import compress, expand, pack_documents, unpack_documents
from nsgd.runtime.supervisor import Supervisor

_MAXIMUM_TAGS_BYTES = 64 << 20


class PolicyAnswerError(Exception):
    """What came is no policy in force; the text says so."""


class PolicyTeller:
    """Answers the verb ``policy``; what is compressed is kept while the policy is in force."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._told: tuple[LoadedPolicy, dict[str, Any]] | None = None

    def answer(self) -> dict[str, Any]:
        """The documents that were accepted last, never those of a reload that was refused."""
        supervisor = self._supervisor
        with supervisor.lock:
            loaded, generation = supervisor.loaded, supervisor.generation
        if loaded is None:
            raise RuntimeError("no policy is in force yet")
        if self._told is None or self._told[0] is not loaded:
            self._told = loaded, _pack(loaded)
        return {"version": nsgd.__version__, "generation": generation, **self._told[1]}


@dataclass(frozen=True, slots=True)
class ToldPolicy:
    """What a daemon told: its version, the documents, and the tags in use as a TagSource."""

    version: str
    generation: int
    documents: Sequence[Document]
    tags: TagCatalogue | None

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """The tags in use, whichever cloud they are of: documents name one at most."""
        return self.tags


def _pack(loaded: LoadedPolicy) -> dict[str, Any]:
    tags = loaded.model.service_tags
    return {
        "policyHash": loaded.content_hash,
        "documents": pack_documents(loaded.documents),
        "serviceTags": compress(tag_file_of(tags, loaded)) if tags else None,
    }


def tag_file_of(tags: Sequence[ServiceTagPrefixes], loaded: LoadedPolicy) -> bytes:
    """The tags in use in the form of Microsoft's file, which has many others."""
    file = loaded.tag_file
    return json.dumps(
        {
            "changeNumber": 1 if file is None else file.change_number,
            "cloud": "Public" if file is None else file.cloud,
            "values": [
                {
                    "name": tag.name,
                    "id": tag.name,
                    "properties": {"addressPrefixes": [str(prefix) for prefix in tag.prefixes]},
                }
                for tag in tags
            ],
        }
    ).encode()


def read_told_policy(answer: Mapping[str, Any]) -> ToldPolicy:
    """Unpack an answer of PolicyTeller.

    Raises:
        PolicyAnswerError: It is none.
    """
    try:
        tags = answer["serviceTags"]
        return ToldPolicy(
            str(answer["version"]),
            int(answer["generation"]),
            unpack_documents(answer["documents"]),
            None if tags is None else read_tag_file(expand(tags, _MAXIMUM_TAGS_BYTES)),
        )
    except (KeyError, TypeError, ValueError, zlib.error, TagFileRefused) as error:
        raise PolicyAnswerError(
            f"the daemon's answer cannot be read ({error}); use the nsgd of the daemon's version"
        ) from error
