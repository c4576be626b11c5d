"""Names of what the kernel engine puts in the table, for whoever lists it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

from nsgd.model.address import IPVersion
from nsgd.model.decision import TableDecision
from nsgd.model.rule import Access, Direction
from nsgd.policy.admin import is_admin_table
from nsgd.policy.table import CompiledTable
from nsgd.ruleset.objects import OF_INTERFACES

# What nft cannot write without quotes, and what would look like such a character by its number.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_./-]|(?<=\.)_")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]*")  # seen at once, but for what ._ is
# In the place of a group's name: no resource is named so, and in a resource group that is, no
# resource has such a name that the rest would be the same.
_NO_GROUP = "-"
_ANY_SUBNET = ".subnet"  # no resource's name begins with a dot
_DIRECTIONS = {Direction.OUTBOUND: "out", Direction.INBOUND: "in"}
_DIRECTION_OF = {name: direction for direction, name in _DIRECTIONS.items()}
_ACCESS_OF = {"allow": Access.ALLOW, "deny": Access.DENY}
_MOST = 200  # of 255 that the kernel takes


def rule_name(decision: TableDecision) -> str:
    """The chain and the counter of a rule; all tables of a group share them."""
    is_allowed = decision.access is Access.ALLOW
    group, direction = decision.network_security_group, decision.direction
    return _name(_rules_of(group, direction)[is_allowed] + decision.rule)


def rule_names(table: CompiledTable) -> list[str]:
    """rule_name() of each rule of a table, in its order; of silent ones nothing."""
    starts = _rules_of(table.network_security_group, table.direction)
    allows, silent = table.allows, table.silent
    return [
        "" if silent >> index & 1 else _name(starts[allows >> index & 1] + rule)
        for index, rule in enumerate(table.rule_names)
    ]


def _rules_of(group: str, direction: Direction) -> tuple[str, str]:
    """How names of rules begin that deny, and of those that allow."""
    rest = f"{group or _NO_GROUP}/{_DIRECTIONS[direction]}/"
    return f"deny/{rest}", f"allow/{rest}"


def rule_of(counter: str) -> tuple[Direction, str, str, Access] | None:
    """Direction, group, rule and access of a rule_name() that has them as they are.

    None for any other counter, and for a rule's that has characters by their number or is cut off.
    """
    access, _, rest = counter.partition("/")
    rest, _, rule = rest.rpartition("/")
    group, _, way = rest.rpartition("/")
    if (
        access not in _ACCESS_OF
        or way not in _DIRECTION_OF
        or not group
        or not _is_as_it_is(counter)
    ):
        return None
    return _DIRECTION_OF[way], "" if group == _NO_GROUP else group, rule, _ACCESS_OF[access]


def interface_counter(interface: str, direction: Direction, access: Access) -> str:
    """The count of flows that a network interface's rules allow or deny; see interface_count."""
    verdict = "allow" if access is Access.ALLOW else "deny"
    return _name(f"{OF_INTERFACES}{interface}/{_DIRECTIONS[direction]}/{verdict}")


def interface_count(interface: str, direction: Direction) -> str:
    """The count of flows that ask a network interface's rules, whatever these say.

    Its elements of maps count it, or of sets; the named counter, where there is one, has what
    earlier ones did.
    """
    return f"{_name(f'{OF_INTERFACES}{interface}')}/{_DIRECTIONS[direction]}"


def interface_of(counter: str) -> tuple[str, Direction, bool] | None:
    """Interface and direction of a count that has them as they are, and whether it is of denials.

    As rule_of(), of interface_counter() of denials and of interface_count().
    """
    rest, _, last = counter.rpartition("/")
    is_of_denials = last == "deny"
    if is_of_denials:
        rest, _, last = rest.rpartition("/")
    direction = _DIRECTION_OF.get(last)
    if direction is None or not rest.startswith(OF_INTERFACES) or not _is_as_it_is(counter):
        return None
    return rest[len(OF_INTERFACES) :], direction, is_of_denials


def is_interface_count(counter: str) -> bool:
    """Tell by its name whether a counter is there for what elements have counted."""
    return counter.startswith(OF_INTERFACES)


def interface_counters(interfaces: Iterable[str]) -> Iterator[str]:
    """The counters that network interfaces may have in the table, whatever their elements count."""
    for interface in interfaces:
        for direction in Direction:
            yield interface_count(interface, direction)
            yield interface_counter(interface, direction, Access.DENY)


def table_labels(tables: Sequence[CompiledTable]) -> list[str]:
    """A short name for each table, different from all others': the group's, for most."""
    labels: list[str] = []
    given: dict[str, int] = {}
    for table in tables:
        label = table.network_security_group
        if not label:
            label = "admin" if is_admin_table(table) else "platform"
            label = f"{label}.rules"
        label = f"nsg/{label}/{_DIRECTIONS[table.direction]}"
        number = given[label] = given.get(label, 0) + 1
        labels.append(_name(label if number == 1 else f"{label}.{number}"))
    return labels


def profile_chain(direction: Direction, version: IPVersion, labels: Sequence[str | None]) -> str:
    """The chain of those whose traffic asks the tables of these labels; None is any subnet's."""
    way = "from" if direction is Direction.OUTBOUND else "to"
    groups = (
        _ANY_SUBNET if label is None else label.removeprefix("nsg/").rpartition("/")[0]
        for label in labels
    )
    return _name("/".join((f"{way}{version}", *groups)))


def root_chain(label: str, version: IPVersion) -> str:
    """Where a table begins for packets of one IP version."""
    return f"{label}{version}"


def node_chain(label: str, version: IPVersion, digest: str) -> str:
    """A chain further down, by its content."""
    return f"{label}{version}/{digest}"


def _is_as_it_is(name: str) -> bool:
    """Whether a name is the text that it was made of."""
    return len(name) <= _MOST and "._" not in name


def _name(text: str) -> str:
    """As nft writes names without quotes; other characters by their number, so that no two meet."""
    if "._" in text or not _PLAIN.fullmatch(text):
        text = _NOT_IN_NAMES.sub(lambda match: f"._{ord(match[0]):x}_.", text)
    if len(text) > _MOST:
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return f"{text[:_MOST]}.{digest}"
    return text
