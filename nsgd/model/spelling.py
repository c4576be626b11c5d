"""How names and keys compare, in Azure and here, and how an address is written."""

from __future__ import annotations

# Regular expressions: one number of an IPv4 address, without leading zero, and the whole of it.
# Each number is a group.
IPV4_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4_ADDRESS = r"\.".join([IPV4_OCTET] * 4)

_OCTETS = {str(number): number for number in range(256)}


def ipv4_value(text: str) -> int | None:
    """An IPv4 address as a number; None for any other text, leading zeros included."""
    try:
        first, second, third, fourth = text.split(".")
        return _OCTETS[first] << 24 | _OCTETS[second] << 16 | _OCTETS[third] << 8 | _OCTETS[fourth]
    except (ValueError, KeyError):
        return None


def fold(text: str) -> str:
    """The form in which names and keys are compared: only ASCII letters have two cases."""
    # Only ASCII: lower() makes a k of the Kelvin sign.
    return text.lower() if text.isascii() else text
