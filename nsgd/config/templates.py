"""Templates among the documents: evaluated, and their resources as Azure's JSON has them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, NamedTuple

from nsgd.arm.text import ParsedTemplate
from nsgd.azure.recognise import Resource
from nsgd.azure.translate import NativeDocument
from nsgd.config.document import Document, ReadLinked, Role
from nsgd.config.linked_templates import NOT_LOADED, LinkedFiles
from nsgd.config.problem import Problem
from nsgd.config.report import Source
from nsgd.config.template_parameters import (
    DeclaredParameters,
    GivenValue,
    ParameterFile,
    assign_parameters,
    declared_parameters,
)
from nsgd.config.template_text import TemplateKind, TemplateText, read_template_text
from nsgd.config.tree import Unreadable

if TYPE_CHECKING:
    from nsgd.config.template import EvaluatedTemplate


class WithoutText(NamedTuple):
    """What came out of a template."""

    tree: object
    text: None = None


@dataclass(slots=True)
class Templates:
    """What came of the templates and parameter files; documents are counted from 0.

    *taken* are the documents that are read here and nowhere else, *evaluated* those of them that
    are templates. *linked* are the linked templates that were read. *warnings* are those of the
    notes that a user must be told unasked: they say that rules may be missing.
    """

    taken: set[int] = field(default_factory=set)
    evaluated: dict[int, EvaluatedTemplate] = field(default_factory=dict)
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    linked: list[Document] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """False where some resource could not be read."""
        return not self.problems

    def resources(self) -> Mapping[int, Sequence[Resource]]:
        """The resources of each template."""
        return {index: one.resources for index, one in self.evaluated.items()}

    def tree(self, index: int) -> object:
        """What came out of a document: of a template its resources, else nothing."""
        return self.evaluated[index].values if index in self.evaluated else None

    def source(self, index: int, name: str, native: NativeDocument | None) -> Source:
        """A document of these, for messages about what was made of it."""
        template = self.evaluated.get(index)
        if template is None:
            return Source(name)
        return Source(
            name,
            WithoutText(template.values),
            native.origins if native else None,
            template.locate,
            template.missing_way_out,
        )

    def ways_out(self) -> Mapping[int, str]:
        """What to do, by template, where it refers to something that no document has."""
        return {index: one.missing_way_out for index, one in self.evaluated.items()}


def read_templates(
    documents: Sequence[Document], others: Container[int], read_linked: ReadLinked | None
) -> Templates:
    """Evaluate the templates with the values that parameter files give them.

    Args:
        documents: All documents.
        others: Those of them that are known to be neither templates nor parameter files.
        read_linked: Reads templates that another one links to; those among the documents that
            are there for this are taken first.
    """
    result = Templates()
    texts = _read_texts(documents, others, result)
    templates = {
        index: text.parsed for index, text in texts.items() if text.kind is TemplateKind.TEMPLATE
    }
    files = [
        ParameterFile(
            index, documents[index].name, text.parsed, documents[index].role is Role.PARAMETERS
        )
        for index, text in texts.items()
        if text.kind is TemplateKind.PARAMETERS
    ]
    declared = [
        DeclaredParameters(index, documents[index].name, declared_parameters(parsed.tree))
        for index, parsed in templates.items()
    ]
    assignment = assign_parameters(files, declared)
    result.problems += assignment.problems
    outcomes = _evaluate(templates, documents, assignment.values, read_linked)
    deployed_by = _keep(outcomes, templates, documents, result)
    result.problems += assignment.out_of_reach(deployed_by)
    return result


def _evaluate(
    templates: Mapping[int, ParsedTemplate],
    documents: Sequence[Document],
    given_values: Mapping[int, Mapping[str, GivenValue]],
    read_linked: ReadLinked | None,
) -> dict[int, EvaluatedTemplate]:
    if not templates:
        return {}
    # A sixth of what the daemon imports, and most have no templates.
    from nsgd.config.template import evaluate_document

    given = [document for document in documents if document.role is Role.LINKED]
    outcomes = {}
    for index, parsed in templates.items():
        name = documents[index].name
        links = LinkedFiles(name, given, read_linked)
        values = given_values.get(index, {})
        outcomes[index] = evaluate_document(index, name, parsed, values, links)
    return outcomes


def _read_texts(
    documents: Sequence[Document], others: Container[int], result: Templates
) -> dict[int, TemplateText]:
    texts = {}
    for index, document in enumerate(documents):
        if index in others:
            continue
        if document.role is Role.LINKED:
            result.taken.add(index)
            continue
        try:
            text = read_template_text(document.content, is_given=document.role is Role.PARAMETERS)
        except Unreadable as unreadable:
            result.taken.add(index)
            problem = Problem(
                document.name, "", unreadable.line, unreadable.message, unreadable.way_out
            )
            result.problems.append((index, problem))
            continue
        if text is not None:
            result.taken.add(index)
            texts[index] = text
    return texts


def _keep(
    outcomes: Mapping[int, EvaluatedTemplate],
    templates: Mapping[int, ParsedTemplate],
    documents: Sequence[Document],
    result: Templates,
) -> dict[int, str]:
    """Keep all templates but those that another one links to: that one deploys them.

    Returns:
        By document of those that are not kept, the name of the one that links to it.
    """
    linked_by = _named_by(templates, documents)
    linked: dict[str, Document] = {}
    deployed_by: dict[int, str] = {}
    problems: dict[Problem, int] = {}
    for index in sorted(templates, key=lambda index: _is_linked(index, outcomes, documents)):
        outcome, name = outcomes[index], documents[index].name
        if normpath(name) in linked_by:
            deployed_by[index] = of_template = linked_by[normpath(name)]
            result.notes.append(f"{name}: is read as a part of {of_template}, which links to it")
            continue
        for document in outcome.links.read:
            linked[document.name] = document
            if normpath(document.name) != normpath(name):
                linked_by.setdefault(normpath(document.name), name)
        result.evaluated[index] = outcome
        for problem in outcome.problems:
            # Several parts of a resource may come from one place, and a file from two templates.
            problems.setdefault(problem, index)
        result.notes += outcome.notes
        result.warnings += [note for note in outcome.notes if NOT_LOADED in note]
    result.problems += [(index, problem) for problem, index in problems.items()]
    result.linked += linked.values()
    return deployed_by


def _named_by(
    templates: Mapping[int, ParsedTemplate], documents: Sequence[Document]
) -> dict[str, str]:
    """Files that a template names as linked ones, and its name: also where it does not deploy them.

    A template whose deployment has a condition that is false must not be taken for one by itself.
    """
    found: dict[str, str] = {}
    for index, parsed in templates.items():
        name = documents[index].name
        waiting: list[object] = [parsed.tree]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                waiting += value.values()
                for key, path in value.items():
                    if key.lower() == "relativepath" and isinstance(path, str):
                        other = normpath(join(dirname(name), path))
                        if other != normpath(name):
                            found.setdefault(other, name)
            elif isinstance(value, list):
                waiting += value
    # Of two that link to each other neither is a part of the other alone.
    return {
        file: name
        for file, name in found.items()
        if normpath(found.get(normpath(name), "")) != file
    }


def _is_linked(
    index: int, outcomes: Mapping[int, EvaluatedTemplate], documents: Sequence[Document]
) -> bool:
    name = normpath(documents[index].name)
    return any(
        name == normpath(linked.name)
        for other, outcome in outcomes.items()
        if other != index
        for linked in outcome.links.read
    )
