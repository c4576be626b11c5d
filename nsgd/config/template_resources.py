"""Evaluated resources of a template as Azure's JSON, which has no values that are not known.

What decides which packets pass must be known: it is refused where only a deployment knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nsgd.arm.evaluate import Resource
from nsgd.arm.needed import DECIDING, deciding_unknowns
from nsgd.arm.scope import PLACEHOLDER_GROUP, PLACEHOLDER_SUBSCRIPTION
from nsgd.arm.unknown import Assumed, Origin, Unknown
from nsgd.azure.resource_id import LocatedId, ResourceId, parse_resource_id
from nsgd.config.names import fold
from nsgd.config.problem import Key
from nsgd.config.wording import show

# Keys with text that rules and addresses are made of, by how they begin.
_DECIDING_TEXT = ("addressprefix", "sourceaddress", "destinationaddress", "sourceport",
                  "destinationport", "privateip", "protocol", "access", "direction", "priority",
                  "servicename")  # fmt: skip
_WRITE_IT = "write the value itself, or make it a parameter and give that"


class Finding(NamedTuple):
    """A mistake in one resource: where in it, what, and the way out."""

    keys: tuple[Key, ...]
    message: str
    way_out: str


def is_network_resource(resource: Resource) -> bool:
    """Whether a resource declares something that decides, or a part of it."""
    return fold(resource.type) in DECIDING and not resource.is_existing


def find_unknown(resource: Resource) -> Iterator[Finding]:
    """What of a network resource decides and is not known."""
    for keys, unknown in deciding_unknowns(resource):
        # Parameters without a value are told by the evaluation itself, each once.
        if unknown.origin not in (Origin.REFUSED, Origin.PARAMETER):
            way_out = _WRITE_IT if unknown.origin is Origin.CONTEXT else unknown.way_out
            yield Finding(keys, f"the value is not known: {unknown.why}", way_out)
    for part in (resource.subscription_id, resource.resource_group):
        if isinstance(part, Unknown):
            message = f"the resource group that it is deployed to is not known: {part.why}"
            yield Finding((), message, part.way_out)
    for keys, text in _assumed_texts(resource.properties, ("properties",)):
        yield Finding(
            keys,
            f"{show(str(text))} is made of the name of a subscription, resource group or"
            " deployment, which no document says",
            _WRITE_IT,
        )


def _assumed_texts(
    value: object, keys: tuple[Key, ...]
) -> Iterator[tuple[tuple[Key, ...], Assumed]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _assumed_texts(inner, (*keys, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _assumed_texts(inner, (*keys, index))
    elif isinstance(value, Assumed):
        key = next((key for key in reversed(keys) if isinstance(key, str)), "")
        if fold(key).startswith(_DECIDING_TEXT):
            yield keys, value


def resource_id_of(resource: Resource, name: str) -> ResourceId:
    """The id of a resource of this name, as far as the template says it."""
    return ResourceId(
        _known(resource.subscription_id, PLACEHOLDER_SUBSCRIPTION),
        _known(resource.resource_group, PLACEHOLDER_GROUP),
        resource.type,
        tuple(str(part) for part in name.split("/")),
    )


def _known(part: object, placeholder: str) -> str | None:
    return str(part) if isinstance(part, str) and part != placeholder else None


def plain_value(resource: Resource, name: str) -> dict[str, Any]:
    """The resource as Azure's JSON.

    Ids say which subscription and group they name only where the template does. A value that is
    not known stands as the text of its expression, which nothing takes for a value.
    """
    fields = {key: _plain(value, key) for key, value in resource.fields.items()}
    return {
        **fields,
        "type": resource.type,
        "name": name.rpartition("/")[2],
        "properties": _plain(resource.properties, "properties"),
    }


def _plain(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, key) for inner in value]
    if isinstance(value, Unknown):
        return None if fold(key) == "description" else value.expression or f"[{value.why}]"
    if isinstance(value, Assumed):
        return _located(value) if fold(key) == "id" else str(value)
    return value


def _located(text: Assumed) -> str:
    parsed = parse_resource_id(str(text))
    if parsed is None:
        return str(text)
    return LocatedId(
        str(text),
        parsed._replace(
            subscription=_known(parsed.subscription, PLACEHOLDER_SUBSCRIPTION),
            group=_known(parsed.group, PLACEHOLDER_GROUP),
        ),
    )
