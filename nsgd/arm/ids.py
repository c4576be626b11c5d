"""Resource ids, and the functions that make them.

Source:
    Azure, Resource functions for ARM templates: resourceId, subscriptionResourceId,
    extensionResourceId, tenantResourceId, managementGroupResourceId.
"""

from __future__ import annotations

from typing import Any

from nsgd.arm.assumed import spell
from nsgd.arm.expression import Call
from nsgd.arm.forms import Apply, Evaluate, Form
from nsgd.arm.functions.arguments import need_text
from nsgd.arm.limits import need_string_length
from nsgd.arm.problem import Mistake, show
from nsgd.arm.scope import Place, Scope
from nsgd.arm.unknown import Assumed, Origin, Unknown, plain

_WAY_OUT = "give the type, and one name for each of its parts after the namespace"


def place_prefix(place: Place) -> str | Unknown:
    """The beginning of the ids of resources at a place, up to and without /providers."""
    pieces: list[str] = []
    for kind, part in (
        ("subscriptions", place.subscription_id),
        ("resourceGroups", place.resource_group),
    ):
        if isinstance(part, Unknown):
            return part
        if part is not None:
            pieces += [f"/{kind}/", part]
    return spell(*pieces)


def make_id(prefix: str, kind: str, names: list[str]) -> str:
    """The id of a resource of type *kind* below *prefix*. Raises Mistake."""
    if isinstance(kind, Assumed):
        raise Mistake("the type depends on a name that is not known", "write the type itself")
    namespace, *parts = kind.split("/")
    if not parts or len(parts) != len(names):
        raise Mistake(f"{len(names)} names do not fit the type {show(kind)}", _WAY_OUT)
    pieces = [prefix, f"/providers/{namespace}"]
    for part, name in zip(parts, names, strict=True):
        pieces += [f"/{part}/", name]
    return spell(*pieces)


def _texts(call: Call, scope: Scope, evaluate: Evaluate) -> list[str] | Unknown:
    values = [evaluate(argument, scope) for argument in call.arguments]
    for value in values:
        if isinstance(value, Unknown):
            return plain(value)
    characters = sum(len(need_text(value)) for value in values)
    need_string_length(characters)
    scope.run.budget.spend_text(characters)
    return values


def _id_form(name: str, groups: int) -> Form:
    """A form that takes up to *groups* arguments before the type."""

    def apply(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
        texts = _texts(call, scope, evaluate)
        if isinstance(texts, Unknown):
            return texts
        before, kind, names = _split(texts, groups)
        place = scope.place
        if name == "resourceId" and before:
            place = Place(before[0] if len(before) > 1 else place.subscription_id, before[-1])
        elif name == "subscriptionResourceId":
            place = Place(before[0] if before else place.subscription_id, None)
        prefix = place_prefix(place)
        return prefix if isinstance(prefix, Unknown) else make_id(prefix, kind, names)

    typed: Apply = apply
    return Form(name, typed, 2, None)


def _split(texts: list[str], groups: int) -> tuple[list[str], str, list[str]]:
    for at in range(min(groups, len(texts) - 2) + 1):
        # A type has as many names as parts after the namespace; nothing else before it has. Azure
        # takes a slash at its end, and many templates write one.
        kind = texts[at]
        if kind.endswith("/") and not isinstance(kind, Assumed):
            kind = kind[:-1]
        if "/" in kind and kind.count("/") == len(texts) - at - 1:
            return texts[:at], kind, texts[at + 1 :]
    raise Mistake("no argument is a type with its names", _WAY_OUT)


def _extension(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    texts = _texts(call, scope, evaluate)
    if isinstance(texts, Unknown):
        return texts
    return make_id(texts[0], texts[1], texts[2:])


def _tenant(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    texts = _texts(call, scope, evaluate)
    return texts if isinstance(texts, Unknown) else make_id("", texts[0], texts[1:])


def _management_group(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    texts = _texts(call, scope, evaluate)
    if isinstance(texts, Unknown):
        return texts
    before, kind, names = _split(texts, 1)
    if not before:
        return scope.run.unknown(
            Origin.CONTEXT, "the management group is not known", "name it in the call"
        )
    parent = make_id("", "Microsoft.Management/managementGroups", before)
    return make_id(parent, kind, names)


FORMS = (
    _id_form("resourceId", 2),
    _id_form("subscriptionResourceId", 1),
    Form("extensionResourceId", _extension, 3, None),
    Form("tenantResourceId", _tenant, 2, None),
    Form("managementGroupResourceId", _management_group, 2, None),
)
