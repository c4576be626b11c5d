"""Where a value is evaluated: what its names mean there, and what the whole evaluation shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from nsgd.arm.assumed import placeholder
from nsgd.arm.limits import MAXIMUM_EVALUATION_DEPTH, Budget, too_deep
from nsgd.arm.problem import Mistake, Path, TemplateProblem, closest, show
from nsgd.arm.unknown import Origin, Unknown

PLACEHOLDER_SUBSCRIPTION = placeholder("00000000-0000-0000-0000-000000000000")
PLACEHOLDER_GROUP = placeholder("resource-group")

_REFUSED_WAY_OUT = "see the other problem"


@dataclass(frozen=True, slots=True)
class DeploymentContext:
    """What the deployment knows and no template says.

    None means not given. Names that are not given are replaced by placeholders, which tell
    resources apart and decide nothing (see Assumed); the other values are unknown then.
    *template_uri* is the link of the template itself; linked templates may be relative to it.
    """

    subscription_id: str | None = None
    resource_group: str | None = None
    location: str | None = None
    deployment_name: str | None = None
    tenant_id: str | None = None
    template_uri: str | None = None
    cloud: str = "AzureCloud"


@dataclass(frozen=True, slots=True)
class Place:
    """What resources are deployed to, and what ids are relative to.

    *resource_group* is None above resource groups, *subscription_id* also above subscriptions.
    """

    subscription_id: str | Unknown | None
    resource_group: str | Unknown | None


@dataclass(frozen=True, slots=True)
class LinkedTemplate:
    """A deployment whose template lies elsewhere and was not loaded: its resources are missing.

    *uri* is the link, or a path relative to the template's own where *is_relative*. *path* is the
    place of the deployment resource in *document*.
    """

    name: str | Unknown
    uri: str | Unknown
    is_relative: bool
    path: Path
    document: str


LoadLinked = Callable[[str], "dict[str, Any] | None"]


@dataclass(slots=True)
class Run:
    """One evaluation: what all its scopes share."""

    context: DeploymentContext
    load_linked: LoadLinked | None = None
    budget: Budget = field(default_factory=Budget)
    problems: list[TemplateProblem] = field(default_factory=list)
    linked: list[LinkedTemplate] = field(default_factory=list)
    resources: int = 0
    depth: int = 0
    # Of the text that is being evaluated.
    path: Path = ()
    expression: str = ""
    document: str = ""

    def enter(self) -> None:
        """Go one level deeper. Raises LimitReached; leave() undoes it."""
        self.depth += 1
        if self.depth > MAXIMUM_EVALUATION_DEPTH:
            raise too_deep(MAXIMUM_EVALUATION_DEPTH)
        self.budget.spend(1)

    def leave(self) -> None:
        """Come back."""
        self.depth -= 1

    def unknown(
        self, origin: Origin, why: str, way_out: str, parameter: str | None = None
    ) -> Unknown:
        """An unknown value that begins in the text that is being evaluated."""
        return Unknown(origin, why, way_out, self.expression, self.path, self.document, parameter)

    def refuse(self, mistake: Mistake, path: Path, document: str, expression: str = "") -> Unknown:
        """Keep a mistake for the end, and go on with a value that raises no second one."""
        problem = TemplateProblem(
            path, expression or None, mistake.message, mistake.way_out, document
        )
        if problem not in self.problems[-100:]:
            self.problems.append(problem)
        return Unknown(
            Origin.REFUSED, mistake.message, _REFUSED_WAY_OUT, expression, path, document
        )


class Lazy:
    """Named values that are computed when they are first asked for, and only once."""

    def __init__(self, kind: str, names: Iterable[str], compute: Callable[[str], Any]) -> None:
        self._kind = kind
        self._names = {name.lower(): name for name in names}
        self._compute = compute
        self._values: dict[str, Any] = {}
        self._open: list[str] = []

    def get(self, name: str) -> Any:
        """The value of a name, compared without case. Raises Mistake and LimitReached."""
        known = self._names.get(name.lower())
        if known is None:
            meant = closest(name, self._names.values())
            raise Mistake(
                f"there is no {self._kind} {show(name)}",
                f"{show(meant)} is near it" if meant else "declare it, or correct the name",
            )
        if known not in self._values:
            if known in self._open:
                chain = " -> ".join((*self._open[self._open.index(known) :], known))
                raise Mistake(
                    f"{self._kind} {show(known)} refers to itself: {chain[:200]}",
                    "break the circle",
                )
            self._open.append(known)
            try:
                self._values[known] = self._compute(known)
            finally:
                self._open.pop()
        return self._values[known]


@dataclass(frozen=True, slots=True)
class Loops:
    """The copy loops around a value. *resource* names the one that copyIndex() means alone."""

    indexes: dict[str, int] = field(default_factory=dict)
    resource: str | None = None

    def inside(self, name: str, index: int, is_resource: bool) -> Loops:
        """The loops inside one more iteration."""
        return Loops(
            {**self.indexes, name.lower(): index}, name.lower() if is_resource else self.resource
        )


class Resolver(Protocol):
    """Finds resources of the template for reference() and its like."""

    def reference(self, target: str, is_full: bool) -> Any:
        """The properties, or the full resource, of a name, symbolic name or id."""
        ...

    def information(self, symbol: str) -> Any:
        """Id, name and type of a symbolic name."""
        ...


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function that a template declares."""

    name: str
    parameters: tuple[str, ...]
    body: Any
    path: Path
    document: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What the names in an expression mean.

    *inner* is set inside a nested template that is evaluated in its parent's scope: text with two
    brackets is an expression of the nested template itself there.
    """

    run: Run
    document: str
    place: Place
    deployment_name: str | Unknown
    parameters: Lazy
    variables: Lazy
    functions: dict[tuple[str, str], UserFunction]
    template_uri: str | Unknown | None = None
    loops: Loops = field(default_factory=Loops)
    lambdas: dict[str, Any] = field(default_factory=dict)
    resolver: Resolver | None = None
    inner: Scope | None = None


def first_place(context: DeploymentContext, schema: str) -> Place:
    """Where the resources of a template with this ``$schema`` go.

    Source:
        Azure, Deployment scopes: the schema of the template says the scope.
    """
    subscription = context.subscription_id or PLACEHOLDER_SUBSCRIPTION
    kind = schema.lower()
    if "tenantdeploymenttemplate" in kind or "managementgroupdeploymenttemplate" in kind:
        return Place(None, None)
    if "subscriptiondeploymenttemplate" in kind:
        return Place(subscription, None)
    return Place(subscription, context.resource_group or PLACEHOLDER_GROUP)
