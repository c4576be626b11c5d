"""How names and keys compare, in Azure and here, and how an address is written."""

from __future__ import annotations

# Regular expressions: one number of an IPv4 address, without leading zero, and the whole of it.
# Each number is a group.
IPV4_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4_ADDRESS = r"\.".join([IPV4_OCTET] * 4)


def fold(text: str) -> str:
    """The form in which names and keys are compared: only ASCII letters have two cases."""
    # Only ASCII: lower() makes a k of the Kelvin sign.
    return text.lower() if text.isascii() else text
