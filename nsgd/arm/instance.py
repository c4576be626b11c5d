"""One template in its scope: its parameters, variables and functions, ready to be asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nsgd.arm.copies import child, property_loops
from nsgd.arm.evaluator import evaluate_loop, evaluate_value
from nsgd.arm.functions.arguments import find_key, kind_of
from nsgd.arm.parameters import Given, need_declared, parameter_value
from nsgd.arm.problem import Mistake, Path, show
from nsgd.arm.scope import Lazy, Place, Run, Scope, UserFunction
from nsgd.arm.unknown import Unknown, undecided

if TYPE_CHECKING:
    from nsgd.arm.entry import Entry


@dataclass(slots=True)
class Instance:
    """A template, where it stands (*path* in *document*), and the scope of its expressions.

    *place* is where its resources go. *entries* are its resources, without those of templates
    inside it; *depth* counts the templates around it. *parent* is set where expressions belong to
    the template around it, and *uncertain* where it is not known whether all this is deployed.
    """

    template: dict[str, Any]
    path: Path
    document: str
    scope: Scope
    place: Place
    depth: int
    entries: list[Entry] = field(default_factory=list)
    parent: Instance | None = None
    uncertain: Unknown | None = None
    outputs: dict[str, Any] | None = None
    is_reading_outputs: bool = False


def section(instance: Instance, name: str) -> tuple[str, dict[str, Any]]:
    """A section of the template and its key there; empty where it is missing or no object."""
    key = find_key(instance.template, name) or name
    value = instance.template.get(key)
    if value is not None and not isinstance(value, dict):
        mistake = Mistake(f"{name} is {kind_of(value)}", "write an object")
        instance.scope.run.refuse(mistake, (*instance.path, key), instance.document)
    return key, value if isinstance(value, dict) else {}


def make_scope(
    template: dict[str, Any],
    given: Given,
    run: Run,
    path: Path,
    document: str,
    place: Place,
    deployment_name: str | Unknown,
    template_uri: str | Unknown | None,
) -> Scope:
    """The scope of a template's own expressions. Mistakes are kept in the run's problems."""
    empty = Lazy("parameter", (), str)
    start = Scope(run, document, place, deployment_name, empty, empty, {}, template_uri)
    blank = Instance(template, path, document, start, place, 0)
    parameters_key, declared = section(blank, "parameters")
    variables_key, variables = section(blank, "variables")
    try:
        need_declared(given, declared)
    except Mistake as mistake:
        run.refuse(mistake, (*path, parameters_key), document)
    # Both tables need the scope that holds them, so it is looked up when they are asked.
    scopes: list[Scope] = []

    def parameter(name: str) -> Any:
        here = (*path, parameters_key, name)
        return parameter_value(
            name,
            declared[name],
            given,
            run,
            lambda default: evaluate_value(default, scopes[0], (*here, "defaultValue")),
            here,
            document,
        )

    loops = _variable_loops(variables)

    def variable(name: str) -> Any:
        if name in loops:
            place_in_copy, loop = loops[name]
            key = find_key(variables, "copy") or "copy"
            here = (*path, variables_key, key)
            here = here if place_in_copy is None else (*here, place_in_copy)
            return evaluate_loop(loop, scopes[0], here, is_resource=True)
        return evaluate_value(variables[name], scopes[0], (*path, variables_key, name))

    names = [name for name in variables if not (loops and name.lower() == "copy")]
    scope = replace(
        start,
        parameters=Lazy("parameter", declared, parameter),
        variables=Lazy("variable", [*names, *loops], variable),
        functions=_user_functions(blank),
    )
    scopes.append(scope)
    return scope


def _variable_loops(variables: dict[str, Any]) -> dict[str, Any]:
    loops = property_loops(child(variables, "copy"))
    return {loop.name: (loop.key, loop) for loop in loops or ()}


def _user_functions(instance: Instance) -> dict[tuple[str, str], UserFunction]:
    run, key = instance.scope.run, find_key(instance.template, "functions") or "functions"
    found: dict[tuple[str, str], UserFunction] = {}
    spaces = instance.template.get(key) or []
    for at, space in enumerate(spaces if isinstance(spaces, list) else ()):
        members = child(space, "members") if isinstance(space, dict) else None
        namespace = child(space, "namespace") if isinstance(space, dict) else None
        here: Path = (*instance.path, key, at)
        if not isinstance(members, dict) or not isinstance(namespace, str):
            mistake = Mistake("no namespace with members", "write both")
            run.refuse(mistake, here, instance.document)
            continue
        for name, member in members.items():
            output = child(member, "output") if isinstance(member, dict) else None
            if not isinstance(output, dict):
                mistake = Mistake(f"function {show(name)} has no output", "write one")
                run.refuse(mistake, (*here, "members", name), instance.document)
                continue
            declared = child(member, "parameters") or []
            found[namespace.lower(), name.lower()] = UserFunction(
                f"{namespace}.{name}",
                tuple(
                    str(child(one, "name"))
                    for one in (declared if isinstance(declared, list) else ())
                    if isinstance(one, dict)
                ),
                child(output, "value"),
                (*here, "members", name, "output", "value"),
                instance.document,
            )
    return found


def outputs_of(instance: Instance) -> dict[str, Any]:
    """The values of a template's outputs, by name. Raises Mistake where they need themselves."""
    if instance.outputs is None:
        if instance.is_reading_outputs:
            raise Mistake("the outputs of a template refer to themselves", "break the circle")
        instance.is_reading_outputs = True
        instance.outputs = _read_outputs(instance)
    return instance.outputs


def _read_outputs(instance: Instance) -> dict[str, Any]:
    key, outputs = section(instance, "outputs")
    values: dict[str, Any] = {}
    for name, output in outputs.items():
        here = (*instance.path, key, name)
        if not isinstance(output, dict):
            mistake = Mistake(f"output {show(name)} is {kind_of(output)}", "write an object")
            instance.scope.run.refuse(mistake, here, instance.document)
        elif is_deployed(output, instance.scope, here) is not False:
            copy = child(output, "copy")
            if isinstance(copy, dict):
                loops = property_loops({"name": name, **copy}) or ()
                for loop in loops:
                    values[name] = evaluate_loop(loop, instance.scope, (*here, "copy"), True)
            else:
                values[name] = evaluate_value(
                    child(output, "value"), instance.scope, (*here, "value")
                )
    return values


def is_deployed(declaration: dict[str, Any], scope: Scope, path: Path) -> bool | Unknown:
    """What the condition of a resource or an output says; true where there is none."""
    key = find_key(declaration, "condition")
    if key is None:
        return True
    value = evaluate_value(declaration[key], scope, (*path, key))
    if (unknown := undecided(value)) is not None:
        return unknown
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not isinstance(value, bool):
        mistake = Mistake(f"the condition is {kind_of(value)}", "give true or false")
        return scope.run.refuse(mistake, (*path, key), scope.document)
    return value
