"""Names of what sets and chains hold."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import pytest

from nsgd.ruleset import physical
from nsgd.ruleset.physical import content_digest

# CPython's HASHLIB_GIL_MINSIZE: of so many bytes at once a hash lets go of the interpreter.
LETS_GO_BYTES = 2048


@pytest.mark.parametrize("length", [0, 1, 2045, 2046, 4092, 4093, 100_000])
def test_digests_keep_the_interpreter(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing long is hashed at once, and the digest is that of all of it."""
    content = "x" * length
    pieces: list[int] = []

    class Recorder:
        def __init__(self, data: bytes = b"", **options: Any) -> None:
            pieces.append(len(data))
            self._hash = blake2b(data, **options)
            self.hexdigest = self._hash.hexdigest

        def update(self, data: bytes) -> None:
            pieces.append(len(data))
            self._hash.update(data)

    monkeypatch.setattr(physical, "blake2b", Recorder)
    digest = content_digest(content, "a")
    assert digest == blake2b(repr(content).encode(), digest_size=16, key=b"a").hexdigest()
    assert max(pieces) < LETS_GO_BYTES
    assert sum(pieces) == length + 2
