"""Values for the parameters of templates: which file gives which template what.

``hub.parameters.json`` follows ``hub.json``, and gives values to no other template. Any other file
that is named with --parameters gives values to all templates that have parameters of these names.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nsgd.arm.problem import bounded_suggestions, closest
from nsgd.arm.text import ParsedTemplate
from nsgd.config.names import fold
from nsgd.config.problem import Key, Problem, format_path
from nsgd.config.wording import show

_ENDING = ".parameters"
_WRAPPERS = frozenset(("value", "reference", "metadata"))


@dataclass(frozen=True, slots=True)
class ParameterFile:
    """A parameter file. *is_named* says that --parameters names it; others lie beside templates."""

    index: int
    name: str
    parsed: ParsedTemplate
    is_named: bool


@dataclass(frozen=True, slots=True)
class DeclaredParameters:
    """A template's name and the names of its parameters."""

    index: int
    name: str
    parameters: Sequence[str]


@dataclass(frozen=True, slots=True)
class GivenValue:
    """A value as parameter files hold it, and the file and the line that it is from."""

    item: Mapping[str, Any]
    file: ParameterFile
    line: int


@dataclass(frozen=True, slots=True)
class _Taken:
    """A value at *path* of a file, and the templates that take it."""

    file: ParameterFile
    path: tuple[Key, ...]
    line: int
    takers: Sequence[DeclaredParameters]


@dataclass(slots=True)
class Assignment:
    """By template: its values, by parameter as the template spells it; and what is wrong."""

    values: dict[int, dict[str, GivenValue]] = field(default_factory=dict)
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    _taken: list[_Taken] = field(default_factory=list)

    def take(self, taken: _Taken) -> None:
        """Remember who takes a value, for out_of_reach()."""
        self._taken.append(taken)

    def out_of_reach(self, deployed_by: Mapping[int, str]) -> Iterator[tuple[int, Problem]]:
        """One problem, with its file, for each value that only linked templates take.

        Args:
            deployed_by: By linked template the name of the one that deploys it, and that alone
                gives it values.
        """
        for one in self._taken:
            if any(taker.index not in deployed_by for taker in one.takers):
                continue
            linked = one.takers[0]
            message = (
                f"parameter {show(str(one.path[-1]))} reaches no template: {linked.name} is read"
                f" as a part of {deployed_by[linked.index]}, which gives it its parameters"
            )
            way_out = f"write the value in {deployed_by[linked.index]}, or remove it"
            path = format_path(one.path)
            yield one.file.index, Problem(one.file.name, path, one.line, message, way_out)


def declared_parameters(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the parameters of a template."""
    section = next((value for key, value in tree.items() if fold(key) == "parameters"), None)
    return tuple(section) if isinstance(section, dict) else ()


def assign_parameters(
    files: Sequence[ParameterFile], templates: Sequence[DeclaredParameters]
) -> Assignment:
    """Give every value to the templates that it is for.

    Of several values for one parameter the last counts, and one that --parameters names before one
    beside the template. A value that no template takes is a problem; one that only templates take
    which are then not deployed by themselves is told by out_of_reach().
    """
    result = Assignment()
    for file in sorted(files, key=lambda file: file.is_named):
        followed = _followed(file, templates)
        if not followed and not file.is_named:
            message = "this is a parameter file, and no template of its name is among the documents"
            way_out = "name it after its template, as in hub.json and hub.parameters.json, or"
            way_out += " give it with --parameters"
            result.problems.append((file.index, Problem(file.name, "", None, message, way_out)))
            continue
        # A file has room for thousands of values that nobody takes, and a template for parameters.
        with bounded_suggestions():
            _assign(file, followed or templates, result)
    return result


def _followed(
    file: ParameterFile, templates: Sequence[DeclaredParameters]
) -> list[DeclaredParameters]:
    """The templates whose name the file has: of its own directory, or else of any."""
    directory, stem = posixpath.split(_stem(file.name))
    if not stem.endswith(_ENDING):
        return []
    stem = stem.removesuffix(_ENDING)
    named = [one for one in templates if posixpath.basename(_stem(one.name)) == stem]
    beside = [one for one in named if posixpath.dirname(one.name) == directory]
    return beside or (named if file.is_named else [])


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _assign(
    file: ParameterFile, templates: Sequence[DeclaredParameters], result: Assignment
) -> None:
    path, values = _values(file.parsed.tree)
    known = {
        (template.index, fold(name)): name for template in templates for name in template.parameters
    }
    for name, item in values.items():
        here = (*path, name)
        line = file.parsed.line_of(here)

        wrong: tuple[str, str] | None = None
        takers = [one for one in templates if (one.index, fold(name)) in known]
        if not takers:
            meant = closest(name, tuple(known.values()))
            way_out = f"did you mean {show(meant)}?" if meant else "remove it"
            if not templates:
                way_out = "load a template; no other document has parameters"
            wrong = f"no template has a parameter {show(name)}", way_out
        elif path and not _is_wrapped(item):
            wrong = f"parameter {show(name)} has no value", 'write {"value": ...}'
        else:
            wrapped = item if path else {"value": item}
            result.take(_Taken(file, here, line, takers))
            for taker in takers:
                as_declared = known[taker.index, fold(name)]
                of_template = result.values.setdefault(taker.index, {})
                of_template[as_declared] = GivenValue(wrapped, file, line)
        if wrong is not None:
            problem = Problem(file.name, format_path(here), line, *wrong)
            result.problems.append((file.index, problem))


def _values(tree: Mapping[str, Any]) -> tuple[tuple[Key, ...], Mapping[str, Any]]:
    """The values of a file, and the path to them: under ``parameters``, or the file by itself."""
    for key, value in tree.items():
        if fold(key) == "parameters" and isinstance(value, dict):
            return (key,), value
    skipped = ("$schema", "contentversion")
    return (), {key: value for key, value in tree.items() if fold(key) not in skipped}


def _is_wrapped(item: object) -> bool:
    return (
        isinstance(item, dict)
        and {fold(key) for key in item} <= _WRAPPERS
        and any(fold(key) in ("value", "reference") for key in item)
    )
