"""What a template's files are for reaches it, or is told: values, linked templates, mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.config.document import Document, Role
from nsgd.config.load import LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.model.network import NetworkModel

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deployment{}.json#"
NETWORK = "Microsoft.Network/"
Raw = dict[str, Any]


def resource(kind: str, name: str, properties: object) -> Raw:
    """A network resource."""
    return {
        "type": f"{NETWORK}{kind}",
        "apiVersion": "2020-05-01",
        "name": name,
        "properties": properties,
    }


def link(**template: str) -> Raw:
    """A deployment of a linked template."""
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2020-06-01",
        "name": "inner",
        "properties": {"mode": "Incremental", "templateLink": template},
    }


def template(name: str, *resources: Raw, parameters: tuple[str, ...] = ()) -> Document:
    """A template of these resources."""
    tree = {
        "$schema": SCHEMA.format("Template"),
        "contentVersion": "1.0.0.0",
        "parameters": {one: {"type": "string", "defaultValue": "d"} for one in parameters},
        "resources": resources,
    }
    return Document(name, json.dumps(tree, indent=1).encode())


def values(name: str, role: Role, **given: str) -> Document:
    """A parameter file."""
    tree = {
        "$schema": SCHEMA.format("Parameters"),
        "contentVersion": "1.0.0.0",
        "parameters": {key: {"value": value} for key, value in given.items()},
    }
    return Document(name, json.dumps(tree, indent=1).encode(), role)


def load(*documents: Document) -> LoadedConfig:
    """Load them; a linked template is among them or nowhere."""
    return load_documents(documents)


def refused(*documents: Document) -> tuple[Problem, ...]:
    """What is wrong."""
    with pytest.raises(ConfigRefused) as caught:
        load(*documents)
    return caught.value.problems


GROUP = resource("networkSecurityGroups", "own", {})
MAIN = template("d/main.json", GROUP, link(relativePath="shared.json"), parameters=("mine",))
SHARED_GROUP = resource("networkSecurityGroups", "[parameters('theirs')]", {})
SHARED = template("d/shared.json", SHARED_GROUP, parameters=("theirs",))
AT_HAND = Document("d/shared.json", SHARED.content, Role.LINKED)


def names(model: NetworkModel) -> list[str]:
    """The names of all groups."""
    return sorted(group.name for group in model.network_security_groups)


# Values that reach nothing


@pytest.mark.parametrize(
    ("file", "role"),
    [
        ("d/shared.parameters.json", Role.POLICY),
        ("elsewhere/shared.parameters.json", Role.PARAMETERS),
        ("d/any.json", Role.PARAMETERS),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_value_for_a_linked_template_only(file: str, role: Role, is_first: bool) -> None:
    """The template that links to it gives it values: this one would be lost, and is told."""
    given = values(file, role, theirs="x")
    templates = (SHARED, MAIN) if is_first else (MAIN, SHARED)
    (problem,) = refused(*templates, AT_HAND, given)
    assert problem == Problem(
        file,
        "parameters.theirs",
        5,
        "parameter 'theirs' reaches no template: d/shared.json is read as a part of d/main.json,"
        " which gives it its parameters",
        "write the value in d/main.json, or remove it",
    )


def test_values_without_a_frame_and_each_by_itself() -> None:
    """The path is the file's; every value is told, and those that arrive are not."""
    shared = template("d/shared.json", SHARED_GROUP, parameters=("theirs", "Both", "more"))
    main = template("d/main.json", GROUP, link(relativePath="shared.json"), parameters=("both",))
    content = b'{\n"theirs": "x",\n"both": "y",\n"MORE": "z"}'
    at_hand = Document(shared.name, shared.content, Role.LINKED)
    found = refused(main, shared, at_hand, Document("v.json", content, Role.PARAMETERS))
    assert [(problem.path, problem.line) for problem in found] == [("theirs", 2), ("MORE", 4)]


def test_a_value_for_a_template_that_is_named_and_not_deployed() -> None:
    """Its deployment has a condition that is false: the value is lost all the same."""
    skipped = {**link(relativePath="shared.json"), "condition": False}
    main = template("d/main.json", GROUP, skipped)
    (problem,) = refused(main, SHARED, values("v.json", Role.PARAMETERS, theirs="x"))
    assert problem.path == "parameters.theirs"
    assert names(load(main, SHARED).model) == ["own"]


def test_values_that_arrive() -> None:
    """In the template that links, and in the linked one by the other's deployment."""
    passed = link(relativePath="shared.json")
    passed["properties"]["parameters"] = {"theirs": {"value": "[parameters('mine')]"}}
    main = template("d/main.json", GROUP, passed, parameters=("mine",))
    given = values("v.json", Role.PARAMETERS, mine="x")
    assert names(load(main, SHARED, AT_HAND, given).model) == ["own", "x"]
    # By itself the template takes the value; a template of its own that has the name does too.
    alone = values("v.json", Role.PARAMETERS, theirs="x")
    assert names(load(SHARED, alone).model) == ["x"]
    other = template(
        "d/other.json",
        resource("networkSecurityGroups", "[concat('o-', parameters('theirs'))]", {}),
        parameters=("theirs",),
    )
    assert names(load(main, SHARED, AT_HAND, other, alone).model) == ["d", "o-x", "own"]


