"""What is loaded: documents as bytes with their names, and what each is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """What a document is for; which format it has, its content says."""

    POLICY = "policy"  # declares something, or follows a template by its name
    PARAMETERS = "parameters"  # values for the parameters of templates
    LINKED = "linked"  # a template that is read only where another one links to it


@dataclass(frozen=True, slots=True)
class Document:
    """A document's name, for messages, and its bytes."""

    name: str
    content: bytes
    role: Role = Role.POLICY


# Given the name of a template's document and a path relative to its directory, the document there,
# whose name is both joined; None where there is none. Raises nsgd.config.problem.Refusal where it
# is there and cannot be read.
ReadLinked = Callable[[str, str], Document | None]
