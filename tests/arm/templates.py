"""Small templates for the tests of nsgd.arm."""

from __future__ import annotations

from typing import Any

from nsgd.arm.evaluate import Deployment, Resource, evaluate_template
from nsgd.arm.problem import TemplateProblem, TemplateRefused
from nsgd.arm.scope import DeploymentContext

CONTEXT = DeploymentContext(
    subscription_id="11111111-2222-3333-4444-555555555555",
    resource_group="rg",
    location="westeurope",
    deployment_name="main",
    tenant_id="99999999-0000-0000-0000-000000000000",
)
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg"
NSG = "Microsoft.Network/networkSecurityGroups"
VNET = "Microsoft.Network/virtualNetworks"


def template(*resources: Any, **sections: Any) -> dict[str, Any]:
    """A template of these resources; a section of that name replaces them."""
    return {"resources": list(resources), **sections}


def resource(kind: str = NSG, name: str = "nsg", **properties: Any) -> dict[str, Any]:
    """A resource with these properties."""
    return {"type": kind, "apiVersion": "2020-01-01", "name": name, "properties": properties}


def deploy(*resources: Any, **options: Any) -> Deployment:
    """Evaluate a template of these resources; parameters and context may be given."""
    given = options.pop("given", None)
    context = options.pop("context", CONTEXT)
    load_linked = options.pop("load_linked", None)
    refuses_links = options.pop("refuses_links", False)
    return evaluate_template(
        template(*resources, **options),
        given,
        deployment=context,
        load_linked=load_linked,
        refuses_links=refuses_links,
    )


def names(deployment: Deployment) -> list[Any]:
    """The names of all resources."""
    return [one.name for one in deployment.resources]


def only(deployment: Deployment) -> Resource:
    """The one resource."""
    (found,) = deployment.resources
    return found


def value(expression: Any, **options: Any) -> Any:
    """What an expression gives, in a template that may have parameters, variables and so on."""
    return deploy(outputs={"x": {"type": "string", "value": expression}}, **options).outputs["x"]


def refusal(*resources: Any, **options: Any) -> TemplateProblem:
    """The one problem of a template."""
    (problem,) = refusals(*resources, **options)
    return problem


def refusals(*resources: Any, **options: Any) -> tuple[TemplateProblem, ...]:
    """All problems of a template."""
    try:
        deploy(*resources, **options)
    except TemplateRefused as refused:
        for problem in refused.problems:
            assert str(problem).isprintable()
            assert problem.message
            assert problem.way_out
        return refused.problems
    raise AssertionError("the template was not refused")


def mistake(expression: Any, **options: Any) -> str:
    """Why an expression is refused."""
    problem = refusal(outputs={"x": {"type": "string", "value": expression}}, **options)
    return f"{problem.message}; {problem.way_out}"


def looped_name() -> str:
    """A name that differs in each iteration."""
    return "[concat('n', copyIndex())]"


def everywhere(expression: str) -> dict[str, Any]:
    """A template with an expression in each place that evaluates one."""
    text = f"[{expression}]"
    return template(
        {
            **resource(NSG, "nsg", x=text, list=[text], **{"[concat('k', copyIndex())]": 1}),
            "copy": {"name": "loop", "count": 1},
            "condition": text,
        },
        {
            **resource(
                "Microsoft.Resources/deployments",
                "inner",
                parameters={"p": {"value": text}},
                expressionEvaluationOptions={"scope": "inner"},
                template=template(
                    resource(NSG, "other", x="[parameters('p')]"),
                    parameters={"p": {"type": "string"}},
                ),
            ),
        },
        resource(NSG, "loops", copy=[{"name": "l", "count": text, "input": "[copyIndex('l')]"}]),
        parameters={"p": {"type": "int"}},
        variables={"v": text, "deep": {"a": [[{"b": 1}]]}},
        outputs={"x": {"type": "string", "value": text}},
    )
