"""Chains, rules, counters and limits as netlink messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count

from nsgd.model.packet import TCP
from nsgd.ruleset.branches import Branch, BranchEntry, MatchValues
from nsgd.ruleset.commands import (
    APPEND,
    CREATE,
    DELCHAIN,
    DELOBJ,
    DELRULE,
    IN_TABLE,
    NEWCHAIN,
    NEWOBJ,
    NEWRULE,
    OBJECT_COUNTER,
    OBJECT_LIMIT,
    Message,
)
from nsgd.ruleset.encode_sets import anonymous_set, comment
from nsgd.ruleset.flow_timeout import FlowTimeout
from nsgd.ruleset.objects import TABLE, BaseChain, Chain, NftRule, RateLimit
from nsgd.wire import expressions as x
from nsgd.wire.expressions import OBJECT_FLOW_TIMEOUT
from nsgd.wire.netlink import attribute, be32, be64, nested, text

_USERDATA = 7  # of a rule
_WITH_SETS = (Branch, MatchValues)
_OF_COUNTER = be32(3, OBJECT_COUNTER) + nested(4)


def new_base_chain(base: BaseChain) -> Message:
    """Create a base chain, or nothing where it is there."""
    hook = nested(4, be32(1, base.hook.value), be32(2, base.chain_priority))
    policy = be32(5, x.NF_ACCEPT)
    return NEWCHAIN, CREATE, IN_TABLE + text(3, base.name) + hook + policy + text(7, "filter")


def new_chain(name: str) -> Message:
    """Create an empty chain, or nothing where it is there."""
    return NEWCHAIN, CREATE, IN_TABLE + text(3, name)


def delete_chain(name: str) -> Message:
    """Delete a chain that nothing refers to."""
    return DELCHAIN, 0, IN_TABLE + text(3, name)


def empty_chain(name: str) -> Message:
    """Delete the rules of a chain."""
    return DELRULE, 0, IN_TABLE + text(2, name)


def delete_rules(handles: Mapping[str, Iterable[bytes]]) -> Iterator[Message]:
    """Delete some rules of chains, by the kernel's handles of eight bytes."""
    for chain, of_chain in handles.items():
        place = IN_TABLE + text(2, chain)
        for handle in of_chain:
            yield DELRULE, 0, place + attribute(3, handle)


def new_counter(name: str, packets: int = 0, octets: int = 0) -> Message:
    """Create a named counter that has counted so much; one that is there keeps its count."""
    more = _OF_COUNTER
    if packets:
        more = be32(3, OBJECT_COUNTER) + nested(4, be64(1, octets), be64(2, packets))
    return NEWOBJ, CREATE, IN_TABLE + text(2, name) + more


def new_limit(limit: RateLimit) -> Message:
    """Create a named limit, or nothing where it is there."""
    rate = _of_limit(limit.per_second, limit.burst)
    return NEWOBJ, CREATE, IN_TABLE + text(2, limit.name) + rate


@lru_cache(maxsize=64)
def _of_limit(per_second: int, burst: int) -> bytes:
    data = nested(4, be64(1, per_second), be64(2, 1), be32(3, burst))
    return be32(3, OBJECT_LIMIT) + data


def new_timeout(timeout: FlowTimeout) -> Message:
    """Create a timeout of flows, or nothing where it is there; its name says all of it."""
    # States as linux/netfilter/nfnetlink_cttimeout.h numbers them.
    states = (3,) if timeout.protocol == TCP else (1, 2)
    values = nested(3, *(be32(state, timeout.seconds) for state in states))
    # Without a family it is for both.
    data = nested(4, attribute(2, bytes([timeout.protocol])), values)
    return NEWOBJ, CREATE, IN_TABLE + text(2, timeout.name) + be32(3, OBJECT_FLOW_TIMEOUT) + data


def delete_object(name: str, kind: int) -> Message:
    """Delete a named counter or limit that no rule uses."""
    return DELOBJ, 0, IN_TABLE + text(2, name) + be32(3, kind)


def rules_of(chain: Chain, identifiers: count[int]) -> Sequence[Message]:
    """Append the rules of a chain, the sets that belong to them before each."""
    place = IN_TABLE + text(2, chain.name)
    messages: list[Message] = []
    for rule in chain.rules:
        payload = _plain_rule(place, rule)
        if payload is None:
            messages += _rule(place, rule, identifiers)
        else:
            messages.append((NEWRULE, APPEND, payload))
    return messages


def plain_rules_of(chain: Chain) -> Iterator[Message]:
    """Append the rules of a chain without sets of their own."""
    for rule in chain.rules:
        yield NEWRULE, APPEND, rule_payload(chain.name, rule)


def rule_payload(chain: str, rule: NftRule, table: str = TABLE) -> bytes:
    """A rule without sets of its own. Raises ValueError where it has one."""
    payload = _plain_rule(text(1, table) + text(2, chain), rule)
    if payload is None:
        raise ValueError(f"a rule of {chain} has a set of its own")
    return payload


def _rule(place: bytes, rule: NftRule, identifiers: count[int]) -> Iterator[Message]:
    parts: list[bytes] = []
    for statement in rule.statements:
        if isinstance(statement, _WITH_SETS):
            identifier = next(identifiers)
            is_map = isinstance(statement, Branch)
            entries: Iterable[BranchEntry]
            if isinstance(statement, Branch):
                entries = statement.entries
            else:
                entries = [(first, last, "") for first, last in statement.ranges]
            yield from anonymous_set(statement.key, entries, identifier, is_map=is_map)
            parts += statement.key.loading
            parts.append(x.lookup_anonymous(identifier, is_map=is_map))
        else:
            parts += statement.encode()
    yield NEWRULE, APPEND, place + nested(4, *parts) + _comment(rule)


def _plain_rule(place: bytes, rule: NftRule) -> bytes | None:
    """The payload of a rule; None where it has a set of its own."""
    parts: list[bytes] = []
    for statement in rule.statements:
        if isinstance(statement, _WITH_SETS):
            return None
        parts += statement.encode()
    expressions = nested(4, b"".join(parts))
    return place + expressions + _comment(rule) if rule.comment else place + expressions


def _comment(rule: NftRule) -> bytes:
    return comment(_USERDATA, rule.comment) if rule.comment else b""
