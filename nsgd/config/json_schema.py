"""The document format as JSON Schema, walked from the tables that the readers use.

Whatever the reader takes is valid, so that an editor never refuses what `nsgd check` accepts. The
other way round the schema sees one value at a time: references, overlaps and fields that exclude
one another are for `nsgd check` alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nsgd.config.addresses import BUILT_IN_TAGS, parse_address, parse_prefix, parse_rule_address
from nsgd.config.compound import Field, ListOf, NameOr, ObjectOf
from nsgd.config.dialect import parse_dialect
from nsgd.config.failsafe import parse_failsafe_source
from nsgd.config.flow_log import parse_log_path
from nsgd.config.ports import parse_port_range
from nsgd.config.rule_tags import parse_cloud
from nsgd.config.schema import DOCUMENT
from nsgd.config.schema_meanings import MEANINGS
from nsgd.config.settings import parse_listen, parse_mark_mask
from nsgd.config.shape import Boolean, Choice, Integer, Parsed, Shape, Text
from nsgd.config.subscription import parse_date
from nsgd.model.dialect import DIALECTS
from nsgd.model.spelling import IPV4_OCTET

JsonSchema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_IPV4 = rf"({IPV4_OCTET}\.){{3}}{IPV4_OCTET}"
# Loose: what has the characters of an IPv6 address and a colon. The reader knows the rest.
_IPV6 = r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*"
_ADDRESS = f"({_IPV4}|{_IPV6})"
_PREFIX = f"({_IPV4}(/0*(3[0-2]|[12]?[0-9]))?|{_IPV6}(/0*(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)"
_PORT = "(0|[1-9][0-9]{0,4})"
_TAG = "[A-Za-z][A-Za-z0-9_.-]{0,127}"


def _without_case(words: Mapping[str, object] | list[str]) -> str:
    """A pattern for the words in any case; JSON Schema's patterns have no flag for it."""
    return "|".join(
        "".join(
            f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else re.escape(letter)
            for letter in word
        )
        for word in words
    )


# The values that a parser of text takes, by parser; a new one must be given here.
_PARSED: Mapping[Callable[[object], object], tuple[str, JsonSchema]] = {
    parse_address: ("address", {"type": "string", "pattern": f"^{_ADDRESS}$"}),
    parse_prefix: ("prefix", {"type": "string", "pattern": f"^{_PREFIX}$"}),
    parse_rule_address: (
        "ruleAddress",
        {
            "type": "string",
            "anyOf": [
                {"enum": ["*", *BUILT_IN_TAGS]},
                # Any other service tag: which there are, Microsoft's file says.
                {"pattern": f"^(?!({_without_case(['any', 'all'])})$){_TAG}$"},
                {"pattern": f"^{_PREFIX}$"},
            ],
        },
    ),
    parse_failsafe_source: (
        "failsafeSource",
        {"type": "string", "pattern": rf"^(\*|{_PREFIX})$"},
    ),
    parse_cloud: ("cloud", {"type": "string", "pattern": "^[A-Za-z]{1,64}$"}),
    parse_port_range: (
        "portRange",
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^(\*|{_PORT}(-{_PORT})?)$"},
                {"type": "integer", "minimum": 0, "maximum": 65535},
            ]
        },
    ),
    parse_listen: (
        "listen",
        {"type": "string", "pattern": rf"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):{_PORT}$"},
    ),
    parse_log_path: (
        "logPath",
        {"type": "string", "pattern": r"^(?!(.*/)?\.\.(/|$))/.*[^/]/*$", "maxLength": 1024},
    ),
    parse_date: ("date", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
    parse_dialect: (
        "dialect",
        {
            "anyOf": [
                {"enum": [*DIALECTS, *(int(name) for name in DIALECTS if name.isdigit())]},
                {"type": "string", "pattern": f"^({_without_case(list(DIALECTS))})$"},
            ]
        },
    ),
    parse_mark_mask: (
        "markMask",
        {
            "anyOf": [
                {"type": "string", "pattern": "^0[xX][0-9A-Fa-f]{1,8}$"},
                {"type": "integer", "minimum": 0, "maximum": 0xFFFFFFFF},
            ]
        },
    ),
}


