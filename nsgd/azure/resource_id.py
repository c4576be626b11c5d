"""Azure's resource ids: which resource, of which type, in which group and subscription."""

from __future__ import annotations

import re
from typing import NamedTuple

from nsgd.azure.fields import fold

_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/(?P<namespace>[^/]+)/(?P<rest>[^/]+(?:/[^/]+)+)/?",
    re.IGNORECASE | re.ASCII,
)


class ResourceId(NamedTuple):
    """What an id says; *subscription* and *group* are None where a resource has no id."""

    subscription: str | None
    group: str | None
    type: str  # such as Microsoft.Network/virtualNetworks/subnets, as written
    names: tuple[str, ...]  # one for each part of the type after the first, the outermost first

    @property
    def name(self) -> str:
        """The resource's own name."""
        return self.names[-1]

    @property
    def parent(self) -> ResourceId:
        """The id of the resource that this one is a part of."""
        return self._replace(type=self.type.rpartition("/")[0], names=self.names[:-1])

    def is_type(self, resource_type: str) -> bool:
        """Tell whether it is of a type, without regard to case."""
        return fold(self.type) == fold(resource_type)

    def may_be(self, other: ResourceId) -> bool:
        """Tell whether two ids of one type may mean one resource, as far as both say which."""
        return (
            tuple(map(fold, self.names)) == tuple(map(fold, other.names))
            and _agree(self.group, other.group)
            and _agree(self.subscription, other.subscription)
        )


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or fold(one) == fold(other)


class LocatedId(str):
    """The text of an id of which not everything is to be believed: *resource_id* says what is.

    Templates make ids with the subscription and the group that they are deployed to, which nobody
    may have said.
    """

    __slots__ = ("resource_id",)

    def __new__(cls, text: str, resource_id: ResourceId) -> LocatedId:
        """Take the text and what of it counts."""
        made = super().__new__(cls, text)
        made.resource_id = resource_id
        return made

    resource_id: ResourceId


def parse_resource_id(text: str) -> ResourceId | None:
    """Read an id, or return None where it is none of a resource in a group."""
    if isinstance(text, LocatedId):
        return text.resource_id
    match = _ID.fullmatch(text)
    if match is None:
        return None
    parts = match["rest"].split("/")
    if len(parts) % 2:
        return None
    return ResourceId(
        match["subscription"],
        match["group"],
        "/".join((match["namespace"], *parts[::2])),
        tuple(parts[1::2]),
    )
