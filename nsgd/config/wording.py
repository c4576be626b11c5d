"""Words for messages: values as a reader may see them, and the word that was meant."""

from __future__ import annotations

import difflib
from functools import lru_cache

_SHOWN_CHARACTERS = 60
_LONGEST_COMPARED = 64


def show(value: object) -> str:
    """Write a document's value for a message: one line, printable, of bounded length."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # repr escapes what a terminal would act on, lone surrogates included.
        return repr(value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}...")
    if isinstance(value, (int, float)):
        text = repr(value)
        return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    return "a list" if isinstance(value, list) else "an object"


# One mistake is often made in every object of a list.
@lru_cache(256)
def closest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that *word* was probably meant to be."""
    if len(word) > _LONGEST_COMPARED:
        return None
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None
