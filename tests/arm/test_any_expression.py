"""Any call of any functions gives plain JSON, an unknown value or a refusal, and soon."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from nsgd.arm.evaluate import evaluate_template
from nsgd.arm.evaluator import FORMS
from nsgd.arm.functions.table import FUNCTIONS
from nsgd.arm.problem import TemplateRefused
from nsgd.arm.unknown import Unknown, find_unknowns
from tests.arm.templates import everywhere

LEAVES = [
    "-1", "0", "1", "2", "3", "800", "10001", "9223372036854775807", "''", "'a'", "'A,b'", "'/'",
    "'10.0.0.0/16'", "'{0:N0}'", "'Microsoft.Network/virtualNetworks'", "'nsg'", "'x'", "'p'",
    "'loop'", "'Full'", "'W10='", "'data:,a'", "true()", "false()", "null()", "createArray()",
    "createArray(1, 'a', null())", "createObject('a', 1, 'b', createArray(2))",
    "listKeys('a', '1')", "reference('nsg')", "reference('nsg').list", "parameters('p')",
    "variables('v')", "variables('deep')", "resourceGroup()", "resourceGroup().id", "copyIndex()",
    "lambda('x', lambdaVariables('x'))", "lambda('x', 'y', less(lambdaVariables('x'), 1))",
    "lambda('x', parameters('p'))", "createArray(listKeys('a', '1'), resourceGroup().name)",
]  # fmt: skip
NAMES = sorted({one.name for one in FORMS.values()} | {one.name for one in FUNCTIONS.values()})
EXPRESSIONS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.builds(
            lambda name, arguments: f"{name}({', '.join(arguments)})",
            st.sampled_from(NAMES),
            st.lists(inner, max_size=3),
        )
        | st.builds(lambda base, key: f"{base}[{key}]", inner, inner)
        | st.builds(lambda base, key: f"{base}.{key}", inner, st.sampled_from(["a", "id", "list"]))
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
@settings(max_examples=150, deadline=None)
def test_any_expression(expression: str) -> None:
    """Nothing but TemplateRefused is raised, and what is known is JSON."""
    whole = everywhere(expression)
    before = json.dumps(whole)
    try:
        deployment = evaluate_template(whole)
    except TemplateRefused as refused:
        problems = refused.problems
        deployment = None
    # Evaluating leaves the template as it was.
    assert json.dumps(whole) == before
    if deployment is None:
        assert problems
        assert all(str(problem).isprintable() for problem in problems)
        return
    for one in deployment.resources:
        assert isinstance(one.name, str)
        if not any(find_unknowns(one.properties)):
            json.dumps(one.properties)
    result = deployment.outputs["x"]
    if not isinstance(result, Unknown) and not any(find_unknowns(result)):
        json.dumps(result)
