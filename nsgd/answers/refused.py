"""A question that has no answer, as an exception whose text says why and the way out."""

from __future__ import annotations


class QuestionRefused(Exception):
    """The question cannot be answered exactly; the text names what is wrong and the way out."""
