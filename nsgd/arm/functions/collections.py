"""Functions of the template language on arrays and objects.

Source:
    Azure, Array functions and Object functions for ARM templates. Keys of objects are compared
    without case, elements of arrays with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from nsgd.arm.assumed import compare, spell
from nsgd.arm.functions.arguments import (
    Function,
    as_text,
    canonical,
    find_key,
    need_array,
    need_integer,
    need_object,
    need_text,
    wrong,
)
from nsgd.arm.limits import Budget, need_string_length
from nsgd.arm.problem import Mistake
from nsgd.arm.unknown import ASSUMPTION_DECIDES, Assumed, Unknown, assume, plain, survey


def _concat(*values: Any) -> Any:
    if isinstance(values[0], list):
        return [item for value in values for item in need_array(value)]
    texts = [as_text(value) for value in values]
    need_string_length(sum(map(len, texts)))
    return spell(*texts)


def _contains(budget: Budget, container: Any, item: Any) -> bool | Unknown:
    if isinstance(container, list):
        return is_any([compare(element, item, budget) for element in container])
    if not isinstance(container, str | dict):
        raise wrong(container, "an array")
    wanted = as_text(item)
    if isinstance(container, Assumed) or isinstance(wanted, Assumed):
        return ASSUMPTION_DECIDES
    if isinstance(container, str):
        return wanted in container
    return find_key(container, wanted) is not None


def is_any(answers: Sequence[bool | None]) -> bool | Unknown:
    """Whether one of the answers is true: they come from compare()."""
    if True in answers:
        return True
    return ASSUMPTION_DECIDES if None in answers else False


def index_of(budget: Budget, items: list[Any], wanted: Any) -> int | Unknown:
    """The place of a value in a list, or -1."""
    for place, item in enumerate(items):
        answer = compare(item, wanted, budget)
        if answer is None:
            return ASSUMPTION_DECIDES
        if answer:
            return place
    return -1


def _first(value: Any) -> Any:
    if isinstance(value, str):
        return value[:1]
    return need_array(value)[0] if value else None


def _last(value: Any) -> Any:
    if isinstance(value, str):
        return value[-1:]
    return need_array(value)[-1] if value else None


def _take(value: Any, count: Any) -> Any:
    count = max(need_integer(count), 0)
    return value[:count] if isinstance(value, str) else need_array(value)[:count]


def _skip(value: Any, count: Any) -> Any:
    count = max(need_integer(count), 0)
    return value[count:] if isinstance(value, str) else need_array(value)[count:]


def _create_object(*parts: Any) -> dict[str, Any]:
    if len(parts) % 2:
        raise Mistake("a key has no value", "give keys and values in turn")
    return {need_text(parts[at]): parts[at + 1] for at in range(0, len(parts), 2)}


def _union(budget: Budget, *values: Any) -> Any:
    if isinstance(values[0], dict):
        return reduce(_merge, [need_object(value) for value in values])
    items = [item for value in values for item in need_array(value)]
    if not survey(items, budget).is_assumed:
        return list({canonical(item): item for item in reversed(items)}.values())[::-1]
    found: list[Any] = []
    for item in items:
        is_found = is_any([compare(other, item, budget) for other in found])
        if isinstance(is_found, Unknown):
            return assume(items)
        if not is_found:
            found.append(item)
    return found


def _merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    merged = dict(left)
    for key, value in right.items():
        known = find_key(merged, key) or key
        before = merged.get(known)
        if isinstance(value, dict) and isinstance(before, dict):
            value = _merge(before, value)
        elif isinstance(value, dict) and isinstance(before, Unknown):
            # It may be an object, whose keys would stay.
            value = before
        merged[known] = value
    return merged


def _shallow_merge(values: Any) -> Any:
    merged: dict[str, Any] = {}
    for value in need_array(values):
        if isinstance(value, Unknown):
            return plain(value)
        for key, item in need_object(value).items():
            merged[find_key(merged, key) or key] = item
    return merged


def _intersection(budget: Budget, *values: Any) -> Any:
    if not isinstance(values[0], dict):
        return _common_items(budget, [need_array(value) for value in values])
    common = need_object(values[0])
    for value in values[1:]:
        other = need_object(value)
        kept: dict[str, Any] = {}
        for key, item in common.items():
            found = find_key(other, key)
            is_equal = False if found is None else compare(item, other[found], budget)
            if is_equal is None:
                return ASSUMPTION_DECIDES
            if is_equal:
                kept[key] = item
        common = kept
    return common


def _common_items(budget: Budget, values: list[list[Any]]) -> Any:
    common = _union(budget, values[0])
    if isinstance(common, Unknown):
        return common
    for value in values[1:]:
        if not survey([common, value], budget).is_assumed:
            others = {canonical(item) for item in value}
            common = [item for item in common if canonical(item) in others]
            continue
        answers = [is_any([compare(item, other, budget) for other in value]) for item in common]
        if any(isinstance(answer, Unknown) for answer in answers):
            return ASSUMPTION_DECIDES
        common = [item for item, answer in zip(common, answers, strict=True) if answer]
    return common


def _items(value: Any) -> list[dict[str, Any]]:
    # Azure lists them by their keys.
    return [{"key": key, "value": item} for key, item in sorted(need_object(value).items())]


def _index_from_end(value: Any, place: Any) -> Any:
    array, place = need_array(value), need_integer(place)
    if not 1 <= place <= len(array):
        raise Mistake(f"place {place} from the end of {len(array)} elements", "count from 1")
    return array[-place]


def _try(get: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def apply(value: Any, *keys: Any) -> Any:
        for key in keys:
            value = get(value, key)
        return value

    return apply


def _get(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        known = find_key(value, need_text(key))
        return None if known is None else value[known]
    if isinstance(value, list):
        return value[key] if 0 <= need_integer(key) < len(value) else None
    if isinstance(value, Unknown):
        return plain(value)
    if value is None:
        return None
    raise wrong(value, "an array or an object")


def _get_from_end(value: Any, place: Any) -> Any:
    array = need_array(value)
    return array[-place] if 1 <= need_integer(place) <= len(array) else None


FUNCTIONS = (
    Function("concat", _concat, 1, None, False, True),
    Function("contains", _contains, 2, 2, marks_itself=True),
    Function(
        "createObject",
        _create_object,
        0,
        None,
        False,
        True,
        holds=slice(1, None, 2),
        chosen_by=slice(0, None, 2),
    ),
    Function("first", _first, 1, 1, False, True),
    Function("last", _last, 1, 1, False, True),
    Function("take", _take, 2, 2, False, True),
    Function("skip", _skip, 2, 2, False, True),
    Function("union", _union, 1, None, True, True, marks_itself=True),
    Function("shallowMerge", _shallow_merge, 1, 1, False, True),
    Function("intersection", _intersection, 2, None, marks_itself=True),
    Function("items", _items, 1, 1, False, True),
    Function("objectKeys", lambda value: sorted(need_object(value)), 1, 1, False),
    Function("indexFromEnd", _index_from_end, 2, 2, False, True),
    Function("tryGet", _try(_get), 2, None, False, True, chosen_by=slice(1, None)),
    Function("tryIndexFromEnd", _get_from_end, 2, 2, False, True),
)
