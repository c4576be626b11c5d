"""Refuses documents that declare no resource: they would put an empty policy into force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nsgd.config.compound import ListOf
from nsgd.config.document import Document, Role
from nsgd.config.problem import Problem
from nsgd.config.schema import DOCUMENT

_ABSENT: tuple[object, ...] = (None, "", [], {})

# Every list of a document is one of resources; its other sections say how to read or to run.
_RESOURCES = tuple(key for key, field in DOCUMENT.fields.items() if isinstance(field.shape, ListOf))


def nothing_declared(
    documents: Sequence[Document],
    fields: Sequence[Mapping[str, Any]],
    native: Iterable[Mapping[str, object] | None],
) -> tuple[Problem, ...]:
    """The problem that no document declares anything, or nothing where one does.

    Native documents that hold another section were written to declare nothing: they may, unless
    there are answers of Azure's beside them, in which something was looked for.

    Args:
        documents: All documents.
        fields: What was read from each.
        native: Each as it was written, or None where it is Azure's JSON or a template.
    """
    if any(of_document.get(section) for of_document in fields for section in _RESOURCES):
        return ()
    trees = tuple(native)
    if None not in trees and any(
        tree[key] not in _ABSENT for tree in trees if tree for key in tree
    ):
        return ()
    names = ", ".join(document.name for document in documents if document.role is Role.POLICY)
    return (
        Problem(
            names,
            "",
            None,
            "no resource is declared: nothing would be enforced",
            "declare at least one; where it is an empty answer of 'az ... list', see by"
            " 'az account show' whether the subscription is the right one",
        ),
    )
