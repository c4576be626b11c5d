"""Numeric, comparison and conversion functions of the template language.

Source:
    Azure, Numeric functions, Comparison functions and Logical functions for ARM templates.
    Division rounds towards zero and a remainder has the sign of what is divided, as in .NET.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nsgd.arm.assumed import compare, is_surely_text
from nsgd.arm.functions.arguments import (
    Function,
    in_64_bits,
    need_array,
    need_bool,
    need_integer,
    need_text,
    wrong,
)
from nsgd.arm.limits import MAXIMUM_RANGE, Budget
from nsgd.arm.problem import Mistake, show
from nsgd.arm.unknown import ASSUMPTION_DECIDES, Assumed, Unknown, plain


def _arithmetic(name: str, operation: Callable[[int, int], int]) -> Function:
    def apply(left: Any, right: Any) -> int:
        return in_64_bits(operation(need_integer(left), need_integer(right)))

    return Function(name, apply, 2, 2)


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise Mistake("a division by zero", "divide by another number")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _comparison(name: str, holds: Callable[[Any, Any], bool]) -> Function:
    def apply(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return holds(left, right)
        return holds(_need_number(left), _need_number(right))

    return Function(name, apply, 2, 2)


def _need_number(value: Any) -> int | float:
    return value if isinstance(value, float) else need_integer(value)


def _extreme(name: str, choose: Callable[[list[int]], int]) -> Function:
    def apply(*values: Any) -> int:
        if len(values) == 1 and isinstance(values[0], list):
            values = tuple(values[0])
        if not values:
            raise Mistake(f"{name}() of nothing", "give at least one integer")
        return choose([need_integer(value) for value in values])

    return Function(name, apply, 1, None)


def _range(start: Any, count: Any) -> list[int]:
    start, count = need_integer(start), need_integer(count)
    if not 0 <= count <= MAXIMUM_RANGE:
        raise Mistake(f"a range of {count} integers", f"a range has 0 to {MAXIMUM_RANGE}")
    if start + count > 2**31 - 1:
        raise Mistake(f"a range up to {start + count}", "a range ends below 2147483647")
    return list(range(start, start + count))


def _int(value: Any) -> int:
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= 20 and text.isascii() and text.lstrip("+-").isdigit():
            try:
                return in_64_bits(int(text))
            except ValueError:
                pass
        raise Mistake(f"{show(value)} is no integer", "write it in digits")
    if isinstance(value, float) and math.isfinite(value):
        return in_64_bits(int(value))
    return need_integer(value)


def _float(value: Any) -> float:
    try:
        number = float(need_text(value)) if isinstance(value, str) else float(_need_number(value))
    except ValueError as error:
        raise wrong(value, "a number") from error
    if not math.isfinite(number):
        raise wrong(value, "a number")
    return number


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        if value.strip().lower() not in {"true", "false"}:
            raise Mistake(f"{show(value)} is neither true nor false", "write true or false")
        return value.strip().lower() == "true"
    if isinstance(value, int) and not isinstance(value, bool):
        return value != 0
    return need_bool(value)


def _constant(name: str, value: bool | None) -> Function:
    return Function(name, lambda: value, 0, 0)


FUNCTIONS = (
    _arithmetic("add", lambda left, right: left + right),
    _arithmetic("sub", lambda left, right: left - right),
    _arithmetic("mul", lambda left, right: left * right),
    _arithmetic("div", _divide),
    _arithmetic("mod", lambda left, right: left - right * _divide(left, right)),
    _extreme("min", min),
    _extreme("max", max),
    _comparison("less", lambda left, right: left < right),
    _comparison("lessOrEquals", lambda left, right: left <= right),
    _comparison("greater", lambda left, right: left > right),
    _comparison("greaterOrEquals", lambda left, right: left >= right),
    Function("equals", lambda budget, *values: _equals(budget, *values), 2, 2, marks_itself=True),
    Function("range", _range, 2, 2),
    Function("int", _int, 1, 1),
    Function("float", _float, 1, 1),
    Function("bool", _bool, 1, 1),
    Function("not", lambda value: not need_bool(value), 1, 1),
    Function("xor", lambda left, right: need_bool(left) != need_bool(right), 2, 2),
    _constant("true", True),
    _constant("false", False),
    _constant("null", None),
    Function("array", lambda _, value: _array(value), 1, 1, False, True, marks_itself=True),
    Function("createArray", lambda *values: list(values), 0, None, False, True, holds=slice(None)),
    Function("length", lambda value: _length(value), 1, 1, False),
    Function("empty", lambda _, value: _empty(value), 1, 1, False, marks_itself=True),
    Function("flatten", lambda value: _flatten(need_array(value)), 1, 1, False, True),
)


def _equals(budget: Budget, left: Any, right: Any) -> bool | Unknown:
    answer = compare(left, right, budget)
    return ASSUMPTION_DECIDES if answer is None else answer


def _empty(value: Any) -> bool | Unknown:
    if isinstance(value, Assumed):
        return False if is_surely_text(value) else ASSUMPTION_DECIDES
    return value is None or _length(value) == 0


def _array(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _length(value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise wrong(value, "text, an array or an object")


def _flatten(value: list[Any]) -> Any:
    unknown = next((part for part in value if isinstance(part, Unknown)), None)
    if unknown is not None:
        return plain(unknown)
    return [item for part in value for item in need_array(part)]
