"""The resources that a template declares: loops written out, names and types made whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from nsgd.arm.assumed import spell
from nsgd.arm.copies import child, need_count
from nsgd.arm.evaluator import evaluate_value
from nsgd.arm.functions.arguments import find_key, kind_of
from nsgd.arm.ids import make_id, place_prefix
from nsgd.arm.instance import Instance, is_deployed
from nsgd.arm.limits import MAXIMUM_RESOURCES, SCOPE_STEPS
from nsgd.arm.problem import Key, LimitReached, Mistake, Path, show
from nsgd.arm.scope import Place, Scope
from nsgd.arm.unknown import Assumed, Unknown, plain, undecided

DEPLOYMENTS = "microsoft.resources/deployments"
_NOT_FIELDS = {
    "type", "name", "apiversion", "resources", "copy", "condition", "dependson", "comments",
    "existing", "properties",
}  # fmt: skip


@dataclass(slots=True, eq=False)
class Entry:
    """One resource, before what it says is evaluated.

    *uncertain* is set where it is not known whether, or how often, it is deployed. *symbol* is its
    symbolic name, with the index of its loop. *inside* is what a deployment deploys, once opened.
    """

    instance: Instance
    raw: dict[str, Any]
    path: Path
    scope: Scope
    type: str
    name: str | Unknown
    place: Place
    uncertain: Unknown | None
    is_existing: bool
    symbol: str | None
    copy_index: int | None
    inside: Instance | None = None
    is_opened: bool = False
    body: dict[str, Any] | None = None
    is_evaluating: bool = False

    @property
    def id(self) -> str | Unknown:
        """The resource id."""
        prefix = place_prefix(self.place)
        if isinstance(prefix, Unknown) or isinstance(self.name, Unknown):
            return prefix if isinstance(prefix, Unknown) else self.name
        names = self.name.split("/")
        if isinstance(self.name, Assumed):
            names = [Assumed(part) for part in names] if names[1:] else [self.name]
        return make_id(prefix, self.type, names)


def expand(instance: Instance) -> None:
    """Fill the entries of a template. Mistakes are kept in the run's problems."""
    key = find_key(instance.template, "resources")
    if key is None:
        return
    resources = instance.template[key]
    here = (*instance.path, key)
    if not isinstance(resources, list | dict):
        mistake = Mistake(f"resources is {kind_of(resources)}", "write an array or an object")
        instance.scope.run.refuse(mistake, here, instance.document)
        return
    for at, raw, symbol in _declarations(resources):
        _expand_loop(instance, raw, (*here, at), instance.scope, symbol, None)


def _declarations(resources: list[Any] | dict[str, Any]) -> Iterator[tuple[Key, Any, str | None]]:
    """Each declaration, its key and its symbolic name."""
    if isinstance(resources, dict):
        yield from ((name, raw, name) for name, raw in resources.items())
    else:
        yield from ((at, raw, None) for at, raw in enumerate(resources))


def _expand_loop(
    instance: Instance, raw: Any, path: Path, scope: Scope, symbol: str | None, parent: Entry | None
) -> None:
    if not isinstance(raw, dict):
        mistake = Mistake(f"a resource is {kind_of(raw)}", "write an object")
        scope.run.refuse(mistake, path, instance.document)
        return
    key = find_key(raw, "copy")
    if key is None or raw[key] is None:
        _expand_one(instance, raw, path, scope, symbol, parent, None, None)
        return
    loop, here = raw[key], (*path, key)
    name = child(loop, "name") if isinstance(loop, dict) else None
    if not isinstance(name, str) or not isinstance(loop, dict):
        mistake = Mistake("a loop of resources has no name", "write a name and a count")
        scope.run.refuse(mistake, here, instance.document)
        return
    count = evaluate_value(child(loop, "count"), scope, (*here, "count"))
    if isinstance(count, Unknown):
        # One stands for all, with an index that nothing but itself is known by.
        inside = replace(scope, loops=scope.loops.inside(name, 0, True))
        _expand_one(instance, raw, path, inside, symbol, parent, None, plain(count))
        return
    try:
        count = need_count(count)
    except Mistake as mistake:
        scope.run.refuse(mistake, (*here, "count"), instance.document)
        return
    scope.run.budget.spend(count * SCOPE_STEPS)
    for index in range(count):
        inside = replace(scope, loops=scope.loops.inside(name, index, True))
        _expand_one(
            instance, raw, path, inside, symbol and f"{symbol}[{index}]", parent, index, None
        )


