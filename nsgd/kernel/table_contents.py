"""What nsgd's nftables table holds: names, and what has been counted."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from nsgd.kernel.error import KernelError
from nsgd.kernel.nft_socket import NftSocket
from nsgd.ruleset import carry, commands
from nsgd.ruleset.objects import TABLE
from nsgd.ruleset.written import Present
from nsgd.wire import netlink

# Of the counters: another where somebody changes the table meanwhile.
_MOST_READINGS = 3


class NftContents(NftSocket):
    """Reads the table of this network namespace. Raises KernelError from every method."""

    def present(self) -> Present:
        """Names of what the table holds; sets that belong to a rule go with it."""
        chains: set[str] = set()
        base_chains: set[str] = set()
        for attributes in self._dump(commands.GETCHAIN):
            if _text(attributes.get(1)) == TABLE:
                hooked = base_chains if 4 in attributes else chains
                hooked.add(_text(attributes.get(3)))
        return Present(
            self.set_names(),
            frozenset(chains),
            frozenset(name for name, _ in self.objects(commands.OBJECT_LIMIT)),
            frozenset(name for name, _ in self.objects(commands.OBJECT_COUNTER)),
            frozenset(base_chains),
        )

    def rule_handles(self, chains: Iterable[str]) -> dict[str, list[bytes]]:
        """The handles of the rules of some chains, in their order."""
        return {
            chain: [
                attributes.get(3, b"")
                for attributes in self._dump(
                    commands.GETRULE, netlink.text(1, TABLE) + netlink.text(2, chain)
                )
            ]
            for chain in chains
        }

    def set_names(self) -> frozenset[str]:
        return frozenset(
            _text(attributes.get(2))
            for attributes in self._dump(commands.GETSET)
            if _text(attributes.get(1)) == TABLE
            and not int.from_bytes(attributes.get(3, b"")) & commands.SET_ANONYMOUS
        )

    def read_counters(self) -> dict[str, int]:
        """Packets of each named counter, and of what elements count with those before them.

        Denials are read behind what asks, which they are among.
        """
        for _ in range(_MOST_READINGS):
            generation = self._generation()
            counters = Counter[str]()
            counting = sorted(filter(carry.is_counting, self.set_names()), key=carry.is_of_denials)
            of_elements = self.element_counts(counting)
            for name, counted in of_elements.items():
                counters[name] = counted.packets
            for name, data in self.objects(commands.OBJECT_COUNTER):
                of_object = carry.read_counter(data)
                if of_object is not None:
                    counters[name] += of_object.packets
            if self._generation() == generation:
                break
        return counters

    def element_counts(
        self, sets: Iterable[str], only: Mapping[str, Collection[bytes]] | None = None
    ) -> carry.Counts:
        """What elements of these maps and sets have counted, those of each name together.

        *only* are the keys of those that are meant, by their set's name; None for all.
        """
        counts: carry.Counts = {}
        for each in sets:
            request = netlink.text(1, TABLE) + netlink.text(2, each)
            try:
                parts = self._dump(commands.GETSETELEM, request)
            except KernelError as error:
                if error.number != errno.ENOENT:  # it has gone meanwhile
                    raise
                continue
            for attributes in parts:
                for key, name, counted in carry.read_elements(attributes.get(3, b"")):
                    if only is None or key in only[each]:
                        counts[name] = counts.get(name, carry.NOTHING).plus(counted)
        return counts

    def _generation(self) -> bytes:
        """Another one after each transaction of anybody's."""
        return (self._look_up(commands.GETGEN, b"") or {}).get(1, b"")

    def read_counter(self, name: str) -> int:
        """Packets of one named counter; 0 where the table has none of this name."""
        request = netlink.text(1, TABLE) + netlink.text(2, name)
        found = self._look_up(commands.GETOBJ, request + netlink.be32(3, commands.OBJECT_COUNTER))
        counted = None if found is None else carry.read_counter(found.get(4, b""))
        return 0 if counted is None else counted.packets

    def objects(self, kind: int) -> Iterator[tuple[str, bytes]]:
        """Name and data of the table's counters or limits."""
        request = netlink.text(1, TABLE) + netlink.be32(3, kind)
        for attributes in self._dump(commands.GETOBJ, request):
            if _text(attributes.get(1)) == TABLE:
                yield _text(attributes.get(2)), attributes.get(4, b"")


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode(errors="replace")
