"""Values for a template's parameters: given, by default, or unknown; checked against their types.

Source:
    Azure, Parameters in ARM templates: types, allowedValues, minLength, maxLength, minValue,
    maxValue. Values of a parameter file are taken as they are: brackets in them mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nsgd.arm.copies import child
from nsgd.arm.functions.arguments import canonical, find_key, kind_of
from nsgd.arm.limits import Budget
from nsgd.arm.problem import Mistake, Path, closest, show
from nsgd.arm.scope import Run
from nsgd.arm.unknown import Assumed, Origin, Unknown, plain, survey

Given = dict[str, Callable[[], Any]]  # by the name in lower case

_TYPES: dict[str, tuple[type, str]] = {
    "string": (str, "text"),
    "securestring": (str, "text"),
    "int": (int, "an integer"),
    "bool": (bool, "true or false"),
    "object": (dict, "an object"),
    "secureobject": (dict, "an object"),
    "array": (list, "an array"),
}


def read_parameter_values(content: dict[str, Any], run: Run) -> Given:
    """The values in a parameter file, or in a bare object of names and values.

    Raises Mistake for what is no such file.
    """
    inside = child(content, "parameters")
    is_file = isinstance(inside, dict) and all(
        key.lower() in {"$schema", "contentversion", "parameters", "metadata"} for key in content
    )
    values: Given = {}
    for name, item in (inside if is_file else content).items():
        if not is_file and name in {"$schema", "contentVersion"}:
            continue
        wrapped = isinstance(item, dict) and len(item) == 1 and next(iter(item)).lower()
        if wrapped == "value":
            values[name.lower()] = _constant(next(iter(item.values())))
        elif wrapped == "reference":
            values[name.lower()] = _constant(vault_secret(run, name))
        elif is_file:
            raise Mistake(
                f"parameter {show(name)} of the file has no value",
                f'write {{"{name[:40]}": {{"value": ...}}}}',
            )
        else:
            values[name.lower()] = _constant(item)
    return values


def vault_secret(run: Run, name: str) -> Unknown:
    """What a parameter is that takes its value from a key vault."""
    return run.unknown(
        Origin.SECRET,
        f"parameter {show(name)} comes from a key vault",
        "give its value with --parameters",
        name,
    )


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def need_declared(given: Given, declared: dict[str, Any]) -> None:
    """Refuse values for parameters that there are not. Raises Mistake."""
    for name in given:
        if find_key(declared, name) is None:
            meant = closest(name, declared)
            raise Mistake(
                f"there is no parameter {show(name)}",
                f"{show(meant)} is near it" if meant else "remove the value",
            )


def parameter_value(
    name: str,
    declaration: Any,
    given: Given,
    run: Run,
    evaluate: Callable[[Any], Any],
    path: Path,
    document: str,
) -> Any:
    """The value of a declared parameter.

    *evaluate* evaluates its default. A mistake in it is kept in the run's problems.
    """
    if not isinstance(declaration, dict):
        mistake = Mistake(f"parameter {show(name)} is {kind_of(declaration)}", "declare an object")
        return run.refuse(mistake, path, document)
    if name.lower() in given:
        value = given[name.lower()]()
    elif find_key(declaration, "defaultValue") is not None:
        value = evaluate(child(declaration, "defaultValue"))
    elif child(declaration, "nullable") is True:
        return None
    else:
        return Unknown(
            Origin.PARAMETER,
            f"parameter {show(name)} has neither a value nor a default",
            "give it with --parameters",
            path=path,
            document=document,
            parameter=name,
        )
    if isinstance(value, Unknown):
        return plain(value)
    if value is None and child(declaration, "nullable") is True:
        return None
    try:
        _check(name, value, declaration, run.budget)
    except Mistake as mistake:
        return run.refuse(mistake, path, document)
    return value


def _check(name: str, value: Any, declaration: dict[str, Any], budget: Budget) -> None:
    kind = child(declaration, "type")
    if isinstance(kind, str) and kind.lower() in _TYPES:
        wanted, words = _TYPES[kind.lower()]
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise Mistake(
                f"parameter {show(name)} is {kind_of(value)} and declared {kind}", f"give {words}"
            )
    elif child(declaration, "$ref") is None:
        raise Mistake(
            f"parameter {show(name)} has the type {show(kind)}",
            "the types are string, securestring, int, bool, object, secureObject and array",
        )
    allowed = child(declaration, "allowedValues")
    if isinstance(allowed, list):
        # Compared without case: what Azure's resources take differs in case from what is listed.
        known = {canonical(item).lower() for item in allowed}
        whole = _canonical(value, budget)
        items = value if isinstance(value, list) and whole not in known else [value]
        if any(_canonical(item, budget) not in {None, *known} for item in items):
            shown = ", ".join(show(item) for item in allowed[:10])
            raise Mistake(
                f"parameter {show(name)} is {show(value)}, which is not allowed",
                f"allowed: {shown}",
            )
    if isinstance(value, int) and not isinstance(value, bool):
        _within(name, value, declaration, "minValue", "maxValue", "")
    elif isinstance(value, str | list) and not isinstance(value, Assumed):
        _within(name, len(value), declaration, "minLength", "maxLength", "the length of ")


def _canonical(value: Any, budget: Budget) -> str | None:
    """The value as it is compared; None where that is not known."""
    is_known = survey([value], budget) == (None, False)
    return canonical(value).lower() if is_known else None


def _within(
    name: str, number: int, declaration: dict[str, Any], least: str, most: str, of: str
) -> None:
    low, high = child(declaration, least), child(declaration, most)
    if (isinstance(low, int) and number < low) or (isinstance(high, int) and number > high):
        bounds = " and ".join(
            f"{key} {bound}" for key, bound in ((least, low), (most, high)) if bound is not None
        )
        raise Mistake(f"{of}parameter {show(name)} is {number}", f"the template wants {bounds}")
