"""Tells templates and parameter files from other documents, and reads their lenient JSON."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from nsgd.arm.problem import TemplateRefused
from nsgd.arm.text import ParsedTemplate, parse_template_text
from nsgd.config.parse import decode_document
from nsgd.config.tree import Unreadable

# What a document says of itself, before anyone has read it.
_SAYS_SO = re.compile(rb"deployment(?:Template|Parameters)\.json", re.IGNORECASE)
_SIGNS = b"deploymenttemplate.json", b"deploymentparameters.json", b"contentversion"
_OBJECT = re.compile(r"[\s\ufeff]*(?:\{|//|/\*)")
_FILE_KEYS = frozenset(("$schema", "contentversion", "parameters", "metadata"))


class TemplateKind(Enum):
    """Which of the two files of a deployment a document is."""

    TEMPLATE = "template"
    PARAMETERS = "parameters"


class TemplateText(NamedTuple):
    """A template or a parameter file with its lines."""

    kind: TemplateKind
    parsed: ParsedTemplate


def read_template_text(content: bytes, *, is_given: bool = False) -> TemplateText | None:
    """Read a template or a parameter file, or return None where the document is neither.

    Such a document has the ``$schema`` of a deployment template or of deployment parameters, or
    ``resources`` beside ``contentVersion``. It may have comments and stray commas.

    Args:
        content: The document.
        is_given: It was given as a parameter file, and must be one.

    Raises:
        Unreadable: It is or says that it is one, and cannot be read.
    """
    if is_given:
        return _read_given(decode_document(content))
    if not may_be_deployment(content):
        return None
    text = decode_document(content)
    if _OBJECT.match(text) is None:
        return None
    try:
        parsed = parse_template_text(text)
    except TemplateRefused as refused:
        if _SAYS_SO.search(content) is None:
            return None
        raise _unreadable(refused) from None
    kind = template_kind(parsed.tree)
    return None if kind is None else TemplateText(kind, parsed)


def may_be_deployment(content: bytes) -> bool:
    """Tell whether it may be a template or a parameter file; most documents may not."""
    lowered = content.lower()  # with this, ten times as fast as a pattern for any case
    return any(sign in lowered for sign in _SIGNS)


def _read_given(text: str) -> TemplateText:
    try:
        parsed = parse_template_text(text)
    except TemplateRefused as refused:
        raise _unreadable(refused) from None
    if template_kind(parsed.tree) is TemplateKind.TEMPLATE:
        raise Unreadable("this is a template, and no parameter file", "name it with --config")
    return TemplateText(TemplateKind.PARAMETERS, parsed)


def _unreadable(refused: TemplateRefused) -> Unreadable:
    problem = refused.problems[0]
    return Unreadable(problem.message, problem.way_out, problem.line)


def template_kind(tree: dict[str, object]) -> TemplateKind | None:
    """What an object is of a deployment, if anything."""
    keys = {key.lower(): value for key, value in tree.items()}
    schema = keys.get("$schema")
    if isinstance(schema, str):
        if "deploymenttemplate.json" in schema.lower():
            return TemplateKind.TEMPLATE
        if "deploymentparameters.json" in schema.lower():
            return TemplateKind.PARAMETERS
    if "contentversion" not in keys:
        return None
    if isinstance(keys.get("resources"), list | dict):
        return TemplateKind.TEMPLATE
    if isinstance(keys.get("parameters"), dict) and keys.keys() <= _FILE_KEYS:
        return TemplateKind.PARAMETERS
    return None
