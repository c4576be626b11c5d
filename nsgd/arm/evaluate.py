"""A template to its resources, evaluated: the one entrance to this package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nsgd.arm.assumed import placeholder
from nsgd.arm.copies import child, property_loops
from nsgd.arm.entry import DEPLOYMENTS, Entry, evaluate_body
from nsgd.arm.evaluator import evaluate_value
from nsgd.arm.functions.arguments import find_key, kind_of
from nsgd.arm.instance import Instance, outputs_of
from nsgd.arm.needed import missing_parameters
from nsgd.arm.nested import open_deployment, open_template
from nsgd.arm.parameters import Given, read_parameter_values
from nsgd.arm.problem import (
    Key,
    LimitReached,
    Mistake,
    Path,
    TemplateProblem,
    TemplateRefused,
    show,
)
from nsgd.arm.scope import (
    DeploymentContext,
    Lazy,
    LinkedTemplate,
    LoadLinked,
    Run,
    Scope,
    first_place,
)
from nsgd.arm.unknown import Unknown, survey

_FIRST_NAME = placeholder("deployment")
PARAMETERS_DOCUMENT = "parameters"  # the document of problems with the values that were given


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource that the template deploys, as plain JSON.

    Anything may be, or hold, an Unknown instead. *type* and *name* are whole, with those of the
    resource around it. *fields* are the other fields beside *properties*, such as location and
    sku. *resource_group* is None for what lies in none. *uncertain* is set where it is not known
    whether, or how often, the resource is deployed. *path* leads to its declaration in *document*,
    which many resources of a loop share; *copy_index* is the place in the innermost such loop.
    *is_existing* resources are only referred to.
    """

    type: str
    name: str | Unknown
    id: str | Unknown
    api_version: str | Unknown | None
    properties: Any
    fields: dict[str, Any]
    subscription_id: str | Unknown | None
    resource_group: str | Unknown | None
    depends_on: tuple[Any, ...]
    is_existing: bool
    uncertain: Unknown | None
    symbolic_name: str | None
    copy_index: int | None
    path: Path
    document: str
    declaration: dict[str, Any] = field(repr=False, compare=False)

    def source_path(self, keys: Path) -> Path:
        """Where the template says what stands at *keys* of this resource.

        That is the innermost place that does exist in the template: an expression that gives a
        whole list, or the input of a loop that makes it.
        """
        path: list[Key] = list(self.path)
        value: Any = self.declaration
        is_in_loop = False
        for key in keys:
            if is_in_loop and isinstance(key, int):
                is_in_loop = False
                continue
            is_in_loop = False
            if isinstance(value, dict) and isinstance(key, str):
                known = find_key(value, key)
                if known is not None:
                    path.append(known)
                    value = value[known]
                    continue
                copy_key = find_key(value, "copy") or "copy"
                for loop in property_loops(value.get(copy_key)) or ():
                    if loop.name.lower() == key.lower():
                        path += [copy_key, *([] if loop.key is None else [loop.key]), "input"]
                        value, is_in_loop = loop.input, True
                if is_in_loop:
                    continue
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                path.append(key)
                value = value[key]
                continue
            break
        return tuple(path)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a template deploys: resources in its order, those of nested templates after them.

    *linked* are the deployments whose templates were not loaded, so that their resources are
    missing here. *outputs* may hold unknown values.
    """

    resources: tuple[Resource, ...]
    outputs: dict[str, Any]
    linked: tuple[LinkedTemplate, ...]


def evaluate_template(
    template: dict[str, Any],
    parameters: dict[str, Any] | None = None,
    *,
    deployment: DeploymentContext | None = None,
    load_linked: LoadLinked | None = None,
    refuses_links: bool = False,
) -> Deployment:
    """Evaluate a template.

    Args:
        template: As parse_template_text gives it, or any JSON reader.
        parameters: What a parameter file holds, or an object of names and values.
        deployment: What it is deployed to. What is left out is not guessed.
        load_linked: Gives the template behind a link, or None. It is called with the link as the
            template computes it; a relative one is joined to the link of the template, if known.
        refuses_links: A template that was not loaded is a mistake then. Otherwise it is listed
            among the result's *linked*, and what it deploys is missing.

    Returns:
        Every resource, with values that only the deployment knows as Unknown in their places.

    Raises:
        TemplateRefused: With all mistakes that were found; among them each parameter without a
            value that decides something about the network (see nsgd.arm.needed).
    """
    run = Run(deployment or DeploymentContext(), load_linked)
    try:
        result = _evaluate(template, parameters or {}, run)
    except LimitReached as limit:
        run.refuse(Mistake(limit.message, limit.way_out), run.path, run.document, run.expression)
        result = None
    except RecursionError:
        mistake = Mistake("values nest too deeply", "look for a variable that nests itself")
        run.refuse(mistake, (), "")
        result = None
    if refuses_links:
        run.problems.extend(_links_as_problems(run))
    if run.problems or result is None:
        raise TemplateRefused(tuple(run.problems))
    return result


def _links_as_problems(run: Run) -> Iterator[TemplateProblem]:
    for link in run.linked:
        is_known = isinstance(link.uri, str)
        yield TemplateProblem(
            link.path,
            None if isinstance(link.uri, str) else link.uri.expression,
            f"the linked template {show(link.uri)} is not loaded"
            if is_known
            else "the link of a template is not known",
            "give its file, or write it into this template",
            link.document,
        )


def _evaluate(template: dict[str, Any], parameters: dict[str, Any], run: Run) -> Deployment | None:
    try:
        need_json(template, run)
        need_json(parameters, run)
        if find_key(template, "resources") is None:
            raise Mistake("there are no resources", "give a template with a resources section")
    except Mistake as mistake:
        run.refuse(mistake, (), "")
        return None
    given: Given = {}
    try:
        given = read_parameter_values(parameters, run)
    except Mistake as mistake:
        run.refuse(mistake, (), PARAMETERS_DOCUMENT)
    context = run.context
    place = first_place(context, str(child(template, "$schema") or ""))
    name = context.deployment_name or _FIRST_NAME
    nothing = Lazy("name", (), str)
    outside = Instance(
        {}, (), "", Scope(run, "", place, name, nothing, nothing, {}), place, depth=-1
    )
    instance = open_template(template, given, outside, (), "", place, name, context.template_uri)
    resources = tuple(_collect(instance))
    try:
        outputs = outputs_of(instance)
    except Mistake as mistake:
        run.refuse(mistake, ("outputs",), "")
        outputs = {}
    survey([outputs], run.budget)
    run.problems.extend(missing_parameters(resources))
    return Deployment(resources, outputs, tuple(run.linked))


def _collect(instance: Instance) -> Iterator[Resource]:
    for entry in instance.entries:
        yield _resource(entry)
        if entry.type.lower() == DEPLOYMENTS and not entry.is_existing:
            inside = open_deployment(entry)
            if inside is not None:
                yield from _collect(inside)


def _resource(entry: Entry) -> Resource:
    scope, path = entry.scope, entry.path
    try:
        body = evaluate_body(entry)
    except Mistake as mistake:
        scope.run.refuse(mistake, path, entry.instance.document)
        body = {"properties": {}}
    survey([body], scope.run.budget)
    depends_on = evaluate_value(child(entry.raw, "dependsOn"), scope, (*path, "dependsOn"))
    version = evaluate_value(child(entry.raw, "apiVersion"), scope, (*path, "apiVersion"))
    return Resource(
        type=entry.type,
        name=entry.name,
        id=entry.id,
        api_version=version if isinstance(version, str | Unknown) else None,
        properties=body["properties"],
        fields={key: value for key, value in body.items() if key != "properties"},
        subscription_id=entry.place.subscription_id,
        resource_group=entry.place.resource_group,
        depends_on=tuple(depends_on) if isinstance(depends_on, list) else (),
        is_existing=entry.is_existing,
        uncertain=entry.uncertain,
        symbolic_name=entry.symbol,
        copy_index=entry.copy_index,
        path=path,
        document=entry.instance.document,
        declaration=entry.raw,
    )


def need_json(value: Any, run: Run) -> None:
    """Refuse what no JSON text gives, and what nests too deeply. Raises Mistake, LimitReached."""
    if not isinstance(value, dict):
        raise Mistake(f"a template is {kind_of(value)}", "give an object")
    survey([value], run.budget)
    open_values: list[Any] = [value]
    while open_values:
        one = open_values.pop()
        if isinstance(one, dict):
            if not all(isinstance(key, str) for key in one):
                raise Mistake("a key is no text", "give what a JSON reader gives")
            open_values.extend(one.values())
        elif isinstance(one, list):
            open_values.extend(one)
        elif one is not None and not isinstance(one, str | int | float):
            raise Mistake(f"a value is a {type(one).__name__}", "give what a JSON reader gives")
