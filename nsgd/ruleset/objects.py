"""The desired content of nsgd's table as values, and the same as nft text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from enum import Enum
from itertools import repeat

from nsgd.model.address import IPVersion
from nsgd.policy.address_set import Range
from nsgd.ruleset.branches import Branch, BranchEntry, MatchValues
from nsgd.ruleset.flow_timeout import FlowTimeout
from nsgd.ruleset.keys import Key
from nsgd.ruleset.matches import addresses_text
from nsgd.ruleset.statements import Statement

TABLE = "nsgd"

# How the names of counters of network interfaces begin.
OF_INTERFACES = "nic/"
_COUNTER = ("\t\tcounter",)  # of each element
_WITH_SETS = (Branch, MatchValues)


class Hook(Enum):
    """Where a base chain runs; the value is the kernel's number for the inet family."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain attached to a hook; it is never deleted."""

    name: str
    hook: Hook
    chain_priority: int


@dataclass(frozen=True, slots=True)
class NftRule:
    """Statements in order, with a comment for whoever lists the ruleset."""

    statements: tuple[Statement, ...]
    comment: str = ""

    @property
    def has_own_set(self) -> bool:
        """Tell whether a set or map belongs to the rule, and comes and goes with it."""
        return any(isinstance(each, _WITH_SETS) for each in self.statements)

    def text(self) -> str:
        """The rule as nft text."""
        body = " ".join(statement.text() for statement in self.statements)
        return f'{body} comment "{self.comment}"' if self.comment else body


def nft_rule(*statements: Statement, comment: str = "") -> NftRule:
    """A rule of these statements."""
    return NftRule(statements, comment)


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order; the end returns to the caller."""

    name: str
    rules: tuple[NftRule, ...] = ()
    # What tells the rules from others that a chain of this name can have, where that is less than
    # the rules are: 0 where it has the same ones always.
    told_by: int | None = None
    is_left: bool = False  # the last rule of each chain of this name is a way out for all packets

    @property
    def content(self) -> object:
        """What is the same as that of a chain of this name only where its rules are the same."""
        return self.rules if self.told_by is None else self.told_by


@dataclass(frozen=True, slots=True)
class LinkSet:
    """Link names."""

    name: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddressRangeSet:
    """Disjoint address ranges of one family."""

    name: str
    version: IPVersion
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkAddressSet:
    """Pairs of a link name and an address of one family."""

    name: str
    version: IPVersion
    pairs: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """The chain to jump to, by the value of a field; intervals where *is_interval*."""

    name: str
    key: Key
    entries: tuple[BranchEntry, ...] = ()
    is_interval: bool = False
    room: int = 0  # entries that it can ever have, which makes look-ups cheaper; 0 for any number
    # Where entries count the packets that they lead on: the name of each one's count, which is the
    # element's comment; "" for one whose count nobody reads. A name may have several entries.
    counts: tuple[str, ...] | None = None

    def counted(self) -> tuple[tuple[BranchEntry, str], ...]:
        """Each entry with the name of its count."""
        return tuple(zip(self.entries, self.counts or repeat(""), strict=False))


@dataclass(frozen=True, slots=True)
class CountingSet:
    """Values of a field, each with the name of the count that its element adds to if looked up."""

    name: str
    key: Key
    entries: tuple[tuple[int | str, str], ...] = ()
    room: int = 0  # as of a VerdictMap; so are the counts' names


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A named limit: packets a second, and how many may come at once."""

    name: str
    per_second: int
    burst: int

    def text(self) -> str:
        """Its rate as nft text."""
        return f"rate {self.per_second}/second burst {self.burst} packets"


@dataclass(frozen=True, slots=True)
class DynamicSet:
    """Values that rules put in by themselves, each for a time."""

    name: str
    key: Key
    room: int  # how many it can have at once
    timeout_s: int
    rate: tuple[int, int] | None = None  # that its rules give each: packets a second, burst


AnySet = DynamicSet | LinkSet | AddressRangeSet | LinkAddressSet | VerdictMap | CountingSet


@dataclass(frozen=True, slots=True)
class GroupParts:
    """What a chain group is made of."""

    chains: tuple[Chain, ...]
    sets: tuple[AnySet, ...] = ()
    counters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainGroup:
    """Chains and what only they use, unchanged for as long as their key is the same.

    They are made when they are wanted: not where a group of an equal key is written already.
    """

    key: Hashable
    make: Callable[[], GroupParts] = field(compare=False)
    # Its rules refer to chains of all groups, and theirs to its chains; those of any other group
    # refer to chains of groups before it.
    is_entrance: bool = False


