"""Prefixes of a service tags file, checked as text: quick, as a file has a hundred thousand."""

from __future__ import annotations

import re

from nsgd.model.address import Prefix
from nsgd.model.spelling import IPV4_ADDRESS, ipv4_value

# The bits of a host, by the text of a prefix length.
_HOST_BITS = {str(length): 0xFFFFFFFF >> length for length in range(33)}
_LENGTHS = {str(length): length for length in range(129)}
_GROUP = r"[0-9A-Fa-f]{1,4}"
_GROUPS = rf"({_GROUP}(?::{_GROUP}){{0,7}})?"
_IPV6 = re.compile(rf"{_GROUPS}(?:(::){_GROUPS})?/(12[0-8]|1[01][0-9]|[1-9]?[0-9])")
_WITH_GAP = re.compile(rf"(?:{_GROUP}:){{1,6}}:({_GROUP})?")
_TAIL_OF_IPV4 = re.compile(rf"(?<=:){IPV4_ADDRESS}(?=/)")
_LENGTH = re.compile(r"/(?:0|[1-9][0-9]{0,2})\Z")
_LONGEST_PREFIX = 64


def why_no_prefix(text: object) -> str:
    """What is wrong with a prefix of a service tag; empty where nothing is."""
    if not isinstance(text, str):
        return "is not text"
    # As Prefix.parse() judges, which takes eight times as long for the most of the file.
    address, _, length_text = text.partition("/")
    length = None
    if ":" in address:
        length = _length_at_sight(address, length_text)
    else:
        value, host_bits = ipv4_value(address), _HOST_BITS.get(length_text)
        if value is not None and host_bits is not None:
            if value & host_bits:
                return "has host bits set"
            length = _LENGTHS[length_text]
    if length is None:
        if len(text) > _LONGEST_PREFIX or not _LENGTH.search(text):
            return "is not an address with a prefix length"
        try:
            length = _length_of_ipv6(text)
        except ValueError as error:
            is_host_bits = "host bits" in str(error)
            return "has host bits set" if is_host_bits else "is not an address prefix"
    return "" if length else "is every address there is: no service tag is that"


def _length_at_sight(address: str, length_text: str) -> int | None:
    """The length of such as 2001:db8::/32 or 2001:db8::188/125; None for others and wrong ones."""
    length = _LENGTHS.get(length_text)
    found = _WITH_GAP.fullmatch(address)
    if length is None or found is None:
        return None
    last = found[1]
    if last:
        beyond = 128 - length  # bits behind the length
    else:
        last = address[:-2].rpartition(":")[2]
        beyond = 16 * (address.count(":") - 1) - length  # the same, of the groups written
    if beyond <= 0:
        return length
    # Within the last group: those before it are within the length.
    return length if beyond <= 16 and not int(last, 16) & (1 << beyond) - 1 else None


def _length_of_ipv6(text: str) -> int:
    """As Prefix.parse(text).length, in a third of the time for what files are full of."""
    groups = _TAIL_OF_IPV4.sub(_two_groups, text) if "." in text else text
    found = _IPV6.fullmatch(groups)
    if not found:
        return Prefix.parse(text).length
    head, gap, tail, length_text = found.groups()
    first = head.split(":") if head else []
    last = tail.split(":") if tail else []
    missing = 8 - len(first) - len(last)
    if missing < 1 if gap else missing:
        raise ValueError("not eight groups")
    value = 0
    for group in (*first, *["0"] * missing, *last):
        value = value << 16 | int(group, 16)
    length = int(length_text)
    if value & (1 << 128 - length) - 1:
        raise ValueError("host bits are set in the prefix")
    return length


def _two_groups(found: re.Match[str]) -> str:
    """The end of ::ffff:10.0.0.0/104 as groups."""
    a, b, c, d = map(int, found.groups())
    return f"{a << 8 | b:x}:{c << 8 | d:x}"
