"""What rules do with the first packet of a flow, read off the statements of a ruleset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from nsgd.model.packet import ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.ruleset.branches import (
    Branch,
    BranchBy,
    BranchEntry,
    CountIn,
    LimitBy,
    MatchValue,
    MatchValues,
)
from nsgd.ruleset.keys import Key
from nsgd.ruleset.local_matches import MatchLoopback, MatchTranslatedToLocal
from nsgd.ruleset.matches import (
    CtState,
    MatchAddress,
    MatchCtReply,
    MatchCtState,
    MatchFamily,
    MatchLink,
    MatchLinkAddress,
    MatchMark,
    MatchNoReversePath,
    MatchPorts,
    MatchProtocol,
    MatchTcpFlags,
)
from nsgd.ruleset.objects import (
    AddressRangeSet,
    AnySet,
    CountingSet,
    DynamicSet,
    LinkAddressSet,
    LinkSet,
    NftRule,
    Ruleset,
    VerdictMap,
)
from nsgd.ruleset.statements import (
    Accept,
    Count,
    Drop,
    Goto,
    Jump,
    Limit,
    Log,
    Queue,
    Return,
    SaveMark,
    SetMark,
    Statement,
)


@dataclass
class Walk:
    """A packet on its way, and what has become of it."""

    packet: PacketHeader
    in_link: str = ""
    out_link: str = ""
    next_header: int | None = None  # the first one of IPv6, where it is not the transport's
    hop_limit: int = 64
    icmp_type: int = 128
    mark: int = 0
    ct_mark: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    logged_marks: list[int] = field(default_factory=list)
    visited: list[str] = field(default_factory=list)


class _Unmatched(Exception):
    """The rule ends here, and the next one is tried."""


class Interpreter:
    """Runs packets through a ruleset's chains, all in one moment where it has limits."""

    def __init__(self, ruleset: Ruleset, *, is_limited: bool = False) -> None:
        self._is_limited = is_limited
        # What is left at once of limits, and of those that sets have for values.
        self._left: dict[str, int] = {}
        self.left_of: dict[tuple[str, int | str], int] = {}
        whole = ruleset.whole()
        self._chains: Mapping[str, tuple[NftRule, ...]] = {c.name: c.rules for c in whole.chains}
        self._sets: Mapping[str, AnySet] = {each.name: each for each in whole.sets}
        self._counters = set(whole.counters)
        self._limits = {limit.name: limit.burst for limit in whole.limits}

    def run(self, walk: Walk, chain: str = "hook_forward") -> str:
        """The verdict: accept, drop or ask. A hook that ends accepts, as all of them do here."""
        return self._run(walk, chain) or "accept"

    def _run(self, walk: Walk, chain: str) -> str | None:
        walk.visited.append(chain)
        for rule in self._chains[chain]:
            try:
                for statement in rule.statements:
                    is_over, verdict = self._do(walk, statement)
                    if is_over:
                        return verdict
            except _Unmatched:
                continue
        return None

    def _do(self, walk: Walk, statement: Statement) -> tuple[bool, str | None]:
        match statement:
            case Accept():
                return True, "accept"
            case Drop():
                return True, "drop"
            case Queue():
                return True, "ask"
            case Return():
                return True, None
            case Goto(chain):
                return True, self._run(walk, chain)
            case Jump(chain):
                verdict = self._run(walk, chain)
                return verdict is not None, verdict
            case Branch(key, entries):
                target = _target(walk, key, entries)
                return True, self._run(walk, target) if target else None
            case BranchBy(key, name):
                found = self._sets[name]
                assert isinstance(found, VerdictMap)
                assert found.key.type_number == key.type_number
                target = _target(walk, key, found.entries)
                value = _value(walk, key)
                for (first, _, _), count in found.counted():
                    if first == value and count:
                        walk.counted[count] += 1
                if not target:
                    return True, None
                # Maps with names jump, those of a rule's own do not come back.
                verdict = self._run(walk, target)
                return verdict is not None, verdict
            case _:
                self._work(walk, statement)
                return False, None

    def _work(self, walk: Walk, statement: Statement) -> None:
        match statement:
            case Count(name):
                assert name in self._counters
                walk.counted[name] += 1
            case CountIn(key, name):
                found = self._sets[name]
                assert isinstance(found, CountingSet)
                assert found.key.type_number == key.type_number
                counts = dict(found.entries)
                value = _value(walk, key)
                if value not in counts:
                    raise _Unmatched
                walk.counted[counts[value]] += 1
            case Limit(name):
                left = self._left.setdefault(name, self._limits[name])
                if not left:
                    raise _Unmatched
                self._left[name] -= self._is_limited
            case LimitBy(key, name, (_, burst)):
                found = self._sets[name]
                assert isinstance(found, DynamicSet)
                assert found.key.type_number == key.type_number
                which = name, _value(walk, key)
                if which not in self.left_of:
                    if sum(of == name for of, _ in self.left_of) == found.room:
                        raise _Unmatched
                    self.left_of[which] = burst
                if not self.left_of[which]:
                    raise _Unmatched
                self.left_of[which] -= self._is_limited
            case Log():
                walk.logged_marks.append(walk.mark)
            case SetMark("meta", keep, bits):
                walk.mark = walk.mark & keep | bits
            case SetMark("ct", keep, bits):
                walk.ct_mark = walk.ct_mark & keep | bits
            case SaveMark(mask):
                walk.ct_mark = walk.mark & mask
            case _:
                if not self._matches(walk, statement):
                    raise _Unmatched

    def _matches(self, walk: Walk, statement: Statement) -> bool:
        packet = walk.packet
        match statement:
            case MatchValue(key, first, last):
                return _within(first, _value(walk, key), last)
            case MatchValues(key, ranges):
                value = _value(walk, key)
                return any(_within(first, value, last) for first, last in ranges)
            case MatchFamily(version):
                return packet.version == version
            case MatchLink(side, name, inverted):
                links = self._sets[name]
                assert isinstance(links, LinkSet)
                link = walk.in_link if side == "source" else walk.out_link
                return (link in links.links) is not inverted
            case MatchAddress(version, side, name, inverted):
                found = self._sets[name]
                assert isinstance(found, AddressRangeSet)
                assert found.version == version
                address = packet.source if side == "source" else packet.destination
                holds = any(first <= address <= last for first, last in found.ranges)
                return packet.version == version and holds is not inverted
            case MatchLinkAddress(version, side, name, inverted):
                pairs = self._sets[name]
                assert isinstance(pairs, LinkAddressSet)
                assert pairs.version == version
                link = walk.in_link if side == "source" else walk.out_link
                address = packet.source if side == "source" else packet.destination
                holds = (link, address) in pairs.pairs
                return packet.version == version and holds is not inverted
            case MatchProtocol(number):
                is_inverted = getattr(statement, "inverted", False)
                return (packet.protocol == number) is not is_inverted
            case MatchPorts(side, first, last):
                assert packet.protocol in (TCP, UDP), "ports of a packet without"
                port = packet.source_port if side == "source" else packet.destination_port
                return first <= port <= last
            case MatchNoReversePath() | MatchTranslatedToLocal():
                return False
            case MatchLoopback(side):
                return (walk.in_link if side == "source" else walk.out_link) == "lo"
            case MatchMark(where, mask, is_set):
                mark = walk.mark if where == "meta" else walk.ct_mark
                return bool(mark & mask) is is_set
            case MatchCtState(states, inverted):
                return (CtState.NEW in states) is not inverted
            case MatchCtReply(is_reply):
                return not is_reply
            case MatchTcpFlags(_, _, inverted):
                # Asked here: whether a segment opens a connection, or does not.
                return packet.protocol == TCP and packet.is_midstream is inverted
            case _:
                raise AssertionError(f"not expected here: {statement}")


