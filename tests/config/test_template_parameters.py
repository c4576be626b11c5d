"""Parameter files: which template gets which value, and what is refused."""

from __future__ import annotations

import json

import pytest

from nsgd.config.document import Document, Role
from nsgd.config.load import LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deployment{}.json#"
NATIVE = Document("native.yaml", b"networkSecurityGroups: [{name: own}]\n")


def template(name: str, *parameters: str, kind: str = "string") -> Document:
    """A template with a group for each parameter, named by it."""
    tree = {
        "$schema": SCHEMA.format("Template"),
        "contentVersion": "1.0.0.0",
        "parameters": {parameter: {"type": kind} for parameter in parameters},
        "resources": [
            {
                "type": "Microsoft.Network/networkSecurityGroups",
                "apiVersion": "2020-11-01",
                "name": f"[string(parameters('{parameter}'))]",
                "properties": {},
            }
            for parameter in parameters
        ],
    }
    return Document(name, json.dumps(tree, indent=1).encode())


def file(name: str, role: Role = Role.PARAMETERS, /, **values: object) -> Document:
    """A parameter file."""
    tree = {
        "$schema": SCHEMA.format("Parameters"),
        "contentVersion": "1.0.0.0",
        "parameters": {key: {"value": value} for key, value in values.items()},
    }
    return Document(name, json.dumps(tree, indent=1).encode(), role)


def names(loaded: LoadedConfig) -> list[str]:
    """The names of all groups."""
    return [group.name for group in loaded.model.network_security_groups]


def problems(*documents: Document) -> list[str]:
    """What is wrong."""
    with pytest.raises(ConfigRefused) as caught:
        load_documents(documents)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_for_all_templates() -> None:
    """Each takes what it has a parameter for, without regard to case."""
    loaded = load_documents(
        [template("a.json", "x"), template("b.json", "Y"), file("p", X="1", y="2")]
    )
    assert names(loaded) == ["1", "2"]


def test_a_file_follows_its_template() -> None:
    """By its name, also from another directory where --parameters names it."""
    templates = [template("in/a.json", "x"), template("in/b.json", "x")]
    files = [file("elsewhere/a.parameters.json", x="1"), file("elsewhere/b.parameters.json", x="2")]
    assert names(load_documents([*templates, *files])) == ["1", "2"]
    beside = [
        file("in/b.parameters.json", Role.POLICY, x="2"),
        file("in/a.parameters.json", Role.POLICY, x="1"),
    ]
    assert names(load_documents([*templates, *beside])) == ["1", "2"]


def test_what_is_named_counts_before_what_lies_beside() -> None:
    """And of several that are named the last one."""
    documents = [
        file("a.parameters.json", Role.POLICY, x="beside"),
        template("a.json", "x"),
        file("first.json", x="first"),
    ]
    assert names(load_documents(documents)) == ["first"]
    assert names(load_documents([*documents, file("last.json", x="last")])) == ["last"]


def test_values_by_themselves() -> None:
    """Without the frame of a parameter file; comments are read."""
    given = Document("p.json", b'{"x": "1", // one\n}', Role.PARAMETERS)
    assert names(load_documents([template("a.json", "x"), given])) == ["1"]


def test_a_missing_value() -> None:
    """Told once, with the place of the parameter and the option."""
    (problem,) = problems(template("a.json", "x"))
    assert problem.startswith("a.json:5: parameters.x: parameter 'x' has neither a value nor")
    assert problem.endswith("give it with --parameters")


def test_nothing_is_given_in_vain() -> None:
    """A value that no template takes is a mistake, with its line."""
    (problem,) = problems(template("a.json", "name"), file("p.json", name="n", nmae="m"))
    assert problem == (
        "p.json:8: parameters.nmae: no template has a parameter 'nmae'; did you mean 'name'?"
    )
    found = problems(
        template("a.json", "x"), template("b.json", "y"), file("a.parameters.json", y="1")
    )
    assert "no template has a parameter 'y'" in found[-1]
    (problem,) = problems(NATIVE, file("p.json", x="1"))
    assert problem.endswith("load a template; no other document has parameters")


def test_a_file_without_its_template() -> None:
    """In a directory of documents its name must say which."""
    (problem,) = problems(NATIVE, file("p.parameters.json", Role.POLICY, x="1"))
    assert "no template of its name is among the documents" in problem
    assert "--parameters" in problem


def test_a_wrong_type_is_told_where_the_value_is() -> None:
    """And not where the parameter is declared."""
    found = problems(template("a.json", "x", kind="int"), file("p.json", x="1"))
    assert found[0].startswith("p.json:5: parameters.x: parameter 'x' is text and declared int;")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"parameters": {"x": 5}}', "p.json:1: parameters.x: parameter 'x' has no value;"),
        (b'{"parameters": {"x": {"value": 1}, "X": {"value": 2}}}', "two keys 'X'"),
        (b'{"parameters": ', "p.json:1: "),
        (b'["x"]', "p.json:1: "),
    ],
)
def test_no_parameter_file(content: bytes, said: str) -> None:
    """What is not one is refused with its line."""
    found = problems(template("a.json", "x"), Document("p.json", content, Role.PARAMETERS))
    assert any(said in problem for problem in found), found


def test_a_template_is_no_parameter_file() -> None:
    """The two are easily mixed up."""
    other = template("b.json", "x")
    found = problems(template("a.json"), Document("b.json", other.content, Role.PARAMETERS))
    assert "name it with --config" in found[0]


def test_parameters_alone() -> None:
    """They declare nothing."""
    (problem,) = problems(file("p.json", x="1"))
    assert "there is none" in problem


def test_a_secret_of_a_key_vault() -> None:
    """It is as good as no value: refused only where it decides."""
    secret = {"reference": {"keyVault": {"id": "/k"}, "secretName": "s"}}
    content = json.dumps({"parameters": {"x": secret}}).encode()
    (problem,) = problems(template("a.json", "x"), Document("p.json", content, Role.PARAMETERS))
    assert "comes from a key vault" in problem
