"""Names of what sets and chains hold."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from nsgd.ruleset import physical
from nsgd.ruleset.physical import content_digest, plain_digest

# CPython's HASHLIB_GIL_MINSIZE: of so many bytes at once a hash lets go of the interpreter.
LETS_GO_BYTES = 2048


@pytest.mark.parametrize("length", [0, 1, 2045, 2046, 4092, 4093, 100_000])
def test_digests_keep_the_interpreter(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing long is hashed at once, and the digest is that of all of it."""
    content = "x" * length
    pieces: list[int] = []

    class Recorder:
        def __init__(self, epoch: str) -> None:
            self._hash = blake2b(digest_size=16, key=epoch.encode())
            self.digest = self._hash.digest

        def copy(self) -> Recorder:
            return self

        def update(self, data: bytes) -> None:
            pieces.append(len(data))
            self._hash.update(data)

    monkeypatch.setattr(physical, "_keyed", Recorder)
    digest = content_digest(content, "a")
    assert digest == blake2b(repr(content).encode(), digest_size=16, key=b"a").hexdigest()
    assert max(pieces) < LETS_GO_BYTES
    assert sum(pieces) == length + 2


def test_plain_digests_tell_by_value() -> None:
    """Neither which objects are one nor which strings are known elsewhere makes a difference."""
    shared = (1 << 100, "nsg/web")
    apart = int("1" + "0" * 100, 2), "/".join(["nsg", "web"])
    assert plain_digest([shared, shared], "a") == plain_digest([shared, apart], "a")
    contents = [shared, [shared], (shared,), (shared, 0), (shared, -1), ((shared[0], "nsg/wed"),)]
    assert len({plain_digest(content, epoch) for content in contents for epoch in "ab"}) == 12
