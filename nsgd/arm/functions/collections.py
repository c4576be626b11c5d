"""Functions of the template language on arrays and objects.

Source:
    Azure, Array functions and Object functions for ARM templates. Keys of objects are compared
    without case, elements of arrays with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

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
from nsgd.arm.limits import need_string_length
from nsgd.arm.problem import Mistake
from nsgd.arm.unknown import Unknown, plain


def _concat(*values: Any) -> Any:
    if isinstance(values[0], list):
        return [item for value in values for item in need_array(value)]
    texts = [as_text(value) for value in values]
    need_string_length(sum(map(len, texts)))
    return "".join(texts)


def _contains(container: Any, item: Any) -> bool:
    if isinstance(container, str):
        return as_text(item) in container
    if isinstance(container, dict):
        return find_key(container, as_text(item)) is not None
    wanted = canonical(item)
    return any(canonical(element) == wanted for element in need_array(container))


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


def _union(*values: Any) -> Any:
    if isinstance(values[0], dict):
        return reduce(_merge, [need_object(value) for value in values])
    found: dict[str, Any] = {}
    for value in values:
        for item in need_array(value):
            found.setdefault(canonical(item), item)
    return list(found.values())


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


def _intersection(*values: Any) -> Any:
    if isinstance(values[0], dict):
        return reduce(_common, [need_object(value) for value in values])
    common = {canonical(item): item for item in need_array(values[0])}
    for value in values[1:]:
        others = {canonical(item) for item in need_array(value)}
        common = {key: item for key, item in common.items() if key in others}
    return list(common.values())


def _common(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in left.items()
        if (other := find_key(right, key)) and canonical(right[other]) == canonical(value)
    }


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
    if value is None:
        return None
    raise wrong(value, "an array or an object")


def _get_from_end(value: Any, place: Any) -> Any:
    array = need_array(value)
    return array[-place] if 1 <= need_integer(place) <= len(array) else None


FUNCTIONS = (
    Function("concat", _concat, 1, None, False, True),
    Function("contains", _contains, 2, 2),
    Function("createObject", _create_object, 0, None, False, True),
    Function("first", _first, 1, 1, False, True),
    Function("last", _last, 1, 1, False, True),
    Function("take", _take, 2, 2, False, True),
    Function("skip", _skip, 2, 2, False, True),
    Function("union", _union, 1, None, True, True),
    Function("shallowMerge", _shallow_merge, 1, 1, False, True),
    Function("intersection", _intersection, 2, None),
    Function("items", _items, 1, 1, False, True),
    Function("objectKeys", lambda value: sorted(need_object(value)), 1, 1, False),
    Function("indexFromEnd", _index_from_end, 2, 2, False, True),
    Function("tryGet", _try(_get), 2, None, False, True),
    Function("tryIndexFromEnd", _get_from_end, 2, 2, False, True),
)
