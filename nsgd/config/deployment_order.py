"""Resources that a template deploys twice: which is deployed last, where that is known.

Source:
    Azure, Define the order for deploying resources in ARM templates: dependsOn holds names or ids,
    "you only need to define dependencies for resources that are deployed in the same template",
    and "when a conditional resource isn't deployed, Azure Resource Manager automatically removes
    it from the required dependencies".
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nsgd.arm.copies import child
from nsgd.arm.entry import DEPLOYMENTS
from nsgd.arm.evaluate import Resource
from nsgd.arm.problem import Path
from nsgd.config.names import fold

_NETWORK = "microsoft.network/virtualnetworks"
# Azure takes 800 resources in a template, and each can wait for all others: 640 000.
_MOST_WAITS = 1_000_000
_LONGEST_REFERENCE = 2_000  # characters; no id that Azure makes comes near


class Last(NamedTuple):
    """Which of some resources is deployed last, or None where that is not known.

    *unclear* is a name in a dependsOn that may mean several resources, where there is such a one.
    """

    place: int | None
    unclear: str | None = None


class Repeated(NamedTuple):
    """A resource that is deployed again, by *later*: None where it is not known which is last.

    *unclear* is as in Last.
    """

    place: int
    later: int | None
    unclear: str | None


@dataclass(slots=True)
class _Scope:
    """One template as one deployment deploys it.

    *key* is its document and its place there, which the deployments of a loop share. *around* are
    the deployments that it is in, as resources, the outermost first; *members* its own resources.
    """

    key: tuple[str, Path]
    around: tuple[int, ...]
    members: list[int] = field(default_factory=list)
    order: _ScopeOrder | None = None


class DeploymentOrder:
    """Which resources of a deployment come after which, as ``dependsOn`` says.

    Names and ids there mean resources of the same template. What is inside a nested deployment
    comes after all that the deployment depends on.
    """

    def __init__(self, resources: Sequence[Resource]) -> None:
        """*resources* are all of the deployment, those inside a nested one right behind it."""
        self._resources = resources
        self._scopes: list[_Scope] = []
        self._scope_of: list[_Scope] = []
        self._is_known = True
        self._waits_left = _MOST_WAITS
        self._find_scopes()

    def last_of(self, indexes: Sequence[int]) -> Last:
        """The one that is deployed after all the others, if that is known."""
        left = [(index, (*self._scope_of[index].around, index)) for index in indexes]
        depth = 0
        while self._is_known and len(left) > 1:
            # What stands in one template decides: these resources, or the deployments they are in.
            standing = {chain[depth] for _, chain in left}
            if len(standing) > 1:
                order = self._order(self._scope_of[min(standing)])
                last = order.last(standing)
                if last is None:
                    return Last(None, order.unclear)
                left = [one for one in left if one[1][depth] == last]
            depth += 1
        return Last(left[0][0] if len(left) == 1 else None)

    def _find_scopes(self) -> None:
        open_scopes: list[_Scope] = []
        for index, one in enumerate(self._resources):
            key = (one.document, _template_path(one.path))
            level = next((at for at, scope in enumerate(open_scopes) if scope.key == key), None)
            before = self._resources[index - 1] if index else None
            if level is None:
                if before is not None and not _is_deployment(before):
                    self._is_known = False
                around = (*self._scope_of[-1].around, index - 1) if index else ()
                open_scopes.append(_Scope(key, around))
            else:
                # A template that links to itself may begin again here, or go on.
                if one.document and not key[1] and before is not None and _is_linked(before):
                    self._is_known = False
                del open_scopes[level + 1 :]
            open_scopes[-1].members.append(index)
            self._scope_of.append(open_scopes[-1])

    def _order(self, scope: _Scope) -> _ScopeOrder:
        if scope.order is None:
            scope.order = _ScopeOrder(self._resources, scope.members, self._waits_left)
            self._waits_left -= scope.order.waits
        return scope.order


def _template_path(path: Path) -> Path:
    """The place of the template that declares the resource at *path*."""
    start, at = 0, 2
    while at < len(path):
        if str(path[at]).lower() == "resources":
            at += 2  # a resource inside another one
        else:
            start, at = at + 2, at + 4  # properties, template, resources, and which
    return path[:start]


def _is_deployment(resource: Resource) -> bool:
    return fold(resource.type) == DEPLOYMENTS and not resource.is_existing


def _is_linked(resource: Resource) -> bool:
    properties = child(resource.declaration, "properties")
    template = child(properties, "template") if isinstance(properties, dict) else None
    return _is_deployment(resource) and not isinstance(template, dict)


class _ScopeOrder:
    """The order of the resources of one template.

    *waits* counts what was looked up; with more than *most* nothing is known. *unclear* is the
    first name that may mean several resources. Sets of resources are bits of integers here: of a
    large template, in which each waits for the one before it, lists would be too large.
    """

    def __init__(self, resources: Sequence[Resource], members: Sequence[int], most: int) -> None:
        self.unclear: str | None = None
        self.waits = 0
        self._most = most
        self._members = members
        self._at = {index: at for at, index in enumerate(members)}
        here = [resources[index] for index in members]
        self._references = _References(here)
        self._after: list[int] | None = None
        self._place: list[int] = []
        targets = self._targets(here)
        if targets is not None:
            self._sort(targets)

    def last(self, indexes: Collection[int]) -> int | None:
        """The one that comes after all others, if that is known."""
        if self._after is None:
            return None
        # Of those that come after one another, the last in any order that keeps to it.
        last = max((self._at[index] for index in indexes), key=self._place.__getitem__)
        wanted = 0
        for index in indexes:
            wanted |= 1 << self._at[index]
        return None if wanted & ~(self._after[last] | 1 << last) else self._members[last]

    def _targets(self, here: Sequence[Resource]) -> list[set[int]] | None:
        """What each one waits for; None where that is too much to look up."""
        found = []
        for one in here:
            targets: set[int] = set()
            for depended in one.depends_on:
                meant = self._references.find(depended) if isinstance(depended, str) else ()
                if meant is None:
                    self.unclear = self.unclear or str(depended)
                self.waits += 1 + len(meant or ())
                if self.waits > self._most:
                    return None
                # Where one may not be deployed, those around it do not wait for one another.
                targets.update(at for at in meant or () if here[at].uncertain is None)
            found.append(targets)
        return found

    def _sort(self, targets: list[set[int]]) -> None:
        """Put each behind all that it waits for; nothing is known where there is a circle."""
        after, place = [0] * len(targets), [-1] * len(targets)
        is_open = [False] * len(targets)
        placed = 0
        for first in range(len(targets)):
            path = [(first, iter(targets[first]))] if place[first] < 0 else []
            is_open[first] = bool(path)
            while path:
                at, waiting = path[-1]
                for target in waiting:
                    if is_open[target]:
                        return
                    if place[target] < 0:
                        is_open[target] = True
                        path.append((target, iter(targets[target])))
                        break
                else:
                    for target in targets[at]:
                        after[at] |= after[target] | 1 << target
                    is_open[at], place[at] = False, placed
                    placed += 1
                    path.pop()
        self._after, self._place = after, place


class _References:
    """What ``dependsOn`` may call the resources of one template.

    That is the symbolic name, the id, the type and name, the name alone, and that of the loop.
    Symbolic names count by case. What means several resources that are not of one loop means none.
    Azure wants the id then: by name, "there are no other resources in the template with the same
    name" (MicrosoftDocs/azure-docs, issue 45431).
    """

    def __init__(self, here: Sequence[Resource]) -> None:
        # By what is meant: a resource, or the declaration of a loop.
        self._by_symbol: dict[str, dict[Hashable, list[int]]] = {}
        self._by_text: dict[str, dict[Hashable, list[int]]] = {}
        for at, one in enumerate(here):
            loop = child(one.declaration, "copy")
            name = child(loop, "name") if isinstance(loop, dict) else None
            if one.symbolic_name:
                self._by_symbol.setdefault(one.symbolic_name, {})[at] = [at]
                if one.copy_index is not None:
                    whole = one.symbolic_name.partition("[")[0]
                    self._by_symbol.setdefault(whole, {}).setdefault(one.path, []).append(at)
            for text in _texts(one):
                self._by_text.setdefault(fold(text), {})[at] = [at]
            if isinstance(name, str):
                self._by_text.setdefault(fold(name), {}).setdefault(one.path, []).append(at)

    def find(self, text: str) -> Sequence[int] | None:
        """The resources that are meant, or none; None where that is not clear."""
        if len(text) > _LONGEST_REFERENCE:
            return ()
        found = self._by_symbol.get(text) or self._by_text.get(fold(text)) or {}
        return None if len(found) > 1 else next(iter(found.values()), ())


def _texts(resource: Resource) -> Iterator[str]:
    name = resource.name
    if isinstance(resource.id, str):
        yield str(resource.id)
    if isinstance(name, str):
        yield str(name)
        namespace, *kinds = resource.type.split("/")
        parts = zip(kinds, name.split("/"), strict=False)
        yield "/".join((namespace, *(word for pair in parts for word in pair)))


def superseded(keys: Mapping[int, Hashable], resources: Sequence[Resource]) -> Iterator[Repeated]:
    """Resources that are deployed again.

    Args:
        keys: Of some resources, what tells them apart: those of one key are the same in Azure.
        resources: All resources of the deployment.
    """
    same: dict[Hashable, list[int]] = {}
    for index, key in keys.items():
        same.setdefault(key, []).append(index)
    repeated = [indexes for indexes in same.values() if len(indexes) > 1]
    order = DeploymentOrder(resources) if repeated else None
    for indexes in repeated:
        assert order is not None
        last, unclear = order.last_of(indexes)
        if last is not None and _keeps_subnets(resources[last]):
            last = None
        for index in indexes:
            if index != last and (last is not None or index != indexes[0]):
                yield Repeated(index, last, unclear)


def _keeps_subnets(resource: Resource) -> bool:
    """Whether a network is deployed without subnets: newer interfaces keep those it has."""
    properties = resource.properties
    return (
        fold(resource.type) == _NETWORK
        and isinstance(properties, dict)
        and not any(fold(key) == "subnets" for key in properties)
    )
