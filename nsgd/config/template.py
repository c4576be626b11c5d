"""One template: evaluated with its parameters, and the way back from its resources to its text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nsgd.arm.entry import DEPLOYMENTS
from nsgd.arm.evaluate import Deployment, evaluate_template
from nsgd.arm.evaluate import Resource as Evaluated
from nsgd.arm.expression import is_expression
from nsgd.arm.problem import Path, TemplateProblem, TemplateRefused, bounded_suggestions
from nsgd.arm.scope import DeploymentContext
from nsgd.arm.text import ParsedTemplate
from nsgd.arm.unknown import Assumed, Unknown
from nsgd.azure.origins import Written
from nsgd.azure.recognise import Resource
from nsgd.config.deployment_order import superseded
from nsgd.config.linked_templates import LinkedFiles
from nsgd.config.names import fold
from nsgd.config.problem import Key, Problem, format_path
from nsgd.config.report import Located, with_expression
from nsgd.config.template_parameters import GivenValue
from nsgd.config.template_resources import (
    find_unknown,
    is_network_resource,
    plain_value,
    resource_id_of,
)
from nsgd.config.wording import show

_WAY_OUT = (
    "load what declares it too: an export ('az network ... show'), its template, or a native"
    " document; or correct the reference"
)


@dataclass(slots=True)
class EvaluatedTemplate:
    """What a template deploys, and what is wrong with it.

    *values* are the evaluated resources: a path that begins with the place of one there is
    translated to the template's own by locate().
    """

    name: str
    parsed: ParsedTemplate
    links: LinkedFiles
    declared: Sequence[Evaluated] = ()
    values: list[dict[str, Any]] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing_way_out: str = _WAY_OUT

    def locate(self, path: Sequence[Key]) -> Located:
        """Where the template says what stands at *path* of the evaluated resources."""
        if not path or not isinstance(path[0], int):
            return Located(self.name, (), None, None)
        resource = self.declared[path[0]]
        return self.place(resource.document, resource.source_path(tuple(path[1:])))

    def place(self, link: str, path: Path) -> Located:
        """A path in this template, where *link* is empty, or in a linked one."""
        parsed = self.links.parsed.get(link) if link else self.parsed
        if parsed is None:
            return Located(self.links.name(link), path, None, None)
        value = _value_at(parsed.tree, path)
        expression = value if isinstance(value, str) and is_expression(value) else None
        name = self.links.name(link) if link else self.name
        return Located(name, path, parsed.line_of(path), expression)


def _value_at(tree: Any, path: Path) -> Any:
    for key in path:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def evaluate_document(
    index: int,
    name: str,
    parsed: ParsedTemplate,
    values: Mapping[str, GivenValue],
    links: LinkedFiles,
) -> EvaluatedTemplate:
    """Evaluate the template of document *index*; what is wrong is among the result's problems."""
    result = EvaluatedTemplate(name, parsed, links)
    parameters = {
        parameter: {key: value for key, value in given.item.items() if fold(key) != "metadata"}
        for parameter, given in values.items()
    }
    try:
        with bounded_suggestions():
            deployment = evaluate_template(
                parsed.tree,
                {"parameters": parameters},
                deployment=DeploymentContext(template_uri=links.uri),
                load_linked=links.load,
            )
    except TemplateRefused as refused:
        result.problems += links.problems
        result.problems += [_problem(result, problem, values) for problem in refused.problems]
        return result
    result.problems += links.problems
    result.declared = deployment.resources
    _tell_links(result, deployment)
    for place, resource in enumerate(deployment.resources):
        _take(result, Written(index, (place,)), resource)
    _drop_superseded(result)
    return result


def _drop_superseded(result: EvaluatedTemplate) -> None:
    """Leave out what the same template deploys again later."""
    values = {one.at.path[0]: one for one in result.resources}
    keys = {
        place: (
            *map(fold, (one.id.type, *one.id.names)),
            fold(one.id.group or ""),
            fold(one.id.subscription or ""),
        )
        for place, one in values.items()
        if isinstance(place, int) and is_network_resource(result.declared[place])
    }
    _refuse_parts_of_repeated(result, keys)
    differing = _differing(result, keys)
    dropped: set[int] = set()
    for place, later, unclear in superseded(keys, result.declared):
        located = result.locate((place,))
        where = format_path(located.path)
        name = show(str(result.declared[place].name))
        dropped.add(place)
        if later is not None:
            by = format_path(result.locate((later,)).path)
            if result.values[place] != result.values[later]:
                text = f"{name} is deployed again later, by {by}: that counts"
                result.notes.append(f"{located.document}: {where}: {text}")
        elif keys[place] in differing:
            message = f"{name} is deployed twice, and not known which is deployed last"
            by = f" by resourceId(), as {show(unclear)} may mean several," if unclear else ","
            way_out = f"say it with dependsOn{by} or keep one of them"
            result.problems.append(Problem(located.document, where, located.line, message, way_out))
    result.resources = [one for one in result.resources if one.at.path[0] not in dropped]


