"""Deployments inside a template: nested ones, linked ones, and what reference() finds in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

from nsgd.arm.assumed import is_same_name
from nsgd.arm.copies import child
from nsgd.arm.entry import DEPLOYMENTS, Entry, evaluate_body, expand
from nsgd.arm.evaluator import evaluate_value
from nsgd.arm.functions.arguments import find_key
from nsgd.arm.instance import Instance, make_scope, outputs_of
from nsgd.arm.limits import MAXIMUM_TEMPLATE_DEPTH
from nsgd.arm.parameters import Given, vault_secret
from nsgd.arm.problem import LimitReached, Mistake, Path
from nsgd.arm.scope import LinkedTemplate, Place
from nsgd.arm.unknown import Origin, Unknown, is_assumed, plain, undecided


@dataclass(frozen=True, slots=True)
class EntryResolver:
    """Finds the resources of one template, and of those around it that share its scope."""

    instance: Instance

    def reference(self, target: str, is_full: bool) -> Any:
        """What the template says of a resource; Unknown or None where it does not."""
        entry = self._find(target)
        if entry is None or entry.is_existing or entry.uncertain is not None:
            return None
        body = dict(evaluate_body(entry))
        if entry.type.lower() == DEPLOYMENTS:
            inside = open_deployment(entry)
            if inside is None:
                return entry.scope.run.unknown(
                    Origin.LINKED,
                    "a template that was not loaded gives it",
                    "give the linked template",
                )
            outputs = {name: {"value": value} for name, value in outputs_of(inside).items()}
            body["properties"] = {"outputs": outputs}
        if not is_full:
            return body["properties"]
        return {**body, "id": entry.id, "name": entry.name, "type": entry.type}

    def information(self, symbol: str) -> Any:
        """What resourceInfo() gives of a symbolic name."""
        entry = self._find(symbol)
        if entry is None or entry.symbol is None:
            return None
        version = child(entry.raw, "apiVersion")
        return {"id": entry.id, "name": entry.name, "type": entry.type, "apiVersion": version}

    def _find(self, target: str) -> Entry | None:
        instance: Instance | None = self.instance
        while instance is not None:
            entries = instance.entries
            instance.scope.run.budget.spend(len(entries))
            by_symbol = [entry for entry in entries if entry.symbol == target]
            if by_symbol and not is_assumed(target):
                return by_symbol[0]
            is_id = target.startswith("/")
            named = ((entry, entry.id if is_id else entry.name) for entry in entries)
            found = [
                entry
                for entry, text in named
                if isinstance(text, str) and is_same_name(text, target)
            ]
            if found:
                # Two types can share a name; Azure then wants the id.
                return found[0] if len(found) == 1 else None
            instance = instance.parent
        return None


def open_template(
    template: dict[str, Any],
    given: Given,
    near: Instance,
    path: Path,
    document: str,
    place: Place,
    name: str | Unknown,
    template_uri: str | Unknown | None,
    uncertain: Unknown | None = None,
) -> Instance:
    """A template with a scope of its own, its resources listed. *near* is what it comes from."""
    scope = make_scope(template, given, near.scope.run, path, document, place, name, template_uri)
    instance = Instance(template, path, document, scope, place, near.depth + 1, uncertain=uncertain)
    return _list_resources(instance)


def _list_resources(instance: Instance) -> Instance:
    if instance.depth > MAXIMUM_TEMPLATE_DEPTH:
        raise LimitReached(
            f"templates nest deeper than {MAXIMUM_TEMPLATE_DEPTH} levels",
            "look for a template that deploys itself",
        )
    instance.scope = replace(instance.scope, resolver=EntryResolver(instance))
    expand(instance)
    return instance


def open_deployment(entry: Entry) -> Instance | None:
    """What a deployment inside a template deploys; None where its template was not loaded."""
    if not entry.is_opened:
        entry.is_opened = True
        key = find_key(entry.raw, "properties") or "properties"
        properties = entry.raw.get(key)
        if not isinstance(properties, dict):
            _refuse_text(entry, (*entry.path, key), "properties")
            return None
        template_key = find_key(properties, "template")
        if template_key is not None and isinstance(properties[template_key], dict):
            entry.inside = _open_nested(entry, properties, key, template_key)
        elif template_key is not None and properties[template_key] is not None:
            _refuse_text(entry, (*entry.path, key, template_key), "template")
        elif find_key(properties, "templateLink") is not None:
            entry.inside = _open_linked(entry, properties, key)
    return entry.inside


def _refuse_text(entry: Entry, path: Path, what: str) -> None:
    """What a deployment deploys must be there to be read: without it rules would be missing."""
    mistake = Mistake(f"the {what} of a deployment is no object", "write the object itself out")
    entry.scope.run.refuse(mistake, path, entry.instance.document)


def _open_nested(entry: Entry, properties: dict[str, Any], key: str, template_key: str) -> Instance:
    template = properties[template_key]
    path = (*entry.path, key, template_key)
    given = _given(entry, properties, key)
    place = _place(entry, template)
    options = child(properties, "expressionEvaluationOptions")
    option = child(options, "scope") if isinstance(options, dict) else None
    near = entry.instance
    own = make_scope(
        template, given, entry.scope.run, path, near.document, place, entry.name,
        entry.scope.template_uri,
    )  # fmt: skip
    evaluated = evaluate_value(option, entry.scope, path)
    if (unknown := undecided(evaluated)) is not None:
        mistake = Mistake("the scope of expressions is not known", unknown.way_out)
        entry.scope.run.refuse(mistake, path, near.document)
    is_inner = str(evaluated).lower() == "inner"
    scope = own if is_inner else replace(entry.scope, inner=own)
    parent = None if is_inner else near
    return _list_resources(
        Instance(
            template,
            path,
            near.document,
            scope,
            place,
            near.depth + 1,
            parent=parent,
            uncertain=entry.uncertain,
        )
    )


def _open_linked(entry: Entry, properties: dict[str, Any], key: str) -> Instance | None:
    run = entry.scope.run
    link_key = find_key(properties, "templateLink") or "templateLink"
    link = evaluate_value(properties[link_key], entry.scope, (*entry.path, key, link_key))
    uri, is_relative = _link(link, entry)
    template: dict[str, Any] | None = None
    if isinstance(uri, str) and run.load_linked is not None:
        template = run.load_linked(str(uri))
    if template is None:
        run.linked.append(
            LinkedTemplate(entry.name, uri, is_relative, entry.path, entry.instance.document)
        )
        return None
    given = _given(entry, properties, key)
    return open_template(
        template, given, entry.instance, (), str(uri), _place(entry, template), entry.name, uri,
        entry.uncertain,
    )  # fmt: skip


def _link(link: Any, entry: Entry) -> tuple[str | Unknown, bool]:
    """Where a linked template lies, and whether that is relative to a link nobody gave."""
    if isinstance(link, Unknown):
        return plain(link), False
    for name in ("uri", "relativePath", "id"):
        value = child(link, name) if isinstance(link, dict) else None
        if (unknown := undecided(value)) is not None:
            return unknown, False
        if isinstance(value, str) and value:
            base = entry.scope.template_uri
            if name == "relativePath" and isinstance(base, str):
                return urljoin(base, value), False
            return value, name == "relativePath"
    return (
        entry.scope.run.unknown(Origin.LINKED, "the link is empty", "write its uri"),
        False,
    )


def _given(entry: Entry, properties: dict[str, Any], key: str) -> Given:
    """The parameters that a deployment passes on, evaluated when they are asked for."""
    parameters_key = find_key(properties, "parameters") or "parameters"
    values = properties.get(parameters_key)
    if values is not None and not isinstance(values, dict):
        _refuse_text(entry, (*entry.path, key, parameters_key), "parameters")
    link_key = find_key(properties, "parametersLink")
    if link_key is not None and properties[link_key] is not None:
        mistake = Mistake("a linked parameter file is not read", "write the parameters out")
        entry.scope.run.refuse(mistake, (*entry.path, key, link_key), entry.instance.document)
    given: Given = {}
    for name, item in values.items() if isinstance(values, dict) else ():
        here = (*entry.path, key, parameters_key, name)
        given[name.lower()] = _passed(entry, name, item, here)
    return given


def _passed(entry: Entry, name: str, item: Any, path: Path) -> Any:
    def value() -> Any:
        if isinstance(item, dict) and (key := find_key(item, "value")) is not None:
            return evaluate_value(item[key], entry.scope, (*path, key))
        if isinstance(item, dict):
            return vault_secret(entry.scope.run, name)
        whole = evaluate_value(item, entry.scope, path)
        return child(whole, "value") if isinstance(whole, dict) else whole

    return value


def _place(entry: Entry, template: dict[str, Any]) -> Place:
    """Where a deployment deploys to."""
    schema = str(child(template, "$schema") or "").lower()
    if child(entry.raw, "resourceGroup") is None and "subscriptiondeploymenttemplate" in schema:
        return Place(entry.place.subscription_id, None)
    return entry.place