# Linked templates that are missing


ELSEWHERE = {"uri": "https://example.com/rules.json"}


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ({"relativePath": "rules.json"}, "d/rules.json"),
        ({"relativePath": "nested/rules.json"}, "d/nested/rules.json"),
        (
            {"uri": "[uri(deployment().properties.templateLink.uri, 'nested/rules.json?t=1')]"},
            "d/nested/rules.json",
        ),
    ],
)
def test_a_file_beside_the_template_that_is_not_there(where: dict[str, str], name: str) -> None:
    """Refused, once for each file: what a lost file held may be a denial."""
    twice = {**link(**where), "name": "again"}
    (problem,) = refused(template("d/main.json", GROUP, link(**where), twice))
    assert problem == Problem(
        name,
        "",
        None,
        "there is no such file, and d/main.json deploys what is in it",
        "put the linked template there, or remove its deployment",
    )


def test_a_file_that_is_not_there_and_not_deployed() -> None:
    """Nothing is missing."""
    skipped = {**link(relativePath="rules.json"), "condition": False}
    loaded = load(template("d/main.json", GROUP, skipped))
    assert (names(loaded.model), loaded.warnings) == (["own"], ())


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (ELSEWHERE, "'https://example.com/rules.json'"),
        ({"relativePath": "../rules.json"}, "'file:///rules.json'"),
        ({"id": "/subscriptions/s/specs/x"}, "'/subscriptions/s/specs/x'"),
        # Azure takes no such link: where it leads is not said.
        ({"uri": "rules.json"}, "'d/rules.json'"),
        (
            {"uri": "[reference('x').uri]"},
            "of deployment 'inner', whose link is not known",
        ),
    ],
)
def test_what_lies_elsewhere_is_a_warning(where: dict[str, str], said: str) -> None:
    """It cannot be fetched: the rest loads, and it is told apart from notes that must be asked for.

    It is a note too: what prints all notes has told it.
    """
    loaded = load(template("d/main.json", GROUP, link(**where)))
    assert loaded.warnings == (
        f"d/main.json: resources[1]: the linked template {said} is not loaded:"
        " what it deploys is missing",
    )
    assert set(loaded.warnings) <= set(loaded.notes)


def test_a_link_of_a_linked_template_is_a_warning_too() -> None:
    """With its own place; a template that is only a part of another warns once."""
    inner = template("d/shared.json", SHARED_GROUP, link(**ELSEWHERE), parameters=("theirs",))
    at_hand = Document(inner.name, inner.content, Role.LINKED)
    loaded = load(MAIN, inner, at_hand)
    (warning,) = loaded.warnings
    assert warning.startswith("d/shared.json: resources[1]: the linked template")


def test_other_notes_are_no_warnings() -> None:
    """A part of another template, and a name that only Azure knows."""
    named = resource("networkSecurityGroups", "[concat('n-', resourceGroup().name)]", {})
    loaded = load(MAIN, SHARED, AT_HAND, template("d/other.json", named))
    assert any("is read as a part of" in note for note in loaded.notes)
    assert any("no document says" in note for note in loaded.notes)
    assert loaded.warnings == ()


# One mistake is told once


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("networkSecurityGroups", "web"),
        ("virtualNetworks", "web"),
        ("networkInterfaces", "web"),
        ("networkSecurityGroups/securityRules", "own/x"),
        ("routeTables", "web"),
    ],
)
def test_properties_that_are_not_known(kind: str, name: str) -> None:
    """All parts that decide are missing by one expression: told at its place, and once."""
    (problem,) = refused(template("t.json", GROUP, resource(kind, name, "[reference('x')]")))
    assert (problem.document, problem.path) == ("t.json", "resources[1].properties")
    assert "(from [reference('x')])" in problem.message
    assert problem.line is not None


def test_mistakes_at_two_places_are_two() -> None:
    """And so are two resources that say the same."""
    found = refused(
        template(
            "t.json",
            resource("networkSecurityGroups", "a", "[reference('x')]"),
            resource("networkSecurityGroups", "b", "[reference('x')]"),
        )
    )
    assert [problem.path for problem in found] == [
        "resources[0].properties",
        "resources[1].properties",
    ]


def test_a_mistake_in_a_file_of_two_templates() -> None:
    """It stands in one place."""
    bad = template("d/shared.json", resource("networkSecurityGroups", "[nothing()]", {}))
    first = template("d/first.json", GROUP, link(relativePath="shared.json"))
    second = template("d/second.json", link(relativePath="shared.json"))
    (problem,) = refused(first, second, Document(bad.name, bad.content, Role.LINKED))
    assert (problem.document, problem.path) == ("d/shared.json", "resources[0].name")
