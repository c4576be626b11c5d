"""A model of nsgd's table in the kernel, which refuses what the kernel would refuse, and more."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nsgd.ruleset import commands
from nsgd.ruleset.commands import Message
from nsgd.ruleset.written import Present
from nsgd.wire import expressions as x
from nsgd.wire.netlink import iterate_attributes, split_attributes

ANONYMOUS, INTERVAL, MAP, OBJECT_MAP = 0x1, 0x4, 0x8, 0x40
_INTERVAL_END = 1
# The kernel follows so many jumps and gotos, counted from a base chain; one more is EMLINK.
MOST_LEVELS = 15

# What an element stands for: a verdict's code and chain, a counter, nothing, or an interval's end.
Data = tuple[str, ...]
END: Data = ("end",)


class Refused(AssertionError):
    """The kernel would refuse the message, or the transaction."""


@dataclass
class SetModel:
    """A set or map."""

    flags: int
    size: int  # 0: any number
    key_bytes: int
    elements: dict[tuple[bytes, bool], Data] = field(default_factory=dict)
    taken: int = 0  # of *size*; what is deleted counts until the transaction is over
    is_counting: bool = False  # each element has a counter

    def content(self) -> tuple[object, ...]:
        """What makes it equal to another."""
        kind = self.flags, self.size, self.key_bytes, self.is_counting
        return *kind, tuple(sorted(self.elements.items()))


@dataclass(frozen=True)
class Lookup:
    """A reference to a set from a rule: by name, or to one of the rule's own by its place."""

    name: str
    anonymous: int | None
    rest: bytes


Part = tuple[str, bytes] | Lookup


@dataclass
class RuleModel:
    """A rule's expressions and what it refers to."""

    parts: tuple[Part, ...]
    chains: tuple[str, ...]
    objects: tuple[tuple[str, int], ...]
    handle: bytes


@dataclass
class ChainModel:
    """A chain."""

    is_base: bool
    rules: list[RuleModel] = field(default_factory=list)


