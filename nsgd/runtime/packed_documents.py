"""Documents as JSON, compressed: for the control socket and for the state directory."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from nsgd.config.document import Document, Role
from nsgd.runtime.documents import MAXIMUM_DOCUMENT_BYTES

MAXIMUM_TOTAL_BYTES = 256 << 20
_COMPRESSION_LEVEL = 1  # the supervisor does nothing else meanwhile


def pack_documents(documents: Iterable[Document]) -> list[dict[str, str]]:
    """Names, roles and bytes, for unpack_documents()."""
    return [
        {
            "name": document.name,
            "role": document.role.value,
            "content": compress(document.content),
        }
        for document in documents
    ]


def unpack_documents(packed: Sequence[Any]) -> tuple[Document, ...]:
    """The documents. Raises ValueError for anything else, and for too much of it."""
    found: list[Document] = []
    left = MAXIMUM_TOTAL_BYTES
    for each in packed:
        try:
            content = expand(each["content"], min(left, MAXIMUM_DOCUMENT_BYTES))
            name, role = each["name"], Role(each.get("role", Role.POLICY.value))
        except (KeyError, TypeError, AttributeError, zlib.error) as error:
            raise ValueError(f"not a document: {error}") from error
        if not isinstance(name, str):
            raise ValueError("a document has no name")
        left -= len(content)
        found.append(Document(name, content, role))
    return tuple(found)


def compress(content: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(zlib.compress(content, _COMPRESSION_LEVEL)).decode("ascii")


def expand(text: str, maximum_bytes: int) -> bytes:
    """The inverse. Raises ValueError, TypeError and zlib.error where it is none, or too long."""
    # A few bytes must not fill the memory of whoever reads them.
    expander = zlib.decompressobj()
    # 0 would be no limit.
    content = expander.decompress(base64.b64decode(text, validate=True), maximum_bytes or 1)
    if not expander.eof:
        raise ValueError("a document is cut short or too long")
    return content
