"""Values that only a deployment knows: they are kept in place, marked, and never guessed.

An Unknown stands where a value would. A function of one is one, so that a storage key leaves the
security rules beside it readable. An Assumed string was made from a name that the caller did not
give, such as the resource group's: it is good for telling resources apart, and nothing may be
decided by what it says. Lists and objects that are no Unknown have as many elements, and the keys,
that they seem to have, whatever those names are: AssumedParts stand for the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

from nsgd.arm.limits import MAXIMUM_VALUE_DEPTH, Budget, too_deep
from nsgd.arm.problem import Path


class Origin(Enum):
    """Why a value is unknown."""

    PARAMETER = "parameter"  # it has neither a value nor a default
    REFERENCE = "reference"  # Azure makes it when it deploys
    SECRET = "secret"  # noqa: S105 # nosec B105 # a key, or of a key vault
    GENERATED = "generated"  # the time, or a random value
    CONTEXT = "context"  # of the subscription or group that the caller did not name
    LINKED = "linked"  # comes out of a template that was not loaded
    NOT_EVALUATED = "not evaluated"  # a function that nsgd does not know the result of
    REFUSED = "refused"  # a mistake, already reported


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is not known, and where that began.

    *expression* is the whole text of the value where it began and *path* its place in *document*,
    as in TemplateProblem. *parameter* is set for Origin.PARAMETER.
    """

    origin: Origin
    why: str
    way_out: str
    expression: str = ""
    path: Path = ()
    document: str = ""
    parameter: str | None = None


@dataclass(frozen=True, slots=True)
class PartlyKnown(Unknown):
    """An array or object that Azure adds to, such as what reference() gives of a resource.

    As a whole it is unknown; what the template itself says, *known*, can be taken out of it.
    """

    known: Any = None


@dataclass(frozen=True, slots=True)
class AssumedParts(PartlyKnown):
    """An array or object whose elements or keys depend on a name that the caller did not give.

    What can be taken out of it is assumed text, or unknown.
    """


class Assumed(str):
    """Text that depends on a name which the caller did not give."""

    __slots__ = ()


class Survey(NamedTuple):
    """What stands anywhere inside some values."""

    unknown: Unknown | None  # the first
    is_assumed: bool


def plain(unknown: Unknown) -> Unknown:
    """The unknown value of a function of *unknown*: nothing can be taken out of it."""
    if not isinstance(unknown, PartlyKnown):
        return unknown
    return Unknown(
        unknown.origin,
        unknown.why,
        unknown.way_out,
        unknown.expression,
        unknown.path,
        unknown.document,
    )


def is_unknown(value: object) -> bool:
    """Whether the value itself is unknown; a list or object may still hold unknown values."""
    return isinstance(value, Unknown)


def is_assumed(value: object) -> bool:
    """Whether the value is text that was made from a name which the caller did not give."""
    return isinstance(value, Assumed)


def undecided(value: object) -> Unknown | None:
    """Why nothing can be decided by what a value says; None where it can."""
    if isinstance(value, Unknown):
        return plain(value)
    return ASSUMPTION_DECIDES if isinstance(value, Assumed) else None


def located(unknown: Unknown, expression: str, path: Path, document: str) -> Unknown:
    """The unknown value, told where it began if it was not."""
    if unknown.expression or unknown.path:
        return unknown
    return replace(unknown, expression=expression, path=path, document=document)


def find_unknowns(value: object) -> Iterator[tuple[Path, Unknown]]:
    """Every unknown value inside an evaluated one, with the keys that lead to it."""
    open_values: list[tuple[Path, object]] = [((), value)]
    while open_values:
        path, one = open_values.pop()
        if isinstance(one, Unknown):
            yield path, one
        elif isinstance(one, dict):
            open_values.extend(((*path, key), child) for key, child in reversed(one.items()))
        elif isinstance(one, list):
            open_values.extend(
                ((*path, place), one[place]) for place in range(len(one) - 1, -1, -1)
            )


def survey(values: Iterable[Any], budget: Budget) -> Survey:
    """Look through values, and pay for their size.

    Values may share parts, so what is small in memory can be huge when it is written out: this
    counts it as written out. Raises LimitReached.
    """
    found: Unknown | None = None
    is_any_assumed = False
    level = list(values)
    depth = 0
    while level:
        if depth > MAXIMUM_VALUE_DEPTH:
            raise too_deep(MAXIMUM_VALUE_DEPTH)
        budget.spend(len(level))
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                budget.spend_text(len(value))
                is_any_assumed = is_any_assumed or isinstance(value, Assumed)
            elif isinstance(value, dict):
                budget.spend(len(value))
                below.extend(value.values())
                is_any_assumed = is_any_assumed or any(isinstance(key, Assumed) for key in value)
            elif isinstance(value, list):
                budget.spend(len(value))
                below.extend(value)
            elif isinstance(value, Unknown):
                found = found or value
                is_any_assumed = is_any_assumed or isinstance(value, AssumedParts)
        level = below
        depth += 1
    return Survey(found, is_any_assumed)


def assume(value: Any) -> Any:
    """Mark what was computed from assumed text.

    Text is assumed in turn. Whether, how many and which cannot be told from text that nobody gave,
    nor whether there is something at all: that is unknown.
    """
    marked = _assume(value)
    if isinstance(marked, list | dict):
        decides = ASSUMPTION_DECIDES
        return AssumedParts(decides.origin, decides.why, decides.way_out, known=marked)
    return marked


def _assume(value: Any) -> Any:
    if isinstance(value, Unknown | Assumed):
        return value
    if isinstance(value, str):
        return Assumed(value)
    if isinstance(value, list):
        return [_assume(item) for item in value]
    if isinstance(value, dict):
        return {key: _assume(item) for key, item in value.items()}
    return ASSUMPTION_DECIDES


ASSUMPTION_DECIDES = Unknown(
    Origin.CONTEXT,
    "it depends on the name of the subscription, resource group or deployment",
    "say which it is deployed to",
)
