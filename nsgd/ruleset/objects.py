"""The desired content of nsgd's table as values, and the same as nft text."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum

from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.policy.address_set import Range
from nsgd.ruleset.statements import Statement

TABLE = "nsgd"


class Hook(Enum):
    """Where a base chain runs; the value is the kernel's number for the inet family."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain attached to a hook; its only rule jumps to *target*, so it never changes."""

    name: str
    hook: Hook
    chain_priority: int
    target: str


@dataclass(frozen=True, slots=True)
class NftRule:
    """Statements in order, with a comment for whoever lists the ruleset."""

    statements: tuple[Statement, ...]
    comment: str = ""

    def text(self) -> str:
        """The rule as nft text."""
        body = " ".join(statement.text() for statement in self.statements)
        return f'{body} comment "{self.comment}"' if self.comment else body


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order; the end returns to the caller."""

    name: str
    rules: tuple[NftRule, ...] = ()


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


AnySet = LinkSet | AddressRangeSet | LinkAddressSet


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything that nsgd's table should hold."""

    counters: tuple[str, ...]
    sets: tuple[AnySet, ...]
    base_chains: tuple[BaseChain, ...]
    chains: tuple[Chain, ...]

    def text(self) -> str:
        """The table as nft would list it, for people and golden files.

        nft cannot load the queue rule back on a kernel that has only the xtables target.
        """
        lines = [f"table inet {TABLE} {{"]
        for counter in self.counters:
            lines += [f"\tcounter {counter} {{", "\t}", ""]
        for any_set in self.sets:
            lines += [f"\tset {any_set.name} {{", *_set_body(any_set), "\t}", ""]
        for base in self.base_chains:
            hook = base.hook.name.lower()
            lines += [
                f"\tchain {base.name} {{",
                f"\t\ttype filter hook {hook} priority {base.chain_priority}; policy accept;",
                f"\t\tjump {base.target}",
                "\t}",
                "",
            ]
        for chain in self.chains:
            lines += [f"\tchain {chain.name} {{"]
            lines += [f"\t\t{rule.text()}" for rule in chain.rules]
            lines += ["\t}", ""]
        lines[-1] = "}"
        return "\n".join(lines) + "\n"


def _address(version: IPVersion, value: int) -> str:
    address = ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value)
    return str(address)


def _range(version: IPVersion, bounds: Range) -> str:
    first, last = bounds
    size = last - first + 1
    if size & (size - 1) == 0 and first % size == 0:
        length = ADDRESS_BITS[version] - size.bit_length() + 1
        suffix = "" if size == 1 else f"/{length}"
        return f"{_address(version, first)}{suffix}"
    return f"{_address(version, first)}-{_address(version, last)}"


def _set_body(any_set: AnySet) -> list[str]:
    flags: tuple[str, ...] = ()
    match any_set:
        case LinkSet():
            kind = "ifname"
            elements = [f'"{link}"' for link in any_set.links]
        case AddressRangeSet():
            kind = "ipv4_addr" if any_set.version == 4 else "ipv6_addr"
            flags = ("\t\tflags interval",)
            elements = [_range(any_set.version, bounds) for bounds in any_set.ranges]
        case LinkAddressSet():
            kind = "ifname . " + ("ipv4_addr" if any_set.version == 4 else "ipv6_addr")
            elements = [
                f'"{link}" . {_address(any_set.version, value)}' for link, value in any_set.pairs
            ]
    lines = [f"\t\ttype {kind}", *flags]
    if elements:
        lines.append(f"\t\telements = {{ {', '.join(elements)} }}")
    return lines
