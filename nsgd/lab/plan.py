"""Plans a lab's probes: at the boundaries of every rule, and between every two of its hosts.

What a probe is expected to show is the evaluator's prediction: the plan reaches for rules by it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nsgd.lab.boundaries import RuleShape, bits_of, rule_shapes
from nsgd.lab.ends import End, pairs_of
from nsgd.lab.prediction import RuleKey, passes_failsafe, rule_key
from nsgd.lab.traffic import Probe, Service
from nsgd.model.address import Address
from nsgd.model.decision import Decision
from nsgd.model.rule import Protocol
from nsgd.model.settings import Failsafe
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.evaluate import UNMANAGED, consulted_tables, decide

# Stands for the port that the kernel will choose.
_ANY_SOURCE_PORT = 50000
# Where each rule is looked for: an earlier rule may decide between the first two hosts.
_PAIRS_FOR_A_RULE = 12
_RULES_OF_A_PAIR = 40
# The share of the probes that rules may use up before all pairs have some.
_SHARE_OF_RULES = 0.6
# What is asked between two hosts whose rules name no ports.
_USUAL: tuple[tuple[Protocol, int], ...] = (
    (Protocol.ICMP, 0),
    (Protocol.TCP, 443),
    (Protocol.UDP, 53),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The probes, and for each rule that none of them reaches, why."""

    probes: tuple[Probe, ...]
    not_reached: dict[RuleKey, str]


def plan_probes(
    policy: CompiledPolicy,
    ends: Sequence[End],
    limit: int,
    seed: int,
    failsafe: Sequence[Failsafe] = (),
) -> Plan:
    """Choose at most *limit* probes; the same arguments give the same probes.

    What the failsafe lets pass reaches no rule.
    """
    planner = _Planner(policy, pairs_of(ends), limit, failsafe)
    random.Random(seed).shuffle(planner.pairs)
    planner.find_pairs()
    reached = planner.reach_rules()
    planner.try_beyond(int(limit * _SHARE_OF_RULES))
    planner.try_pairs(random.Random(seed))
    return Plan(tuple(planner.probes), planner.why_not(reached))


