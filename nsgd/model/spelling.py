"""How names and keys compare, in Azure and here."""

from __future__ import annotations


def fold(text: str) -> str:
    """The form in which names and keys are compared: only ASCII letters have two cases."""
    # Only ASCII: lower() makes a k of the Kelvin sign.
    return text.lower() if text.isascii() else text
