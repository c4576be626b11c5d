"""All functions that depend on their arguments alone, by name, and how one is applied."""

from __future__ import annotations

from typing import Any

from nsgd.arm.functions import cidr, collections, formatting, numbers, text
from nsgd.arm.functions.arguments import Function
from nsgd.arm.limits import Budget
from nsgd.arm.problem import Mistake
from nsgd.arm.unknown import (
    ASSUMPTION_DECIDES,
    Assumed,
    AssumedParts,
    Unknown,
    assume,
    plain,
    survey,
)

FUNCTIONS: dict[str, Function] = {
    function.name.lower(): function
    for module in (cidr, collections, formatting, numbers, text)
    for function in module.FUNCTIONS
}


def apply_function(function: Function, arguments: list[Any], budget: Budget) -> Any:
    """Apply a function to evaluated arguments. Raises Mistake and LimitReached.

    The result is unknown where it depends on an unknown argument, and assumed where it depends on
    an assumed one; what an assumed one decides is unknown.
    """
    need_count(function.name, len(arguments), function.least, function.most)
    if function.chosen_by and survey(arguments[function.chosen_by], budget).is_assumed:
        return ASSUMPTION_DECIDES
    held = range(len(arguments))[function.holds] if function.holds else range(0)
    opened, is_assumed = list(arguments), False
    for place, argument in enumerate(arguments):
        if place in held:
            continue
        if isinstance(argument, AssumedParts):
            opened[place], is_assumed = argument.known, True
        elif isinstance(argument, Unknown):
            return plain(argument)
        elif isinstance(argument, Assumed) and not function.marks_itself:
            is_assumed = True
    if function.looks_inside:
        unknown, is_assumed_inside = survey(opened, budget)
        # Of objects only the keys count: an unknown value of a merge stays at its own.
        uses_keys = function.name in {"union", "contains"} and isinstance(opened[0], dict)
        if unknown is not None and not uses_keys:
            return plain(unknown)
        if function.is_slow:
            budget.spend(sum(len(text) for text in opened if isinstance(text, str)))
        if is_assumed_inside and not (function.keeps_parts or function.marks_itself):
            is_assumed = True
    try:
        result = function.apply(*([budget] if function.marks_itself else []), *opened)
    except Mistake:
        if is_assumed:
            return ASSUMPTION_DECIDES
        raise
    _spend(result, budget)
    if is_assumed:
        survey([result], budget)
        return assume(result)
    return result


def need_count(name: str, given: int, least: int, most: int | None) -> None:
    """Refuse a call with too few or too many arguments. Raises Mistake."""
    if given < least or (most is not None and given > most):
        wanted = f"{least}" if least == most else f"{least} to {most}"
        if most is None:
            wanted = f"at least {least}"
        raise Mistake(f"{name}() has {given} arguments", f"it takes {wanted}")


def _spend(result: Any, budget: Budget) -> None:
    if isinstance(result, str):
        budget.spend_text(len(result))
    elif isinstance(result, list | dict):
        budget.spend(len(result))
