"""How packets reach the workers: one queue, or one of several by a hash of the flow.

Balancing in the queue statement or target itself hashes addresses only, so that all flows between
two hosts would be one worker's. `symhash` takes ports too, and is the same for both directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.ruleset.branches import BranchBy
from nsgd.ruleset.keys import Key, flow_hash_key
from nsgd.ruleset.objects import Chain, NftRule, VerdictMap, nft_rule
from nsgd.ruleset.statements import Count, Drop, Queue

_SHARES = "queues"


@dataclass(frozen=True, slots=True)
class QueueRule:
    """How packets reach the workers on this kernel: *count* queues from *number* on."""

    number: int
    native: bool
    count: int = 1

    def ending(self, *, bypass: bool) -> Iterator[NftRule]:
        """The rules that count and queue, at the end of a chain."""
        if self.count == 1:
            yield nft_rule(Count("queued"), Queue(self.number, self.native, bypass))
            return
        yield nft_rule(Count("queued"), BranchBy(self._key, _SHARES))
        yield nft_rule(Drop(), comment="never: each share has a queue")

    def chains(self, *, bypass: bool) -> Iterator[Chain]:
        """A chain for each queue, where there are several."""
        for share, name in self._shares():
            yield Chain(name, (nft_rule(Queue(self.number + share, self.native, bypass)),))

    def sets(self) -> Iterator[VerdictMap]:
        """The map from a flow's share to the chain of its queue."""
        if self.count > 1:
            entries = tuple((share, share, name) for share, name in self._shares())
            yield VerdictMap(_SHARES, self._key, entries, room=self.count)

    @property
    def _key(self) -> Key:
        return flow_hash_key(self.count)

    def _shares(self) -> Iterator[tuple[int, str]]:
        if self.count > 1:
            for share in range(self.count):
                yield share, f"queue/{self.number + share}"
