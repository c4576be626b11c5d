"""Published templates: each is evaluated, or refused for a mistake that Azure would refuse too.

``pytest -s`` prints one line for each. They come from Azure's quick starts (see the corpus'
README); ``-rs`` tells when the corpus is absent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsgd.arm.evaluate import Deployment, evaluate_template
from nsgd.arm.expression import is_expression
from nsgd.arm.problem import TemplateRefused
from nsgd.arm.text import parse_template_text
from nsgd.arm.unknown import find_unknowns

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("NSGD_CORPUS", REPOSITORY.parent / "shared" / "corpus"))
TEMPLATES = sorted((CORPUS / "arm").glob("*.json"))
pytestmark = pytest.mark.skipif(
    not TEMPLATES, reason=f"no templates in {CORPUS}/arm; NSGD_CORPUS names the corpus"
)

# These cannot be deployed as they are published.
BROKEN = {
    # It names a subnet, and not its network.
    "201-vmss-win-iis-app-ssl__azuredeploy.json": "no argument is a type with its names",
    "openedx-devstack-ubuntu__azuredeploy.json": "there is no variable 'openedxVersion'",
}
NSG = "microsoft.network/networksecuritygroups"


def read(path: Path) -> dict[str, Any]:
    """The template in a file."""
    return parse_template_text(path.read_text(encoding="utf-8-sig")).tree


def stub(template: dict[str, Any], name: str) -> Any:
    """A value for a parameter: what it allows, or something of its type that the template uses."""
    declaration = template["parameters"][name]
    kind = declaration["type"].lower()
    if declaration.get("allowedValues"):
        return declaration["allowedValues"][0]
    if kind == "int":
        return max(2, declaration.get("minValue", 0))
    if kind == "bool":
        return True
    if kind == "array":
        return ["stub"]
    if kind in {"object", "secureobject"}:
        return stub_object(template, name)
    return "stub".ljust(declaration.get("minLength", 0), "x")


def stub_object(template: dict[str, Any], name: str) -> dict[str, Any]:
    """An object with all properties that the template takes out of a parameter."""
    found: dict[str, Any] = {}
    uses = re.compile(rf"parameters\('{name}'\)((?:\.[A-Za-z0-9_]+)+)", re.IGNORECASE)
    for chain in sorted(uses.findall(str(template).replace('"', "'").replace("\\'", "'"))):
        inner = found
        *keys, last = chain[1:].split(".")
        for key in keys:
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner.setdefault(last, True if last.endswith("Switch") else "stub")
    return found


def evaluate(template: dict[str, Any]) -> tuple[Deployment | TemplateRefused, dict[str, Any]]:
    """The outcome, once all parameters have a value that the template asks for."""
    values: dict[str, Any] = {
        # Their defaults are empty text, which is no name and no object.
        name: stub(template, name)
        for name, declaration in template.get("parameters", {}).items()
        if declaration.get("defaultValue") == ""
    }
    while True:
        try:
            return evaluate_template(template, values), values
        except TemplateRefused as refused:
            missing = [
                str(problem.path[1])
                for problem in refused.problems
                if "has neither a value nor a default" in problem.message
            ]
            if not missing or len(missing) < len(refused.problems):
                return refused, values
            values |= {name: stub(template, name) for name in missing}


def plain_rules(value: Any, given: dict[str, Any], times: int = 1) -> Iterator[dict[str, Any]]:
    """All security rules that stand in a template, as often as the loops around them say."""
    if isinstance(value, dict):
        copy = value.get("copy")
        if isinstance(copy, dict) and "type" in value:
            count = copy["count"]
            if isinstance(count, str):
                name = re.fullmatch(r"\[parameters\('(\w+)'\)\]", count)
                count = given.get(name[1], 1) if name else 1
            times *= count
        for key, child in value.items():
            if key == "securityRules":
                yield from (rule for rule in child for _ in range(times))
            else:
                yield from plain_rules(child, given, times)
    elif isinstance(value, list):
        for child in value:
            yield from plain_rules(child, given, times)


def same_literals(plain: Any, evaluated: Any) -> bool:
    """Whether what stands in the template without an expression is what came out."""
    if isinstance(plain, dict):
        return isinstance(evaluated, dict) and all(
            key in evaluated and same_literals(value, evaluated[key])
            for key, value in plain.items()
        )
    if isinstance(plain, list):
        return len(plain) == len(evaluated) and all(map(same_literals, plain, evaluated))
    if isinstance(plain, str) and is_expression(plain):
        return True
    return bool(plain == evaluated)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_published_template(path: Path) -> None:
    """Every rule that is written comes out, and nothing that decides stays unknown."""
    template = read(path)
    outcome, given = evaluate(template)
    if isinstance(outcome, TemplateRefused):
        print(f"\nrefused   {path.name}: {outcome.problems[0]}")
        assert BROKEN[path.name] in outcome.problems[0].message
        return
    assert path.name not in BROKEN
    groups = [one for one in outcome.resources if one.type.lower() == NSG]
    rules = [rule for group in groups for rule in group.properties.get("securityRules", [])]
    unknown = [
        f"{one.name}.{'.'.join(map(str, keys))}: {value.why}"
        for one in groups
        for keys, value in find_unknowns(one.properties)
    ]
    print(
        f"\nevaluated {path.name}: {len(outcome.resources)} resources, {len(rules)} rules, "
        f"{len(outcome.linked)} links, {len(given)} parameters given, {len(unknown)} unknown"
    )
    assert unknown == []
    plain = list(plain_rules(template["resources"], given))
    assert len(rules) == len(plain)
    left = list(rules)
    for rule in plain:
        left.remove(next(found for found in left if same_literals(rule, found)))
    # Each place is one that the template has.
    for one in outcome.resources:
        value: Any = template
        for key in one.path:
            value = value[key]
        assert value is one.declaration