def no_counters() -> Collection[str]:
    """For a ruleset that has no use for counters beside its own."""
    return ()


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything that nsgd's table should hold."""

    counters: tuple[str, ...]
    sets: tuple[AnySet, ...]
    base_chains: tuple[BaseChain, ...]  # their rules are those of the chains of their names
    chains: tuple[Chain, ...]
    limits: tuple[RateLimit, ...] = ()
    groups: tuple[ChainGroup, ...] = ()
    timeouts: tuple[FlowTimeout, ...] = ()
    # Those that stay where they are there already, though nothing counts in them any more. Asked
    # for only where there are such.
    spare_counters: Callable[[], Collection[str]] = field(default=no_counters, compare=False)

    def whole(self) -> Ruleset:
        """The same with its groups' parts among its own."""
        parts = [group.make() for group in self.groups]
        sets = {each.name: each for each in self.sets}
        sets.update((each.name, each) for part in parts for each in part.sets)
        return Ruleset(
            (*self.counters, *(name for part in parts for name in part.counters)),
            tuple(sets.values()),
            self.base_chains,
            (*self.chains, *(chain for part in parts for chain in part.chains)),
            self.limits,
            timeouts=self.timeouts,
            spare_counters=self.spare_counters,
        )

    def text(self) -> str:
        """The table as nft would list it, for people and golden files.

        nft cannot load the queue rule back on a kernel that has only the xtables target.
        """
        if self.groups:
            return self.whole().text()
        lines = [f"table inet {TABLE} {{"]
        for counter in self.counters:
            lines += [f"\tcounter {counter} {{", "\t}", ""]
        for limit in self.limits:
            lines += [f"\tlimit {limit.name} {{", f"\t\t{limit.text()}", "\t}", ""]
        for timeout in self.timeouts:
            lines += [f"\tct timeout {timeout.name} {{", f"\t\t{timeout.text()}", "\t}", ""]
        for any_set in self.sets:
            kind = "map" if isinstance(any_set, VerdictMap) else "set"
            lines += [f"\t{kind} {any_set.name} {{", *_set_body(any_set), "\t}", ""]
        hooks = {base.name: base for base in self.base_chains}
        for chain in self.chains:
            lines += [f"\tchain {chain.name} {{"]
            if chain.name in hooks:
                base = hooks[chain.name]
                hook = base.hook.name.lower()
                priority = base.chain_priority
                lines += [f"\t\ttype filter hook {hook} priority {priority}; policy accept;"]
            lines += [f"\t\t{rule.text()}" for rule in chain.rules]
            lines += ["\t}", ""]
        lines[-1] = "}"
        return "\n".join(lines) + "\n"


def _set_body(any_set: AnySet) -> list[str]:
    flags: tuple[str, ...] = ()
    match any_set:
        case DynamicSet():
            kind = any_set.key.type_name
            flags = (
                f"\t\tsize {any_set.room}",
                "\t\tflags dynamic,timeout",
                f"\t\ttimeout {any_set.timeout_s}s",
            )
            elements = []
        case LinkSet():
            kind = "ifname"
            elements = [f'"{link}"' for link in any_set.links]
        case AddressRangeSet():
            kind = "ipv4_addr" if any_set.version == 4 else "ipv6_addr"
            flags = ("\t\tflags interval",)
            elements = [addresses_text(any_set.version, bounds) for bounds in any_set.ranges]
        case LinkAddressSet():
            kind = "ifname . " + ("ipv4_addr" if any_set.version == 4 else "ipv6_addr")
            elements = [
                f'"{link}" . {addresses_text(any_set.version, (value, value))}'
                for link, value in any_set.pairs
            ]
        case VerdictMap():
            kind = f"{any_set.key.type_name} : verdict"
            if any_set.is_interval or any_set.counts is not None:
                flags = ("\t\tflags interval",) if any_set.is_interval else _COUNTER
            elements = [
                f"{any_set.key.range_text(first, last)}{counting} : {_verdict(target)}"
                for (first, last, target), count in any_set.counted()
                for counting in (f' counter comment "{count}"' if count else "",)
            ]
        case CountingSet():
            kind, flags = any_set.key.type_name, _COUNTER
            elements = [
                f'{any_set.key.range_text(value, value)} counter comment "{count}"'
                for value, count in any_set.entries
            ]
    lines = [f"\t\ttype {kind}", *flags]
    if elements:
        lines.append(f"\t\telements = {{ {', '.join(elements)} }}")
    return lines


def _verdict(target: str) -> str:
    return f"jump {target}" if target else "return"
