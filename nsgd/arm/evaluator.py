"""Values of a template to plain JSON: expressions are computed, property loops written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nsgd.arm import deployed, forms, ids, lambdas
from nsgd.arm.copies import Loop, need_count, property_loops
from nsgd.arm.expression import (
    Call,
    Literal,
    Member,
    Node,
    is_expression,
    parse_expression,
    unescape,
)
from nsgd.arm.forms import Form, secret
from nsgd.arm.functions.arguments import find_key, kind_of
from nsgd.arm.functions.table import FUNCTIONS, apply_function
from nsgd.arm.functions.table import need_count as need_arguments
from nsgd.arm.limits import SCOPE_STEPS
from nsgd.arm.problem import Mistake, Path, closest, show
from nsgd.arm.scope import Lazy, Loops, Scope
from nsgd.arm.unknown import Origin, PartlyKnown, Unknown, located, plain, undecided

FORMS: dict[str, Form] = {
    form.name.lower(): form for module in (deployed, forms, ids, lambdas) for form in module.FORMS
}


def evaluate_value(value: Any, scope: Scope, path: Path) -> Any:
    """Evaluate all text in a value. Raises LimitReached only.

    What is wrong is kept in the run's problems, and an unknown value stands in its place.
    """
    run = scope.run
    run.enter()
    try:
        if isinstance(value, str):
            return _evaluate_text(value, scope, path)
        if isinstance(value, list):
            return [evaluate_value(item, scope, (*path, at)) for at, item in enumerate(value)]
        if isinstance(value, dict):
            return _evaluate_object(value, scope, path)
        return value
    finally:
        run.leave()


def evaluate_loop(loop: Loop, scope: Scope, path: Path, is_resource: bool = False) -> Any:
    """The array that a loop makes; *path* is that of the loop. Raises LimitReached only."""
    count = evaluate_value(loop.count, scope, (*path, "count"))
    if isinstance(count, Unknown):
        return plain(count)
    try:
        count = need_count(count)
    except Mistake as mistake:
        return scope.run.refuse(mistake, (*path, "count"), scope.document)
    scope.run.budget.spend(count * SCOPE_STEPS)
    return [
        evaluate_value(
            loop.input,
            replace(scope, loops=scope.loops.inside(loop.name, index, is_resource)),
            (*path, "input"),
        )
        for index in range(count)
    ]


def _evaluate_object(value: dict[str, Any], scope: Scope, path: Path) -> Any:
    result: dict[str, Any] = {}
    unknown: Unknown | None = None
    taken: set[str] = set()

    def is_taken(name: str, here: Path, expression: str) -> bool:
        folded = name.lower()
        if folded in taken:
            mistake = Mistake(
                f"the object has two keys {show(name)}", "keep one of them: the other would be lost"
            )
            scope.run.refuse(mistake, here, scope.document, expression)
            return True
        taken.add(folded)
        return False

    for key, item in value.items():
        here = (*path, key)
        if key.lower() == "copy" and (loops := property_loops(item)) is not None:
            for loop in loops:
                place = here if loop.key is None else (*here, loop.key)
                if not is_taken(loop.name, place, ""):
                    result[loop.name] = evaluate_loop(loop, scope, place)
            continue
        name = evaluate_value(key, scope, here) if key.startswith("[") else key
        if (is_open := undecided(name)) is not None:
            unknown = unknown or located(is_open, key, here, scope.document)
        elif not isinstance(name, str):
            mistake = Mistake(f"the key is {kind_of(name)}", "give text")
            unknown = scope.run.refuse(mistake, here, scope.document, key)
        elif not is_taken(name, here, key if key.startswith("[") else ""):
            result[name] = evaluate_value(item, scope, here)
    # A key that is not known could be any of those that the object has.
    return result if unknown is None else plain(unknown)


def _evaluate_text(text: str, scope: Scope, path: Path) -> Any:
    if not is_expression(text):
        plain_text = unescape(text)
        if plain_text is not text and scope.inner is not None and is_expression(plain_text):
            return _evaluate_text(plain_text, scope.inner, path)
        return plain_text
    run = scope.run
    before = (run.path, run.expression, run.document)
    run.path, run.expression, run.document = path, text, scope.document
    run.budget.spend_text(len(text))
    try:
        result = evaluate_node(parse_expression(text), scope)
        if isinstance(result, Unknown) and result.origin is Origin.CONTEXT:
            return located(result, text, path, scope.document)
        return result
    except Mistake as mistake:
        return run.refuse(mistake, path, scope.document, text)
    finally:
        run.path, run.expression, run.document = before


def evaluate_node(node: Node, scope: Scope) -> Any:
    """Compute one part of an expression. Raises Mistake and LimitReached."""
    if isinstance(node, Literal):
        return node.value
    scope.run.enter()
    try:
        if isinstance(node, Member):
            return take_member(evaluate_node(node.base, scope), evaluate_node(node.key, scope))
        return _call(node, scope)
    finally:
        scope.run.leave()


def _call(call: Call, scope: Scope) -> Any:
    name = call.name.lower()
    if call.namespace and call.namespace.lower() != "sys":
        return _call_user_function(call, scope)
    form = FORMS.get(name)
    if form is not None:
        need_arguments(form.name, len(call.arguments), form.least, form.most)
        return form.apply(call, scope, evaluate_node)
    function = FUNCTIONS.get(name)
    if function is None:
        if name.startswith("list"):
            return secret(call, scope)
        names = [form.name for form in FORMS.values()]
        meant = closest(call.name, names + [known.name for known in FUNCTIONS.values()])
        raise Mistake(
            f"there is no function {show(call.name)}",
            f"{meant}() is near it" if meant else "correct the name",
        )
    arguments = [evaluate_node(argument, scope) for argument in call.arguments]
    return apply_function(function, arguments, scope.run.budget)


def _call_user_function(call: Call, scope: Scope) -> Any:
    function = scope.functions.get((call.namespace.lower(), call.name.lower()))
    if function is None:
        raise Mistake(
            f"the template declares no function {call.namespace}.{call.name}",
            "declare it in the template's functions",
        )
    wanted = len(function.parameters)
    need_arguments(function.name, len(call.arguments), wanted, wanted)
    values = dict(
        zip(
            function.parameters,
            [evaluate_node(argument, scope) for argument in call.arguments],
            strict=True,
        )
    )
    scope.run.budget.spend(SCOPE_STEPS)
    # Such a function sees its own parameters, and neither variables nor resources.
    inside = replace(
        scope,
        document=function.document,
        parameters=Lazy("parameter", values, values.__getitem__),
        variables=Lazy("variable", (), str),
        loops=Loops(),
        lambdas={},
        resolver=None,
        inner=None,
    )
    return evaluate_value(function.body, inside, function.path)


def take_member(base: Any, key: Any) -> Any:
    """``base.key`` or ``base[key]``. Raises Mistake."""
    if (unknown := undecided(key)) is not None:
        return unknown
    if isinstance(base, PartlyKnown):
        return _take_known(base, key)
    if isinstance(base, Unknown):
        return base
    if isinstance(base, dict) and isinstance(key, str):
        known = find_key(base, key)
        if known is None:
            meant = closest(key, base)
            raise Mistake(
                f"the object has no property {show(key)}",
                f"{show(meant)} is near it" if meant else "add it, or correct the name",
            )
        return base[known]
    if isinstance(base, list) and isinstance(key, int) and not isinstance(key, bool):
        if not 0 <= key < len(base):
            raise Mistake(
                f"the array has no element {key}",
                f"it has {len(base)} elements, counted from 0",
            )
        return base[key]
    raise Mistake(
        f"{kind_of(base)} has no {'property' if isinstance(key, str) else 'element'} {show(key)}",
        "objects have properties by name, and arrays have elements by number",
    )


def _take_known(base: PartlyKnown, key: Any) -> Any:
    known, value = base.known, None
    if isinstance(known, dict) and isinstance(key, str):
        name = find_key(known, key)
        value = None if name is None else known[name]
    elif isinstance(known, list) and isinstance(key, int) and 0 <= key < len(known):
        value = known[key]
    if isinstance(value, dict | list):
        return replace(base, known=value)
    return plain(base) if value is None else value
