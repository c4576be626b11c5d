"""Resources that a template deploys twice: which is deployed last, where that is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence

from nsgd.arm.entry import DEPLOYMENTS
from nsgd.arm.evaluate import Resource
from nsgd.config.names import fold

_NETWORK = "microsoft.network/virtualnetworks"


class DeploymentOrder:
    """Which resources of a deployment come after which, as ``dependsOn`` says.

    What is inside a nested deployment comes after all that the deployment depends on.
    """

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources
        self._by_reference: dict[str, list[int]] = {}
        for index, resource in enumerate(resources):
            for reference in _references(resource):
                self._by_reference.setdefault(fold(reference), []).append(index)
        deployments = [
            index for index, one in enumerate(resources) if fold(one.type) == DEPLOYMENTS
        ]
        # The deployments of one loop stand at one place: which of them holds a resource that is
        # inside is not known, so neither is its order.
        places = Counter((resources[i].document, resources[i].path) for i in deployments)
        self._deployments = [
            i for i in deployments if places[resources[i].document, resources[i].path] == 1
        ]

    def last_of(self, indexes: Sequence[int]) -> int | None:
        """The one that is deployed after all the others, if that is known."""
        for index in indexes:
            before = self._before(index)
            if all(other == index or before & self._and_around(other) for other in indexes):
                return index
        return None

    def _before(self, index: int) -> set[int]:
        """All that a resource waits for."""
        found: set[int] = set()
        waiting = list(self._and_around(index))
        while waiting:
            for depended in self._resources[waiting.pop()].depends_on:
                if not isinstance(depended, str):
                    continue
                for target in self._by_reference.get(fold(str(depended)), ()):
                    if target not in found:
                        found.add(target)
                        waiting.append(target)
        return found

    def _and_around(self, index: int) -> set[int]:
        """A resource and the nested deployments that it is in."""
        one = self._resources[index]
        return {index} | {
            outer
            for outer in self._deployments
            if outer != index
            and self._resources[outer].document == one.document
            and self._resources[outer].path == one.path[: len(self._resources[outer].path)]
        }


def _references(resource: Resource) -> Iterator[str]:
    """What ``dependsOn`` may call a resource: its id, its type and name, or either name."""
    name = resource.name
    if isinstance(resource.id, str):
        yield str(resource.id)
    if isinstance(name, str):
        yield str(name)
        namespace, *kinds = resource.type.split("/")
        parts = zip(kinds, name.split("/"), strict=False)
        yield "/".join((namespace, *(word for pair in parts for word in pair)))
    if resource.symbolic_name:
        yield resource.symbolic_name
        yield resource.symbolic_name.partition("[")[0]


def superseded(
    keys: Mapping[int, Hashable], resources: Sequence[Resource]
) -> Iterator[tuple[int, int | None]]:
    """Resources that are deployed again.

    Args:
        keys: Of some resources, what tells them apart: those of one key are the same in Azure.
        resources: All resources of the deployment.

    Returns:
        Pairs of a resource and the one that replaces it: None where it is not known which does.
    """
    same: dict[Hashable, list[int]] = {}
    for index, key in keys.items():
        same.setdefault(key, []).append(index)
    repeated = [indexes for indexes in same.values() if len(indexes) > 1]
    order = DeploymentOrder(resources) if repeated else None
    for indexes in repeated:
        assert order is not None
        last = order.last_of(indexes)
        if last is not None and _keeps_subnets(resources[last]):
            last = None
        for index in indexes:
            if index != last and (last is not None or index != indexes[0]):
                yield index, last


def _keeps_subnets(resource: Resource) -> bool:
    """Whether a network is deployed without subnets: newer interfaces keep those it has."""
    properties = resource.properties
    return (
        fold(resource.type) == _NETWORK
        and isinstance(properties, dict)
        and not any(fold(key) == "subnets" for key in properties)
    )
