"""The manual page nsgd.yaml(5), from the tables that the readers of documents use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nsgd import __version__
from nsgd.config.compound import Field, ListOf, NameOr, ObjectOf
from nsgd.config.schema import DOCUMENT
from nsgd.config.schema_meanings import MEANINGS
from nsgd.config.shape import Boolean, Choice, Integer, Parsed, Shape, Text
from nsgd.manual import roff

_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")

# A whole policy, which the tests load.
EXAMPLE = """\
virtualNetworks:
  - name: lab
    addressSpace: [10.0.0.0/16]
    subnets:
      - {name: web, addressPrefixes: [10.0.1.0/24], networkSecurityGroup: web}
networkInterfaces:
  - {name: web1, subnet: lab/web, privateIPAddresses: [10.0.1.4], link: veth-web1}
networkSecurityGroups:
  - name: web
    securityRules:
      - {name: AllowHttp, priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
         sourceAddressPrefix: Internet, sourcePortRange: '*',
         destinationAddressPrefix: '*', destinationPortRanges: ['80', '443']}
"""

_DESCRIPTION = (
    "A policy is written in Azure's words, in YAML or JSON, as one document or as several that are"
    " loaded as one: virtual networks, the network interfaces in them, and the groups of rules"
    " that are attached to either. Exports of Azure and ARM templates are documents too.",
    "Of YAML only what JSON has is read: 0100, 22:30 and no are text, '*' stands in quotes, and a"
    " key that is given twice is refused. Null, empty text and an empty list mean that a key is"
    " absent. Words of enumerations, service tags and names compare without case.",
    "An unknown key is refused, never passed over. 'nsgd check' tells every problem with its line"
    " and the way out, 'nsgd schema' prints a JSON Schema for editors.",
)
_FILES = (
    ("/etc/nsgd/", "where the units look for documents: every .yaml, .yml and .json, by name"),
)


def document_page(date: str) -> str:
    """The page's source: one section for each kind of object, in the order of the document."""
    sections = "".join(
        roff.section_of(_heading(shape), roff.definitions(_fields(shape)))
        for shape in _objects(DOCUMENT, [])
    )
    files = roff.definitions((roff.bold(path), text) for path, text in _FILES)
    return "".join(
        (
            roff.title("nsgd.yaml", 5, __version__, date, "policy documents of nsgd"),
            roff.section_of("DESCRIPTION", "".join(map(roff.paragraph, _DESCRIPTION))),
            sections,
            roff.section_of("EXAMPLE", roff.literal(EXAMPLE)),
            roff.section_of("FILES", files),
            roff.section_of("SEE ALSO", roff.escape("nsgd(8)") + "\n"),
        )
    )


def _objects(shape: Shape, seen: list[str]) -> Iterator[ObjectOf]:
    """Each kind of object once, before those inside it."""
    match shape:
        case ListOf():
            yield from _objects(shape.item, seen)
        case NameOr():
            if shape.full.fields.keys() != {"name"}:
                yield from _objects(shape.full, seen)
        case ObjectOf() if shape.what not in seen:
            seen.append(shape.what)
            yield shape
            for field in shape.fields.values():
                yield from _objects(field.shape, seen)


def _heading(shape: ObjectOf) -> str:
    """'a security rule' to SECURITY RULE, 'the serviceTags section' to SERVICE TAGS SECTION."""
    return _HUMP.sub(" ", shape.what.partition(" ")[2]).upper()


def _fields(shape: ObjectOf) -> Iterator[tuple[str, str]]:
    for key, field in shape.fields.items():
        yield roff.bold(key), ". ".join(part for part in _about(key, field) if part) + "."


def _about(key: str, field: Field) -> Iterator[str]:
    yield MEANINGS[key]
    words = words_for(field.shape)
    yield words[:1].upper() + words[1:]
    if field.is_required:
        yield "Required"
    elif field.default not in (None, "", []):
        yield f"Default: {_value(field.default)}"


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(str(entry) for entry in value)
    return str(value)


def words_for(shape: Shape) -> str:
    """What a value may be, in a few words."""
    match shape:
        case Text():
            most = "" if shape.longest is None else f" of at most {shape.longest} characters"
            return f"{shape.allowed}{most}"
        case Integer() if shape.smallest == shape.largest:
            return str(shape.smallest)
        case Integer():
            return f"a number from {shape.smallest} to {shape.largest}"
        case Boolean():
            return "true or false"
        case Choice():
            return f"one of {', '.join(shape.choices)}"
        case Parsed():
            return shape.allowed
        case ListOf():
            return f"a list, each entry {words_for(shape.item)}"
        case NameOr() if shape.full.fields.keys() == {"name"}:
            return "a name"
        case NameOr():
            return f"a name, or {shape.full.what}"
        case ObjectOf():
            return f"{shape.what}, see {_heading(shape)}"
    raise TypeError(f"{type(shape).__name__} has no words")