def _differing(
    result: EvaluatedTemplate, keys: Mapping[int, tuple[object, ...]]
) -> set[tuple[object, ...]]:
    """The keys of which not all resources are the same; each is compared with the first only."""
    first: dict[tuple[object, ...], Any] = {}
    return {
        key
        for place, key in keys.items()
        if first.setdefault(key, result.values[place]) != result.values[place]
    }


def _refuse_parts_of_repeated(
    result: EvaluatedTemplate, keys: Mapping[int, tuple[object, ...]]
) -> None:
    """Which of a part by itself and a resource that is deployed again comes last is not known."""
    times = Counter(keys.values())
    repeated = {key[:-2] for key, count in times.items() if count > 1}
    for place, key in keys.items():
        kind, *names = key[:-2]
        parent_kind = str(kind).rpartition("/")[0]
        if (parent_kind, *names[:-1]) in repeated:
            located = result.locate((place,))
            message = (
                f"{show(str(result.declared[place].name))} stands by itself, and what it is a part"
                " of is deployed twice: not known whether it outlasts the second time"
            )
            where = format_path(located.path)
            way_out = "write it inside, or deploy the other only once"
            result.problems.append(Problem(located.document, where, located.line, message, way_out))


def _problem(
    result: EvaluatedTemplate, problem: TemplateProblem, values: Mapping[str, GivenValue]
) -> Problem:
    located = result.place(problem.document, problem.path)
    message = with_expression(problem.message, problem.expression)
    given = values.get(str(problem.path[-1])) if problem.path[1:] and not problem.document else None
    if given is not None and fold(str(problem.path[0])) == "parameters":
        path = format_path(problem.path)
        return Problem(given.file.name, path, given.line, message, problem.way_out)
    way_out = problem.way_out
    return Problem(located.document, format_path(located.path), located.line, message, way_out)


def _tell_links(result: EvaluatedTemplate, deployment: Deployment) -> None:
    missing = []
    for link in deployment.linked:
        located = result.place(link.document, link.path)
        if isinstance(link.uri, Unknown):
            shown = f"of deployment {show(str(link.name))}, whose link is not known"
        else:
            shown = show(result.links.name(str(link.uri)))
        missing.append(shown)
        result.notes.append(
            f"{located.document}: {format_path(located.path)}: the linked template {shown} is not"
            " loaded: what it deploys is missing"
        )
    if missing:
        result.missing_way_out = (
            f"the linked template {missing[0]}, which is not loaded, may declare it; {_WAY_OUT}"
        )


def _take(result: EvaluatedTemplate, at: Written, resource: Evaluated) -> None:
    """Add one resource, unless something of it decides and is not known."""
    name = resource.name
    is_network = is_network_resource(resource)
    unknown = list(_unknown(result, resource)) if is_network else []
    result.problems += unknown
    if resource.is_existing or fold(resource.type) == DEPLOYMENTS or isinstance(name, Unknown):
        result.values.append({})
        return
    value = plain_value(resource, name)
    result.values.append(value)
    if unknown:
        return
    if is_network and isinstance(name, Assumed):
        located = result.locate(at.path)
        result.notes.append(
            f"{located.document}: {format_path(located.path)}: the name {show(str(name))} is made"
            " of one that no document says, such as the resource group's: Azure's is another"
        )
    result.resources.append(Resource(resource_id_of(resource, name), value, at))


def _unknown(result: EvaluatedTemplate, resource: Evaluated) -> Iterator[Problem]:
    for keys, message, way_out in find_unknown(resource):
        located = result.place(resource.document, resource.source_path(keys))
        name = "" if isinstance(resource.name, Unknown) else f"{show(str(resource.name))}: "
        yield Problem(
            located.document,
            format_path(located.path),
            located.line,
            with_expression(f"{name}{message}", located.expression),
            way_out,
        )
