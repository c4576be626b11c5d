"""The hash that names documents in status, page, metrics and check, to be compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from nsgd.model.network import ServiceTagPrefixes


def documents_hash(digests: Sequence[bytes], tags: Sequence[ServiceTagPrefixes]) -> str:
    """16 hexadecimal digits of the documents in their order, and of the service tags in use.

    Args:
        digests: SHA-256 of each document's bytes.
        tags: The model's.
    """
    whole = hashlib.sha256(len(digests).to_bytes(8, "big"))
    for digest in digests:
        whole.update(digest)
    for tag in tags:
        whole.update(repr((tag.name, [(p.network, p.length) for p in tag.prefixes])).encode())
    return whole.hexdigest()[:16]