def _target(walk: Walk, key: Key, entries: tuple[BranchEntry, ...]) -> str:
    value = _value(walk, key)
    targets = [target for first, last, target in entries if _within(first, value, last)]
    assert len(targets) <= 1, "entries overlap"
    if not targets:
        raise _Unmatched
    return targets[0]


def _within(first: int | str, value: int | str, last: int | str) -> bool:
    if isinstance(first, str) or isinstance(value, str) or isinstance(last, str):
        return first == value == last
    return first <= value <= last


def _value(walk: Walk, key: Key) -> int | str:
    """The field of the packet; without it the rule is unmatched."""
    packet = walk.packet
    if key.version not in (None, packet.version):
        raise _Unmatched
    match key.text:
        case "ip saddr" | "ip6 saddr":
            return packet.source
        case "ip daddr" | "ip6 daddr":
            return packet.destination
        case "th sport" | "th dport":
            # The kernel would read ports off whatever stands behind the IP header.
            assert packet.protocol in (TCP, UDP), "ports of a packet without"
            return packet.source_port if key.text == "th sport" else packet.destination_port
        case "meta l4proto":
            return packet.protocol
        case "ip6 nexthdr":
            if packet.version != 6:
                raise _Unmatched
            return packet.protocol if walk.next_header is None else walk.next_header
        case "ip6 hoplimit":
            if packet.version != 6:
                raise _Unmatched
            return walk.hop_limit
        case "@th,0,8":
            assert packet.protocol in (ICMP, ICMPV6), "the type of a packet that is no ICMP"
            return walk.icmp_type
        case "iifname":
            return walk.in_link
        case "oifname":
            return walk.out_link
        case text if text.startswith("meta mark & "):
            return walk.mark & int(text.removeprefix("meta mark & "), 16)
        case text if text.startswith("ct mark & "):
            return walk.ct_mark & int(text.removeprefix("ct mark & "), 16)
        case text:
            raise AssertionError(f"not expected here: {text}")