class Table:
    """The table, message by message."""

    def __init__(self) -> None:
        self.chains: dict[str, ChainModel] = {}
        self.sets: dict[str, SetModel] = {}
        self.objects: dict[tuple[str, int], bytes] = {}
        self.anonymous: dict[int, SetModel] = {}
        self._identified: dict[int, SetModel] = {}  # of this transaction
        self._unused: set[int] = set()
        self._made = self._rules = 0

    # Transactions

    def commit(self, messages: Iterable[Message]) -> int:
        """Apply a transaction; the number of its messages."""
        number = 0
        self._identified, self._unused = {}, set()
        for message in messages:
            self._apply(message)
            number += 1
        if self._unused:
            raise Refused("a set of a rule's own that no rule has")
        for each in self.sets.values():
            each.taken = len(each.elements)
            if each.flags & INTERVAL:
                _check_intervals(each)
        for each in self.anonymous.values():
            if each.flags & INTERVAL:
                _check_intervals(each)
        self._check_levels()
        return number

    def present(self) -> Present:
        """As nsgd.kernel.table would read it."""
        return Present(
            frozenset(self.sets),
            frozenset(name for name, chain in self.chains.items() if not chain.is_base),
            frozenset(name for name, kind in self.objects if kind == commands.OBJECT_LIMIT),
            frozenset(name for name, kind in self.objects if kind == commands.OBJECT_COUNTER),
        )

    def content(self) -> dict[str, object]:
        """What makes a table equal to another, counters apart."""
        return {
            "chains": {
                name: (chain.is_base, [self._rule_content(rule) for rule in chain.rules])
                for name, chain in self.chains.items()
            },
            "sets": {name: each.content() for name, each in self.sets.items()},
            "limits": {
                name: data
                for (name, kind), data in self.objects.items()
                if kind == commands.OBJECT_LIMIT
            },
        }

    def counters(self) -> set[str]:
        """Names of counters."""
        return {name for name, kind in self.objects if kind == commands.OBJECT_COUNTER}

    def _rule_content(self, rule: RuleModel) -> list[object]:
        return [
            (part.name, part.rest, self.anonymous[part.anonymous].content())
            if isinstance(part, Lookup) and part.anonymous is not None
            else part
            for part in rule.parts
        ]

    # Messages

    def _apply(self, message: Message) -> None:
        command, flags, payload = message
        attributes = split_attributes(payload)
        if command == commands.NEWTABLE:
            return
        if _text(attributes[1]) != "nsgd":
            raise Refused("another table")
        match command:
            case commands.NEWCHAIN:
                self._new_chain(attributes)
            case commands.DELCHAIN:
                self._delete_chain(_text(attributes[3]))
            case commands.NEWRULE:
                if flags != commands.APPEND:
                    raise Refused("a rule that is not appended")
                self._new_rule(attributes)
            case commands.DELRULE:
                self._delete_rules(_text(attributes[2]), attributes.get(3))
            case commands.NEWSET:
                self._new_set(attributes)
            case commands.DELSET:
                self._delete_set(_text(attributes[2]))
            case commands.NEWSETELEM:
                self._new_elements(attributes)
            case commands.DELSETELEM:
                self._delete_elements(attributes)
            case commands.NEWOBJ:
                key = _text(attributes[2]), _number(attributes[3])
                self.objects.setdefault(key, attributes[4])
            case commands.DELOBJ:
                self._delete_object((_text(attributes[2]), _number(attributes[3])))
            case _:
                raise Refused(f"command {command}")

    def _new_chain(self, attributes: dict[int, bytes]) -> None:
        name = _text(attributes[3])
        is_base = 4 in attributes
        known = self.chains.setdefault(name, ChainModel(is_base))
        if known.is_base is not is_base:
            raise Refused(f"chain {name} is of the other kind")

    def _delete_chain(self, name: str) -> None:
        chain = self._chain(name)
        if chain.is_base:
            raise Refused(f"base chain {name} is deleted: all queues are emptied")
        if chain.rules:
            raise Refused(f"chain {name} has rules")
        if name in self._chains_referred_to():
            raise Refused(f"chain {name} is deleted and still referred to")
        del self.chains[name]

    def handles(self, name: str) -> list[bytes]:
        """Of the rules of a chain."""
        return [rule.handle for rule in self._chain(name).rules]

    def _delete_rules(self, name: str, handle: bytes | None) -> None:
        chain = self._chain(name)
        if handle is not None and handle not in self.handles(name):
            raise Refused(f"no rule {handle.hex()} in {name}")
        gone = [rule for rule in chain.rules if handle in (None, rule.handle)]
        for rule in gone:
            for part in rule.parts:
                if isinstance(part, Lookup) and part.anonymous is not None:
                    del self.anonymous[part.anonymous]
            chain.rules.remove(rule)

    def _new_rule(self, attributes: dict[int, bytes]) -> None:
        chain = self._chain(_text(attributes[2]))
        parts: list[Part] = []
        chains: list[str] = []
        objects: list[tuple[str, int]] = []
        for _, expression in iterate_attributes(attributes[4]):
            found = split_attributes(expression)
            name, data = _text(found[1]), split_attributes(found[2])
            raw = name, found[2]
            match name:
                case "lookup":
                    parts.append(self._lookup(data))
                    continue
                case "dynset":
                    self._named_set(_text(data[1]), 0)
                    parts.append(Lookup(_text(data[1]), None, found[2]))
                    continue
                case "objref" if 2 in data:
                    key = _text(data[2]), _number(data[1])
                    if key not in self.objects:
                        raise Refused(f"no object {key}")
                    objects.append(key)
                case "objref":
                    self._named_set(_text(data[4]), OBJECT_MAP)
                    parts.append(Lookup(_text(data[4]), None, b"objref"))
                    continue
                case "immediate":
                    target = _verdict(data[2])[1:]
                    chains += target
                    for each in target:
                        self._chain(each)
            parts.append(raw)
        self._rules += 1
        handle = self._rules.to_bytes(8)
        chain.rules.append(RuleModel(tuple(parts), tuple(chains), tuple(objects), handle))

    def _lookup(self, data: dict[int, bytes]) -> Lookup:
        rest = data[2] + data.get(3, b"-") + data.get(5, b"-")
        kind = MAP if 3 in data else 0
        if 4 not in data:
            self._named_set(_text(data[1]), kind)
            return Lookup(_text(data[1]), None, rest)
        identifier = _number(data[4])
        found = self._identified.get(identifier)
        if found is None or not found.flags & ANONYMOUS or identifier not in self._unused:
            raise Refused(f"no set of the rule's own by the number {identifier}")
        if found.flags & MAP != kind:
            raise Refused("a set where a map is asked, or the other way round")
        self._unused.discard(identifier)
        self._made += 1
        self.anonymous[self._made] = found
        return Lookup("", self._made, rest)

    def _named_set(self, name: str, kind: int) -> None:
        found = self.sets.get(name)
        if found is None:
            raise Refused(f"no set {name}")
        if found.flags & (MAP | OBJECT_MAP) != kind:
            raise Refused(f"set {name} is of another kind")

    def _new_set(self, attributes: dict[int, bytes]) -> None:
        name, identifier = _text(attributes[2]), _number(attributes[10])
        if identifier in self._identified:
            raise Refused(f"two sets of one transaction have the number {identifier}")
        described = split_attributes(attributes.get(9, b""))
        size = _number(described[1]) if 1 in described else 0
        made = SetModel(_number(attributes[3]), size, _number(attributes[5]))
        made.is_counting = 17 in attributes
        if not made.flags & ANONYMOUS:
            if name in self.sets:
                raise Refused(f"there is a set {name} already")
            self.sets[name] = made
        else:
            self._unused.add(identifier)
        self._identified[identifier] = made

    def _delete_set(self, name: str) -> None:
        if name not in self.sets:
            raise Refused(f"no set {name} to delete")
        for owner, chain in self.chains.items():
            for rule in chain.rules:
                for part in rule.parts:
                    if isinstance(part, Lookup) and part.name == name:
                        raise Refused(f"set {name} is deleted and {owner} asks it")
        del self.sets[name]

    def set_of(self, attributes: dict[int, bytes]) -> SetModel:
        """The set that a message is about."""
        if 4 in attributes:
            return self._identified[_number(attributes[4])]
        name = _text(attributes[2])
        if name not in self.sets:
            raise Refused(f"no set {name}")
        return self.sets[name]

    def _new_elements(self, attributes: dict[int, bytes]) -> None:
        target = self.set_of(attributes)
        for key, is_end, data in self._elements(target, attributes[3]):
            known = target.elements.get((key, is_end))
            if known is not None and known != data:
                raise Refused(f"an element {key.hex()} with another value is there already")
            if known is None:
                target.taken += 1
                target.elements[key, is_end] = data
            if target.size and target.taken > target.size:
                raise Refused("a set is full")

    def _delete_elements(self, attributes: dict[int, bytes]) -> None:
        target = self.set_of(attributes)
        for key, is_end, _ in self._elements(target, attributes[3]):
            if target.elements.pop((key, is_end), None) is None:
                raise Refused(f"no element {key.hex()} to delete")

    def _elements(self, target: SetModel, body: bytes) -> Iterator[tuple[bytes, bool, Data]]:
        for _, element in iterate_attributes(body):
            parts = split_attributes(element)
            key = split_attributes(parts[1])[1]
            if len(key) != target.key_bytes:
                raise Refused("a key of another length")
            if 3 in parts and _number(parts[3]) & _INTERVAL_END:
                if not target.flags & INTERVAL:
                    raise Refused("the end of an interval in a set without")
                yield key, True, END
                continue
            data: Data = ()
            if target.flags & MAP:
                data = _verdict(parts[2])
                for each in data[1:]:
                    self._chain(each)
            elif target.flags & OBJECT_MAP:
                name = _text(parts[9])
                if (name, commands.OBJECT_COUNTER) not in self.objects:
                    raise Refused(f"no counter {name}")
                data = ("counter", name)
            yield key, False, data

    def _delete_object(self, key: tuple[str, int]) -> None:
        if key not in self.objects:
            raise Refused(f"no object {key} to delete")
        for name, chain in self.chains.items():
            if any(key in rule.objects for rule in chain.rules):
                raise Refused(f"object {key} is deleted and {name} uses it")
        if key[1] == commands.OBJECT_COUNTER:
            for name, each in self.sets.items():
                if ("counter", key[0]) in each.elements.values():
                    raise Refused(f"counter {key[0]} is deleted and {name} has it")
        del self.objects[key]

    def _chain(self, name: str) -> ChainModel:
        if name not in self.chains:
            raise Refused(f"no chain {name}")
        return self.chains[name]

    # References

    def targets(self, name: str) -> set[str]:
        """The chains that a chain leads to."""
        return set(self._targets(self.chains[name]))

    def _targets(self, chain: ChainModel) -> Iterator[str]:
        for rule in chain.rules:
            yield from rule.chains
            for part in rule.parts:
                if isinstance(part, Lookup):
                    owner = (
                        self.sets[part.name]
                        if part.anonymous is None
                        else self.anonymous[part.anonymous]
                    )
                    if owner.flags & MAP:
                        for data in owner.elements.values():
                            if data is not END:
                                yield from data[1:]

    def _chains_referred_to(self) -> Counter[str]:
        """Also by elements of maps that no rule asks: those hold a chain as well."""
        found: Counter[str] = Counter()
        for chain in self.chains.values():
            for rule in chain.rules:
                found.update(rule.chains)
        for each in (*self.sets.values(), *self.anonymous.values(), *self._identified.values()):
            if each.flags & MAP:
                for data in each.elements.values():
                    if data is not END:
                        found.update(data[1:])
        return found

    def _check_levels(self) -> None:
        for name, levels in self.levels().items():
            if levels > MOST_LEVELS:
                raise Refused(f"{levels} levels below {name}: EMLINK")

    def levels(self) -> dict[str, int]:
        """Jumps and gotos on the longest way from each base chain."""
        known: dict[str, int] = {}
        on_the_way: set[str] = set()

        def below(name: str) -> int:
            if name in on_the_way:
                raise Refused(f"chain {name} leads to itself: ELOOP")
            if name not in known:
                on_the_way.add(name)
                targets = self.targets(name)
                known[name] = max((1 + below(each) for each in targets), default=0)
                on_the_way.discard(name)
            return known[name]

        return {name: below(name) for name, chain in self.chains.items() if chain.is_base}


