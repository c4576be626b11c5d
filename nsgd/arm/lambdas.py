"""Functions that take a lambda: filter(), map(), reduce(), sort() and their like.

Source:
    Azure, Lambda functions for ARM templates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cmp_to_key
from typing import Any

from nsgd.arm.expression import Call, Literal, Node
from nsgd.arm.forms import Apply, Evaluate, Form
from nsgd.arm.functions.arguments import need_array, need_bool, need_object, need_text
from nsgd.arm.limits import SCOPE_STEPS
from nsgd.arm.problem import Mistake
from nsgd.arm.scope import Scope
from nsgd.arm.unknown import Unknown, undecided

_Lambda = Callable[..., Any]


class _Undecided(Exception):
    """A lambda gave an unknown value where the result depends on it."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(unknown.why)
        self.unknown = unknown


def _known(value: Any) -> Any:
    if (unknown := undecided(value)) is not None:
        raise _Undecided(unknown)
    return value


def _lambda(node: Node, scope: Scope, evaluate: Evaluate, counts: range) -> _Lambda:
    """The lambda that an argument writes, taking as many values as it names."""
    names = node.arguments[:-1] if isinstance(node, Call) and node.name.lower() == "lambda" else ()
    texts = [str(name.value) for name in names if isinstance(name, Literal)]
    if not isinstance(node, Call) or len(texts) != len(names) or len(texts) not in counts:
        raise Mistake("a lambda is expected", "write lambda('item', ...lambdaVariables('item')...)")
    body = node.arguments[-1]

    def call(*values: Any) -> Any:
        scope.run.budget.spend(SCOPE_STEPS)
        named = dict(zip((text.lower() for text in texts), values, strict=False))
        return evaluate(body, replace(scope, lambdas={**scope.lambdas, **named}))

    return call


def _filter(items: list[Any], keep: _Lambda) -> list[Any]:
    return [item for place, item in enumerate(items) if need_bool(_known(keep(item, place)))]


def _map(items: list[Any], change: _Lambda) -> list[Any]:
    return [change(item, place) for place, item in enumerate(items)]


def _reduce(items: list[Any], start: Any, join: _Lambda) -> Any:
    for place, item in enumerate(items):
        start = join(start, item, place)
    return start


def _sort(items: list[Any], is_before: _Lambda) -> list[Any]:
    def compare(left: Any, right: Any) -> int:
        # sorted() asks only whether one comes before the other.
        return -1 if need_bool(_known(is_before(left, right))) else 0

    return sorted(items, key=cmp_to_key(compare))


def _to_object(items: list[Any], key: _Lambda, value: _Lambda | None = None) -> dict[str, Any]:
    return {need_text(_known(key(item))): item if value is None else value(item) for item in items}


def _group_by(items: list[Any], key: _Lambda) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    for item in items:
        groups.setdefault(need_text(_known(key(item))), []).append(item)
    return groups


def _map_values(items: dict[str, Any], change: _Lambda) -> dict[str, Any]:
    return {key: change(value) for key, value in items.items()}


def _form(
    name: str, function: Callable[..., Any], lambda_at: int, counts: range, most: int, of: Any
) -> Form:
    def apply(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
        values = [evaluate(argument, scope) for argument in call.arguments[:lambda_at]]
        try:
            of(_known(values[0]))
            return function(
                *values,
                *(
                    _lambda(argument, scope, evaluate, counts)
                    for argument in call.arguments[lambda_at:]
                ),
            )
        except _Undecided as stopped:
            return stopped.unknown

    typed: Apply = apply
    return Form(name, typed, lambda_at + 1, most)


FORMS = (
    _form("filter", _filter, 1, range(1, 3), 2, need_array),
    _form("map", _map, 1, range(1, 3), 2, need_array),
    _form("reduce", _reduce, 2, range(2, 4), 3, need_array),
    _form("sort", _sort, 1, range(2, 3), 2, need_array),
    _form("toObject", _to_object, 1, range(1, 2), 3, need_array),
    _form("groupBy", _group_by, 1, range(1, 2), 2, need_array),
    _form("mapValues", _map_values, 1, range(1, 2), 2, need_object),
)
