"""Sets of addresses as the fewest CIDR blocks, in ascending order, IPv4 before IPv6."""

from __future__ import annotations

from nsgd.model.address import ADDRESS_BITS, IP_VERSIONS, Prefix
from nsgd.policy.address_set import AddressSet


def to_prefixes(addresses: AddressSet) -> tuple[Prefix, ...]:
    """The blocks that hold exactly these addresses."""
    found: list[Prefix] = []
    for version in IP_VERSIONS:
        bits = ADDRESS_BITS[version]
        for first, last in addresses.ranges(version):
            start = first
            while start <= last:
                # The largest block that starts here: as aligned as its start, no longer than what
                # is left.
                aligned = (start & -start).bit_length() - 1 if start else bits
                free = min(aligned, (last - start + 1).bit_length() - 1)
                found.append(Prefix(version, start, bits - free))
                start += 1 << free
    return tuple(found)