def _expand_one(
    instance: Instance,
    raw: dict[str, Any],
    path: Path,
    scope: Scope,
    symbol: str | None,
    parent: Entry | None,
    copy_index: int | None,
    uncertain: Unknown | None,
) -> None:
    run = scope.run
    run.resources += 1
    if run.resources > MAXIMUM_RESOURCES:
        raise LimitReached(
            f"more than {MAXIMUM_RESOURCES} resources", "divide the template, or check its loops"
        )
    condition = is_deployed(raw, scope, path)
    children = child(raw, "resources")
    if condition is False and not children:
        return
    name = _text(raw, "name", scope, path)
    kind = _text(raw, "type", scope, path)
    unknown_kind = undecided(kind)
    if unknown_kind is not None or isinstance(kind, Unknown) or name is None or kind is None:
        if unknown_kind is not None:
            mistake = Mistake("the type is not known", unknown_kind.way_out)
            run.refuse(mistake, (*path, "type"), instance.document)
        return
    if parent is not None:
        kind, name = _whole(parent, kind, name)
    if isinstance(name, str) and name.count("/") + 1 != kind.count("/"):
        mistake = Mistake(
            f"the name {show(name)} does not fit the type {show(kind)}",
            "a name has as many parts as its type has after the namespace",
        )
        run.refuse(mistake, path, instance.document, str(child(raw, "name")))
        return
    uncertain = uncertain or instance.uncertain
    if isinstance(condition, Unknown):
        uncertain = uncertain or condition
    entry = Entry(
        instance, raw, path, scope, kind, name, _place(raw, kind, scope, instance.place, path),
        uncertain, child(raw, "existing") is True, symbol, copy_index,
    )  # fmt: skip
    if condition is not False:
        instance.entries.append(entry)
    # A condition says nothing of the resources inside: Azure wants it repeated there.
    if isinstance(children, list | dict):
        key = find_key(raw, "resources") or "resources"
        for at, inner, inner_symbol in _declarations(children):
            _expand_loop(instance, inner, (*path, key, at), scope, inner_symbol, entry)


def _text(raw: dict[str, Any], key: str, scope: Scope, path: Path) -> str | Unknown | None:
    """A text that a resource must have, or None after a mistake."""
    known = find_key(raw, key) or key
    value = evaluate_value(raw.get(known), scope, (*path, known))
    if isinstance(value, Unknown):
        return plain(value)
    if not isinstance(value, str) or not value:
        mistake = Mistake(f"the {key} of a resource is {show(value)}", "give text")
        expression = raw.get(known)
        text = expression if isinstance(expression, str) else ""
        scope.run.refuse(mistake, (*path, known), scope.document, text)
        return None
    return value


def _whole(parent: Entry, kind: str, name: str | Unknown) -> tuple[str, str | Unknown]:
    """The type and name of a resource inside another, where they are short."""
    if "." in kind.split("/")[0] and "/" in kind:
        if isinstance(name, Unknown) or name.count("/") + 1 == kind.count("/"):
            return kind, name
    else:
        kind = f"{parent.type}/{kind}"
    if isinstance(name, Unknown) or isinstance(parent.name, Unknown):
        return kind, name if isinstance(name, Unknown) else parent.name
    return kind, spell(parent.name, "/", name)


def _place(raw: dict[str, Any], kind: str, scope: Scope, place: Place, path: Path) -> Place:
    """Where a resource lies: deployments and existing resources may name another place."""
    if kind.lower() != DEPLOYMENTS and child(raw, "existing") is not True:
        return place
    values: dict[str, str | Unknown | None] = {}
    for name in ("subscriptionId", "resourceGroup"):
        if (key := find_key(raw, name)) is not None:
            value = evaluate_value(raw[key], scope, (*path, key))
            values[name] = value if isinstance(value, str | Unknown) else None
    if not any(values.values()):
        return place
    return Place(
        values.get("subscriptionId") or place.subscription_id,
        values.get("resourceGroup") or place.resource_group,
    )


def evaluate_body(entry: Entry) -> dict[str, Any]:
    """The properties and other fields of a resource, evaluated once.

    Raises Mistake where the resource refers to itself.
    """
    if entry.body is None:
        if entry.is_evaluating:
            raise Mistake(f"the resource {show(entry.name)} refers to itself", "break the circle")
        entry.is_evaluating = True
        body: dict[str, Any] = {}
        for key, value in entry.raw.items():
            lower = key.lower()
            if lower == "properties":
                body["properties"] = _evaluate_properties(entry, value, (*entry.path, key))
            elif lower not in _NOT_FIELDS:
                body[key] = evaluate_value(value, entry.scope, (*entry.path, key))
        entry.body = {"properties": {}, **body}
    return entry.body


def _evaluate_properties(entry: Entry, value: Any, path: Path) -> Any:
    if entry.type.lower() == DEPLOYMENTS and isinstance(value, dict):
        inside = {"template", "templatelink", "parameters", "parameterslink"}
        value = {key: item for key, item in value.items() if key.lower() not in inside}
    return evaluate_value(value, entry.scope, path)
