"""All functions that depend on their arguments alone, by name, and how one is applied."""

from __future__ import annotations

from typing import Any

from nsgd.arm.functions import cidr, collections, formatting, numbers, text
from nsgd.arm.functions.arguments import Function
from nsgd.arm.limits import Budget
from nsgd.arm.problem import Mistake
from nsgd.arm.unknown import ASSUMPTION_DECIDES, Assumed, Unknown, assume, plain, survey

FUNCTIONS: dict[str, Function] = {
    function.name.lower(): function
    for module in (cidr, collections, formatting, numbers, text)
    for function in module.FUNCTIONS
}


def apply_function(function: Function, arguments: list[Any], budget: Budget) -> Any:
    """Apply a function to evaluated arguments. Raises Mistake and LimitReached.

    The result is unknown where it depends on an unknown argument, and assumed where it depends on
    an assumed one.
    """
    need_count(function.name, len(arguments), function.least, function.most)
    for place, argument in enumerate(arguments):
        if isinstance(argument, Unknown) and not _takes_unknown(function, place):
            return plain(argument)
    is_assumed = any(isinstance(argument, Assumed) for argument in arguments)
    if function.looks_inside:
        unknown, is_assumed_inside = survey(arguments, budget)
        # Of objects only the keys count: an unknown value of a merge stays at its own.
        uses_keys = function.name in {"union", "contains"} and isinstance(arguments[0], dict)
        if unknown is not None and not uses_keys:
            return plain(unknown)
        if function.is_slow:
            budget.spend(sum(len(text) for text in arguments if isinstance(text, str)))
        is_assumed = is_assumed or (is_assumed_inside and not function.keeps_parts)
    if is_assumed and function.name == "equals" and _are_one_assumption(arguments):
        return True
    if is_assumed and _asks_for_an_id(function.name, arguments):
        return False
    try:
        result = function.apply(*arguments)
    except Mistake:
        if is_assumed:
            return ASSUMPTION_DECIDES
        raise
    _spend(result, budget)
    if is_assumed and not (function.keeps_parts and isinstance(result, list | dict)):
        return assume(result)
    return result


def _takes_unknown(function: Function, place: int) -> bool:
    """Whether the function only keeps this argument, and says nothing about it."""
    if function.name == "createObject":
        return place % 2 == 1
    return function.name in {"array", "createArray"}


def need_count(name: str, given: int, least: int, most: int | None) -> None:
    """Refuse a call with too few or too many arguments. Raises Mistake."""
    if given < least or (most is not None and given > most):
        wanted = f"{least}" if least == most else f"{least} to {most}"
        if most is None:
            wanted = f"at least {least}"
        raise Mistake(f"{name}() has {given} arguments", f"it takes {wanted}")


def _are_one_assumption(arguments: list[Any]) -> bool:
    """Whether two texts are one, and made from the same names: they are equal under any names."""
    left, right = arguments
    return isinstance(left, Assumed) and isinstance(right, Assumed) and left == right


def _asks_for_an_id(name: str, arguments: list[Any]) -> bool:
    """Whether it is asked if a resource id is empty: it is not, whatever names are in it."""
    if name == "equals":
        arguments = [argument for argument in arguments if argument != ""]
    elif name != "empty":
        return False
    return (
        len(arguments) == 1
        and isinstance(arguments[0], Assumed)
        and arguments[0].startswith("/subscriptions/")
    )


def _spend(result: Any, budget: Budget) -> None:
    if isinstance(result, str):
        budget.spend_text(len(result))
    elif isinstance(result, list | dict):
        budget.spend(len(result))
