"""Sets of values in a reader's words: the names that the rules use, and few prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nsgd.answers.prefixes import to_prefixes
from nsgd.model.address import ADDRESS_BITS, IPVersion, PortRange
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP
from nsgd.policy.address_set import AddressSet, Range
from nsgd.spaces.ranges import Ranges, common, complement, minus, size

ALL = "*"
_PROTOCOLS: dict[IPVersion, dict[int, str]] = {
    4: {TCP: "Tcp", UDP: "Udp", ICMP: "Icmp", ESP: "Esp", AH: "Ah"},
    6: {TCP: "Tcp", UDP: "Udp", ICMPV6: "Icmp", ESP: "Esp", AH: "Ah"},
}
_MOST_EXCEPTIONS = 3
_MOST_LISTED = 6


class AddressLabels:
    """Texts for sets of addresses of one IP version."""

    def __init__(
        self,
        version: IPVersion,
        named: Mapping[str, AddressSet],
        own: Mapping[str, Ranges] | None = None,
    ) -> None:
        """*named* are the tags and groups that the rules use, and *own* what goes by few words."""
        self._version: IPVersion = version
        self._own = {ranges: name for name, ranges in (own or {}).items()}
        self._named: dict[Ranges, str] = {}
        for name, addresses in named.items():
            if ranges := addresses.ranges(version):
                self._named.setdefault(ranges, name)
        # Where one holds another, it says more.
        self._named = dict(sorted(self._named.items(), key=lambda item: -size(item[0])))
        self._full: Ranges = ((0, (1 << ADDRESS_BITS[version]) - 1),)

    def text(self, ranges: Ranges) -> str:
        """A name, or a name with few exceptions, or the first of its prefixes."""
        if ranges == self._full:
            return ALL
        prefixes = self._prefixes(ranges)
        if len(prefixes) == 1:
            return prefixes[0]
        named = self._own.get(ranges) or self._named.get(ranges)
        if named is not None:
            return named
        candidates: list[tuple[int, str]] = []
        for known, name in ((self._full, "all"), *self._named.items()):
            missing = self._parts(minus(known, ranges))
            more = self._parts(minus(ranges, known))
            if len(missing) + len(more) > _MOST_EXCEPTIONS:
                continue
            text = ", ".join([name, *more])
            if missing:
                text += f" but {', '.join(missing)}"
            candidates.append((len(missing) + len(more), text))
        if candidates and min(candidates)[0] < len(prefixes):
            return min(candidates)[1]
        return _listed(prefixes, "prefixes")

    def _parts(self, ranges: Ranges) -> list[str]:
        """Names and blocks that make up a set; where they are too many, not all of them."""
        prefixes = self._prefixes(ranges, _MOST_EXCEPTIONS + 1)
        if ranges in self._named and len(prefixes) > 1:
            return [self._named[ranges]]
        if len(prefixes) <= _MOST_EXCEPTIONS:
            return prefixes
        found: list[str] = []
        left = ranges
        for known, name in self._named.items():
            is_one_block = len(self._prefixes(known, 2)) == 1  # which says more than its name
            if not is_one_block and common(known, left) and not minus(known, ranges):
                found.append(name)
                left = minus(left, known)
                if len(found) > _MOST_EXCEPTIONS:
                    break
        return found + self._prefixes(left, _MOST_EXCEPTIONS + 1)

    def _prefixes(self, ranges: Ranges, most: int | None = None) -> list[str]:
        return prefixes_of(self._version, ranges[:most])


def prefixes_of(version: IPVersion, ranges: Ranges) -> list[str]:
    """The fewest blocks, as text; a single address without its length."""
    addresses = AddressSet(ranges) if version == 4 else AddressSet((), ranges)
    whole = f"/{ADDRESS_BITS[version]}"
    return [str(prefix).removesuffix(whole) for prefix in to_prefixes(addresses)]


def protocol_text(version: IPVersion, ranges: Ranges) -> str:
    """Protocols by name, where rules have names for them."""
    names = _PROTOCOLS[version]
    if ranges == ((0, 255),):
        return ALL
    missing = complement(ranges, 255)
    if size(missing) <= len(names):
        return f"all but {', '.join(_numbers(missing, names))}"
    return _listed(list(_numbers(ranges, names)), "protocols")


def port_text(ranges: Ranges) -> str:
    """Ports as rules have them."""
    if ranges == ((0, 65535),):
        return ALL
    missing = complement(ranges, 65535)
    if len(missing) < len(ranges):
        return f"all but {', '.join(port_list(missing))}"
    return _listed(port_list(ranges), "ranges")


def port_list(ranges: Sequence[Range]) -> list[str]:
    """Each range as text."""
    return [str(PortRange(first, last)) for first, last in ranges]


def number_list(ranges: Sequence[Range]) -> list[str]:
    """Each range of numbers as text."""
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]


def _numbers(ranges: Sequence[Range], names: Mapping[int, str]) -> Iterable[str]:
    for first, last in ranges:
        if last - first > len(names):
            yield f"{first}-{last}"
        else:
            yield from (names.get(number, str(number)) for number in range(first, last + 1))


def _listed(texts: Sequence[str], noun: str) -> str:
    if len(texts) <= _MOST_LISTED:
        return ", ".join(texts)
    return f"{', '.join(texts[: _MOST_LISTED - 1])} and {len(texts) - _MOST_LISTED + 1} more {noun}"
