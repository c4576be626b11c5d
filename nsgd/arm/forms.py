"""Functions that need more than their arguments: the template, the deployment, or to be lazy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nsgd.arm.expression import Call, Node
from nsgd.arm.functions.arguments import need_bool, need_integer, need_text
from nsgd.arm.problem import Mistake, show
from nsgd.arm.scope import Scope
from nsgd.arm.unknown import Origin, Unknown, plain, undecided

Evaluate = Callable[[Node, Scope], Any]
Apply = Callable[[Call, Scope, Evaluate], Any]


@dataclass(frozen=True, slots=True)
class Form:
    """One such function: it evaluates its arguments itself."""

    name: str
    apply: Apply
    least: int
    most: int | None


def _if(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    condition = evaluate(call.arguments[0], scope)
    if isinstance(condition, Unknown):
        return plain(condition)
    # Only the value that is taken is evaluated, as in Azure.
    return evaluate(call.arguments[1 if need_bool(condition) else 2], scope)


def _all_or_any(decisive: bool) -> Apply:
    def apply(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
        unknown: Unknown | None = None
        for argument in call.arguments:
            value = evaluate(argument, scope)
            if isinstance(value, Unknown):
                unknown = unknown or value
            elif need_bool(value) == decisive:
                return decisive
        return (not decisive) if unknown is None else plain(unknown)

    return apply


def _coalesce(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    for argument in call.arguments:
        value = evaluate(argument, scope)
        if value is not None:
            return value
    return None


def _lookup(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    name = evaluate(call.arguments[0], scope)
    if (unknown := undecided(name)) is not None:
        return unknown
    kind = call.name.lower()
    if kind == "lambdavariables":
        if need_text(name).lower() not in scope.lambdas:
            raise Mistake(f"there is no lambda variable {show(name)}", "name it in lambda()")
        return scope.lambdas[name.lower()]
    return (scope.parameters if kind == "parameters" else scope.variables).get(need_text(name))


def _copy_index(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    values = [evaluate(argument, scope) for argument in call.arguments]
    for value in values:
        if (unknown := undecided(value)) is not None:
            return unknown
    loops = scope.loops
    name = values.pop(0).lower() if values and isinstance(values[0], str) else loops.resource
    offset = need_integer(values.pop(0)) if values else 0
    if values:
        raise Mistake("copyIndex() takes a loop's name and an offset", "give them in this order")
    if name is None:
        raise Mistake(
            "copyIndex() stands outside a loop of resources", "name the loop: copyIndex('name')"
        )
    if name not in loops.indexes:
        raise Mistake(
            f"copyIndex() names the loop {show(name)}, which is not around it",
            "name a loop that is",
        )
    return loops.indexes[name] + offset


def _unknown(origin: Origin, why: str, way_out: str) -> Apply:
    def apply(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
        return scope.run.unknown(origin, f"{call.name}() {why}", way_out)

    return apply


def secret(call: Call, scope: Scope) -> Unknown:
    """What listKeys() and its like give."""
    return scope.run.unknown(
        Origin.SECRET, f"{call.name}() asks Azure for it", "write the value itself"
    )


def _fail(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    message = evaluate(call.arguments[0], scope)
    raise Mistake(f"the template fails: {show(message)}", "follow its message")


def _misplaced_lambda(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    raise Mistake("lambda() stands alone", "it is an argument of filter(), map() and their like")


_OWN = "give the value as a parameter"
_TIME = _unknown(Origin.GENERATED, "is different in each deployment", _OWN)
_NOT_KNOWN = _unknown(Origin.NOT_EVALUATED, "is not evaluated", _OWN)
_AZURE = _unknown(Origin.REFERENCE, "asks Azure", _OWN)

FORMS = (
    Form("if", _if, 3, 3),
    Form("and", _all_or_any(False), 2, None),
    Form("or", _all_or_any(True), 2, None),
    Form("coalesce", _coalesce, 1, None),
    Form("parameters", _lookup, 1, 1),
    Form("variables", _lookup, 1, 1),
    Form("lambdaVariables", _lookup, 1, 1),
    Form("lambda", _misplaced_lambda, 1, None),
    Form("copyIndex", _copy_index, 0, 2),
    Form("fail", _fail, 1, 1),
    Form("utcNow", _TIME, 0, 1),
    Form("newGuid", _TIME, 0, 0),
    Form("dateTimeAdd", _NOT_KNOWN, 2, 3),
    Form("dateTimeFromEpoch", _NOT_KNOWN, 1, 1),
    Form("dateTimeToEpoch", _NOT_KNOWN, 1, 1),
    Form("externalInput", _NOT_KNOWN, 1, None),
    Form("pickZones", _AZURE, 3, 5),
    Form("toLogicalZone", _AZURE, 3, 3),
    Form("toLogicalZones", _AZURE, 3, 3),
    Form("toPhysicalZone", _AZURE, 3, 3),
    Form("toPhysicalZones", _AZURE, 3, 3),
    Form("providers", _AZURE, 1, 2),
    Form("getSecret", _AZURE, 1, None),
    Form("deployer", _AZURE, 0, 0),
)