def document_schema() -> JsonSchema:
    """The schema of one policy document, draft 2020-12."""
    walker = _Walker()
    schema = walker.schema_of(DOCUMENT)
    # Referred to by every field that may be absent.
    absent: JsonSchema = {"description": "absent", "enum": [None, "", []]}
    return {
        "$schema": DIALECT,
        "title": "nsgd policy document",
        "description": "Words of enumerations, service tags and names compare without case. What"
        " concerns several values, such as references and overlaps, is checked by 'nsgd check'.",
        **schema,
        "$defs": {"absent": absent, **dict(sorted(walker.definitions.items()))},
    }


class _Walker:
    """Turns shapes into schemas; objects and parsed values become definitions."""

    def __init__(self) -> None:
        self.definitions: dict[str, JsonSchema] = {}

    def schema_of(self, shape: Shape) -> JsonSchema:
        """The schema of a value; a reference where it has a name."""
        match shape:
            case Text():
                return _text(shape)
            case Integer():
                return {"type": "integer", "minimum": shape.smallest, "maximum": shape.largest}
            case Boolean():
                return {"type": "boolean"}
            case Choice():
                return _choice(shape)
            case Parsed():
                name, schema = _PARSED[shape.parse]
                # One parser may be worded differently in two fields: the first one's words do.
                self.definitions.setdefault(name, {"description": shape.allowed, **schema})
                return {"$ref": f"#/$defs/{name}"}
            case ListOf():
                return {"type": "array", "items": self.schema_of(shape.item)}
            case NameOr():
                name_shape = shape.full.fields["name"].shape
                return {"anyOf": [self.schema_of(name_shape), self.schema_of(shape.full)]}
            case ObjectOf():
                if shape is DOCUMENT:
                    return self._object(shape)
                return self._define(_camel(shape.what), self._object(shape))
        raise TypeError(f"{type(shape).__name__} has no JSON Schema")

    def _define(self, name: str, made: JsonSchema) -> JsonSchema:
        if self.definitions.setdefault(name, made) != made:
            raise ValueError(f"two shapes are named {name}")
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, shape: ObjectOf) -> JsonSchema:
        schema: JsonSchema = {
            "type": "object",
            "properties": {key: self._field(key, field) for key, field in shape.fields.items()},
            "additionalProperties": False,
        }
        required = [key for key, field in shape.fields.items() if field.is_required]
        return schema | ({"required": required} if required else {})

    def _field(self, key: str, field: Field) -> JsonSchema:
        value = self.schema_of(field.shape)
        # Null, empty text and an empty list mean absent, which a required field must not be.
        schema = (
            _present(value) if field.is_required else {"anyOf": [value, {"$ref": "#/$defs/absent"}]}
        )
        if key in MEANINGS:
            schema = {"description": MEANINGS[key], **schema}
        return schema if field.default is None else schema | {"default": field.default}


def _present(schema: JsonSchema) -> JsonSchema:
    match schema.get("type"):
        case "array":
            return schema | {"minItems": 1}
        case "string":
            return schema | {"minLength": 1}
    return schema


def _text(shape: Text) -> JsonSchema:
    schema: JsonSchema = {"type": "string"}
    if shape.longest is not None:
        schema["maxLength"] = shape.longest
    if shape.pattern is not None:
        # JSON Schema has ECMA's expressions, and does not anchor them.
        pattern = shape.pattern.pattern.replace(r"\Z", "$")
        schema |= {"pattern": f"^(?:{pattern})$", "$comment": shape.allowed}
    return schema


def _choice(shape: Choice) -> JsonSchema:
    # The words for completion in an editor, the pattern for those who spell them otherwise.
    return {
        "type": "string",
        "anyOf": [
            {"enum": list(shape.choices)},
            {"pattern": f"^({_without_case(shape.choices)})$"},
        ],
    }


def _camel(what: str) -> str:
    """'a security rule' to securityRule."""
    _, first, *rest = what.split()
    return first + "".join(word.capitalize() for word in rest)
