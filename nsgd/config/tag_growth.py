"""What a new service tags file has more of than the one before: addresses that rules then match.

A rule that allows what a tag holds lets in whoever is in the tag: a file that is wrong by being
too wide does more harm than one that is short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nsgd.config.tag_catalogue import TagCatalogue
from nsgd.model.address import IP_VERSIONS, IPVersion, Prefix

# Microsoft's files of 2023 and 2025 have none shorter than 14 and 40.
SHORTEST_PREFIX: Mapping[IPVersion, int] = {4: 8, 6: 16}
_MOST_TIMES = 10
# What the growth of a smaller tag is measured by: from 32 to 1920 addresses, as
# AzureSecurityCenter went, is no reason to look at.
_SMALL_TAG: Mapping[IPVersion, int] = {4: 1 << 32 - 24, 6: 1 << 128 - 48}


def short_prefixes(new: TagCatalogue, old: TagCatalogue | None) -> Iterator[tuple[str, str]]:
    """Each tag and prefix of a size that none has; not those that the tag had already."""
    for name in new.names():
        short = [text for text in new.texts(name) if _is_short(text)]
        if short:
            before = None if old is None else old.find(name)
            had = set() if old is None or before is None else set(old.prefixes(before))
            yield from ((name, text) for text in short if Prefix.parse(text) not in had)


def _is_short(text: str) -> bool:
    return int(text[text.index("/") + 1 :]) < SHORTEST_PREFIX[6 if ":" in text else 4]


def growth(
    new: tuple[Prefix, ...], old: tuple[Prefix, ...]
) -> Iterator[tuple[IPVersion, int, int]]:
    """Families of which a tag has over tenfold: version, addresses now, and before."""
    for version in IP_VERSIONS:
        now, had = _addresses(new, version), _addresses(old, version)
        if now > _MOST_TIMES * max(had, _SMALL_TAG[version]):
            yield version, now, had


def _addresses(prefixes: tuple[Prefix, ...], version: IPVersion) -> int:
    """How many addresses of a family there are, one in several prefixes counted once."""
    total, end = 0, -1
    for prefix in sorted(prefix for prefix in prefixes if prefix.version == version):
        if prefix.last > end:  # not inside an earlier one; in part it cannot be
            total += prefix.last - prefix.first + 1
            end = prefix.last
    return total