@dataclass(slots=True)
class _Planner:
    policy: CompiledPolicy
    pairs: list[tuple[End, End]]
    limit: int
    failsafe: Sequence[Failsafe]
    probes: list[Probe] = field(default_factory=list)
    _seen: set[tuple[int, Protocol, int, int]] = field(default_factory=set)
    _shapes: list[list[RuleShape]] = field(default_factory=list)
    _of_rule: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    _rules_of_pair: list[list[tuple[int, int]]] = field(default_factory=list)
    _untried: set[RuleKey] = field(default_factory=set)
    _reached_by: dict[tuple[int, int], int] = field(default_factory=dict)
    # Sockets that must not meet: what is listened on, and what is sent from.
    _listening: set[tuple[Address, Protocol, int]] = field(default_factory=set)
    _bound: set[tuple[Address, Protocol, int]] = field(default_factory=set)

    def find_pairs(self) -> None:
        """Find for each rule some pairs of hosts whose addresses it names."""
        self._shapes = [rule_shapes(table) for table in self.policy.tables]
        wanting = [(1 << len(shapes)) - 1 for shapes in self._shapes]
        for number, (sender, receiver) in enumerate(self.pairs):
            matching = []
            for index in self._tables(sender, receiver):
                table = self.policy.tables[index]
                family = table.family_v4 if sender.address.version == 4 else table.family_v6
                rules = family.sources.rules(sender.address.value)
                rules &= family.destinations.rules(receiver.address.value)
                matching.append((index, rules))
                for rule in bits_of(rules & wanting[index]):
                    found = self._of_rule.setdefault((index, rule), [])
                    found.append(number)
                    if len(found) == _PAIRS_FOR_A_RULE:
                        wanting[index] ^= 1 << rule
            self._rules_of_pair.append(matching)

    def _tables(self, sender: End, receiver: End) -> tuple[int, ...]:
        packet = Probe(
            sender.host, receiver.host, Service("", Protocol.ICMP), sender.address.version
        ).packet(0)
        links = sender.host.gateway_link, receiver.host.gateway_link
        tables = consulted_tables(self.policy, packet, *links)
        return () if isinstance(tables, Decision) else tables

    def reach_rules(self) -> set[RuleKey]:
        """Add a probe for each rule that some pair reaches; say which were reached."""
        reached: set[RuleKey] = set()
        for (table, rule), numbers in sorted(self._of_rule.items()):
            wanted = self.policy.tables[table]
            if wanted.is_silent(rule):
                continue
            key = rule_key(wanted.decision(rule))
            if key in reached:
                continue
            if len(self.probes) >= self.limit:
                self._untried.add(key)
                continue
            for number, service in self._inside(table, rule, numbers):
                decision = self._decide(number, service)
                keys = {rule_key(consulted) for consulted in decision.consulted}
                if key in keys and self._add(number, service):
                    reached |= keys
                    self._reached_by[table, rule] = number
                    break
        return reached

    def _inside(
        self, table: int, rule: int, numbers: Sequence[int]
    ) -> Iterator[tuple[int, Service]]:
        """What the rule names itself, between one pair after the other."""
        shape = self._shapes[table][rule]
        for number in numbers:
            for protocol in shape.protocols:
                for port in [0] if protocol is Protocol.ICMP else shape.inside():
                    yield (
                        number,
                        service_of(protocol, port, self._source_port(shape, number, protocol)),
                    )

    def _source_port(self, shape: RuleShape, number: int, protocol: Protocol) -> int:
        """A free source port that the rule names, or 0 where it names none."""
        if not shape.has_source_ports or protocol is Protocol.ICMP:
            return 0
        address = self.pairs[number][0].address
        used = self._listening | self._bound
        for first, last in shape.source_ports:
            ports: list[int] = [*range(max(first, 1), min(first + 50, last + 1)), last]
            for port in ports:
                if (address, protocol, port) not in used:
                    return port
        first_port: int = shape.source_ports[0][0]
        return max(first_port, 1)

    def try_beyond(self, limit: int) -> None:
        """Add the other ends of each reached rule's ports, and the ports beyond."""
        for (table, rule), number in self._reached_by.items():
            shape = self._shapes[table][rule]
            for protocol in shape.protocols:
                if protocol is Protocol.ICMP:
                    self._add(number, service_of(protocol, 0), limit)
                    continue
                # A source port can be used once by each address, so others have their turn.
                numbers = [number, *self._of_rule[table, rule]]
                for port in (*shape.inside(), *shape.beyond()):
                    any(
                        self._add(
                            each,
                            service_of(protocol, port, self._source_port(shape, each, protocol)),
                            limit,
                        )
                        for each in (numbers if shape.has_source_ports else numbers[:1])
                    )
                for source in shape.source_beyond():
                    service = service_of(protocol, shape.inside()[0], source)
                    any(self._add(each, service, limit) for each in numbers)

    def try_pairs(self, chooser: random.Random) -> None:
        """Add to all pairs in turn, as long as there is room and something new to ask."""
        asking = {number: self._questions(number, chooser) for number in range(len(self.pairs))}
        while asking and len(self.probes) < self.limit:
            for number in list(asking):
                if not any(self._add(number, service) for service in asking[number]):
                    del asking[number]
                if len(self.probes) >= self.limit:
                    break

    def _questions(self, number: int, chooser: random.Random) -> Iterator[Service]:
        """What rules between the two tell apart, in an order that is drawn."""
        edges: set[tuple[str, int]] = {(protocol.value, port) for protocol, port in _USUAL}
        for failsafe in self.failsafe:
            edges |= {(failsafe.protocol.value, max(each.first, 1)) for each in failsafe.ports}
        for table, rules in self._rules_of_pair[number]:
            matching = list(bits_of(rules))
            if len(matching) > _RULES_OF_A_PAIR:
                matching = chooser.sample(matching, _RULES_OF_A_PAIR)
            for rule in matching:
                shape = self._shapes[table][rule]
                for protocol in shape.protocols:
                    if protocol is not Protocol.ICMP:
                        ports = (*shape.inside(), *shape.beyond())
                        edges |= {(protocol.value, port) for port in ports}
        drawn = sorted(edges)
        chooser.shuffle(drawn)
        for name, port in drawn:
            yield service_of(Protocol(name), port)

    def _probe(self, number: int, service: Service) -> Probe:
        sender, receiver = self.pairs[number]
        return Probe(sender.host, receiver.host, service, sender.address.version)

    def _decide(self, number: int, service: Service) -> Decision:
        probe = self._probe(number, service)
        packet = probe.packet(service.source_port or _ANY_SOURCE_PORT)
        if any(passes_failsafe(failsafe, packet) for failsafe in self.failsafe):
            return UNMANAGED
        links = probe.sender.gateway_link, probe.receiver.gateway_link
        return decide(self.policy, packet, *links)

    def _add(self, number: int, service: Service, limit: int | None = None) -> bool:
        """Add a probe, unless it is there, there is no room, or its sockets would meet others."""
        sender, receiver = self.pairs[number]
        protocol, port, source_port = service.protocol, service.port, service.source_port
        key = (number, protocol, port, source_port)
        limit = self.limit if limit is None else limit
        if key in self._seen or len(self.probes) >= limit:
            return False
        listening = (receiver.address, protocol, port)
        bound = (sender.address, protocol, source_port)
        if listening in self._bound or (source_port and bound in self._listening | self._bound):
            return False
        self._seen.add(key)
        self._listening.add(listening)
        if source_port:
            self._bound.add(bound)
        self.probes.append(self._probe(number, service))
        return True

    def why_not(self, reached: set[RuleKey]) -> dict[RuleKey, str]:
        """Say of each rule that was not reached why."""
        reasons: dict[RuleKey, str] = {}
        for index, table in enumerate(self.policy.tables):
            for rule, shape in enumerate(self._shapes[index]):
                if table.is_silent(rule):
                    continue
                key = rule_key(table.decision(rule))
                if key in reached:
                    continue
                if not shape.protocols:
                    reasons[key] = "only TCP, UDP and ICMP are sent"
                elif key in self._untried:
                    reasons[key] = "there was no probe left for it"
                elif (index, rule) in self._of_rule:
                    reasons[key] = "other rules, or a failsafe, decide what was tried"
                else:
                    reasons.setdefault(key, "no two hosts of the lab have its addresses")
        return reasons


def service_of(protocol: Protocol, port: int, source_port: int = 0) -> Service:
    """A service with a name for reports."""
    name = protocol.value.lower()
    if protocol is not Protocol.ICMP:
        name += f" {port}" if not source_port else f" {port} from {source_port}"
    return Service(name, protocol, port, source_port=source_port)