def changed_set(message: Message) -> str | None:
    """The name of the set whose elements a message adds or deletes."""
    command, _, payload = message
    if command not in (commands.NEWSETELEM, commands.DELSETELEM):
        return None
    return _text(split_attributes(payload)[2])


def chain_of(message: Message) -> str | None:
    """The chain whose rules a message adds or deletes."""
    command, _, payload = message
    if command not in (commands.NEWRULE, commands.DELRULE):
        return None
    return _text(split_attributes(payload)[2])


def _check_intervals(model: SetModel) -> None:
    """Each start has an end before the next start, or none up to the last value."""
    is_open = False
    # The end of one interval may be where the next one starts, and comes first then.
    for (_, is_end), _ in sorted(model.elements.items(), key=lambda e: (e[0][0], not e[0][1])):
        if is_end is not is_open:
            raise Refused("intervals overlap, or one has no end")
        is_open = not is_end


def _verdict(data: bytes) -> Data:
    """The code of a verdict, and its chain if it has one."""
    found = split_attributes(split_attributes(data)[2])
    (code,) = struct.unpack(">i", found[1])
    if (code in (x.NFT_JUMP, x.NFT_GOTO)) is not (2 in found):
        raise Refused("a jump without a chain, or a chain without a jump")
    return (str(code), _text(found[2])) if 2 in found else (str(code),)


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode()


def _number(data: bytes) -> int:
    (number,) = struct.unpack(">I", data)
    return int(number)
