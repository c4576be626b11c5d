"""Names under which sets stand in the kernel, so that none is ever changed under a packet.

Some kernels put the intervals of a new or changed set in place a moment after the transaction: a
packet of that moment finds it empty. So a set of intervals has its content in its name, is
complete before a rule asks it, and is deleted once none does. An epoch in each name keeps what
this process writes apart from what an earlier one left.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from nsgd.ruleset.branches import BranchBy, CountIn, LimitBy
from nsgd.ruleset.matches import MatchAddress, MatchLink, MatchLinkAddress
from nsgd.ruleset.objects import (
    AddressRangeSet,
    AnySet,
    Chain,
    ChainGroup,
    CountingSet,
    DynamicSet,
    GroupParts,
    NftRule,
    Ruleset,
    VerdictMap,
)
from nsgd.ruleset.same import Same
from nsgd.ruleset.statements import MatchSource, Statement, UpdateSource

EPOCHS = "abcdefghijklmnopqrstuvwxyz"
# Enough that nobody who writes rules can find two contents of one name.
_DIGEST_BYTES = 16
# Of more than this at once hashlib lets go of the interpreter, and has it back before a thread that
# waits for it has woken and can take it. Where digests are made one after the other, that thread's
# turn never comes: it hands the kernel what is ready.
_PIECE_BYTES = 2047


def next_epoch(names: Iterable[str]) -> str:
    """An epoch that none of these names of sets is of."""
    taken = {part for name in names for part in name.partition(".")[2][:1]}
    return next((epoch for epoch in EPOCHS if epoch not in taken), EPOCHS[0])


def is_fixed(any_set: AnySet) -> bool:
    """Tell whether a set is made once and never changed."""
    # What rules have put in keeps the rate that it came with.
    return isinstance(any_set, AddressRangeSet | DynamicSet) or (
        isinstance(any_set, VerdictMap) and any_set.is_interval
    )


def with_physical_sets(ruleset: Ruleset, epoch: str, more: tuple[Chain, ...] = ()) -> Ruleset:
    """The same ruleset with the names that its sets have in the kernel; chain groups have them.

    *more* are further chains, which become a group: many, and often the same object as before.
    """
    names = {}
    sets = []
    for any_set in ruleset.sets:
        name = f"{any_set.name}.{epoch}"
        if is_fixed(any_set):
            name = f"{name}/{content_digest(any_set, epoch)}"
        elif isinstance(any_set, VerdictMap | CountingSet):
            # One that has become too small is another one.
            name = f"{name}/{any_set.room}"
        names[any_set.name] = name
        sets.append(replace(any_set, name=name))
    chains = tuple(_renamed(chain, names) for chain in ruleset.chains)
    groups = ruleset.groups
    if more:

        def make() -> GroupParts:
            return GroupParts(tuple(_renamed(chain, names) for chain in more))

        key = Same(more), tuple(names.values())
        groups = (ChainGroup(key, make, is_entrance=True), *groups)
    return replace(ruleset, sets=tuple(sets), chains=chains, groups=groups)


def content_digest(content: object, epoch: str) -> str:
    """A short name for what something holds."""
    return _digest(repr(content).encode(), epoch).hex()


def plain_digest(content: Any, epoch: str) -> bytes:
    """The same for what is made of tuples, lists, strings and integers only: 16 bytes, at once."""
    # Of this version no two ways to write the same: later ones tell whether objects are shared.
    return _digest(marshal.dumps(content, 2), epoch)


def _digest(data: bytes, epoch: str) -> bytes:
    digest = _keyed(epoch).copy()
    if len(data) <= _PIECE_BYTES:
        digest.update(data)
    else:
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            digest.update(view[start : start + _PIECE_BYTES])
    return digest.digest()


@lru_cache(maxsize=2)
def _keyed(epoch: str) -> blake2b:
    return blake2b(digest_size=_DIGEST_BYTES, key=epoch.encode())


def _renamed(chain: Chain, names: Mapping[str, str]) -> Chain:
    rules = tuple(
        NftRule(tuple(_statement(each, names) for each in rule.statements), rule.comment)
        for rule in chain.rules
    )
    return replace(chain, rules=rules)


def _statement(statement: Statement, names: Mapping[str, str]) -> Statement:
    match statement:
        case (
            MatchLink()
            | MatchAddress()
            | MatchLinkAddress()
            | MatchSource()
            | UpdateSource()
            | LimitBy()
            | CountIn()
        ):
            return replace(statement, set_name=names[statement.set_name])
        case BranchBy():
            return replace(statement, map_name=names[statement.map_name])
        case _:
            return statement
