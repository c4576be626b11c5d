"""Which denials the rules tell of, and that all others are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from nsgd.model.address import Address
from nsgd.model.packet import TCP, PacketHeader
from nsgd.model.rule import Direction
from nsgd.ruleset import commands, encode
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.ruleset.objects import Chain, DynamicSet, RateLimit, Ruleset, nft_rule
from nsgd.ruleset.replace import replace_ruleset
from nsgd.ruleset.statements import Count, Drop, Goto, Limit, SetMark
from nsgd.ruleset.telling import ALL_DENIALS, RULE_RATE, TOLD_RULES, UNTOLD, Telling
from tests.ruleset.nft_interpreter import Interpreter, Walk
from tests.ruleset.nft_simulator import Table
from tests.ruleset.policies import Daemon, Policy
from tests.ruleset.test_diff import Kernel
from tests.ruleset.test_dispatch import Case, case

SERVER, WORLD = "10.0.0.4", "203.0.113.7"
RULES = 60
OF_RULE, OF_ALL = RULE_RATE[1], ALL_DENIALS.burst
IN, OUT = Direction.INBOUND, Direction.OUTBOUND


def denying(rules: int = RULES, **daemon: Any) -> Policy:
    """A server whose group has so many rules on either side, each of which denies a port."""
    return {
        "daemon": {"engine": "kernel", **daemon},
        "virtualNetworks": [
            {
                "name": "lab",
                "addressSpace": ["10.0.0.0/8"],
                "subnets": [{"name": "one", "addressPrefixes": ["10.0.0.0/24"]}],
            }
        ],
        "networkInterfaces": [
            {
                "name": "server",
                "subnet": "lab/one",
                "privateIPAddresses": [SERVER],
                "networkSecurityGroup": "web",
            }
        ],
        "networkSecurityGroups": [
            {
                "name": "web",
                "securityRules": [
                    {
                        "name": f"{direction[:3]}{number}",
                        "priority": 100 + number,
                        "direction": direction,
                        "access": "Deny",
                        "protocol": "Tcp",
                        "sourceAddressPrefix": "*",
                        "sourcePortRange": "*",
                        "destinationAddressPrefix": "*",
                        "destinationPortRange": str(1000 + number),
                    }
                    for direction in ("Inbound", "Outbound")
                    for number in range(rules)
                ],
            }
        ],
    }


class Denied:
    """What is told of packets that all come at once."""

    def __init__(self, made: Case, ruleset: Ruleset | None = None) -> None:
        self._made = made
        self._interpreter = Interpreter(ruleset or made.ruleset, is_limited=True)
        self.told: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self._rules = {
            (direction, number): rule
            for direction, known in made.numbers.by_direction.items()
            for (_, rule, _), number in known.items()
        }

    def send(self, *rules: int, direction: Direction = IN) -> None:
        """A packet for each of these rules."""
        for rule in rules:
            source, destination = (Address.parse(text).value for text in (WORLD, SERVER))
            if direction is OUT:
                source, destination = destination, source
            header = PacketHeader(4, TCP, source, destination, 4711, 1000 + rule, False)
            walk = Walk(header, "eth9", "eth9")
            assert self._interpreter.run(walk) == "drop"
            self.counted += walk.counted
            assert len(walk.logged_marks) + walk.counted[UNTOLD] == 1
            for mark in walk.logged_marks:
                outbound, inbound = self._made.layout.numbers(mark)
                number = inbound if direction is IN else outbound
                self.told[self._rules[direction, number].rpartition("/")[2]] += 1


def test_a_rule_s_share() -> None:
    """So many at once are told; each packet of it is counted all the same."""
    denied = Denied(case(denying()))
    denied.send(*[7] * 50)
    assert denied.told == {"Inb7": OF_RULE}
    assert denied.counted[UNTOLD] == 50 - OF_RULE
    assert denied.counted["deny/web/in/Inb7"] == 50
    assert denied.counted["nic/server/in/deny"] == 50


def test_a_noisy_rule_takes_no_more_than_its_share_of_all() -> None:
    """Its own limit comes first: of what all may have it takes that and no more."""
    denied = Denied(case(denying()))
    denied.send(*[0] * 10 * OF_ALL)
    denied.send(*range(RULES))
    denied.send(*range(RULES), direction=OUT)
    assert denied.told["Inb0"] == OF_RULE
    assert [denied.told[f"Inb{rule}"] for rule in range(1, RULES)] == [1] * (RULES - 1)
    assert [denied.told[f"Out{rule}"] for rule in range(RULES)] == [1] * RULES


def test_many_rules_that_deny_at_once() -> None:
    """All that may be told is, alike of each; the rest is counted."""
    denied = Denied(case(denying()))
    turns = 2 * OF_RULE
    for _ in range(turns):
        denied.send(*range(RULES))
    assert denied.told.total() == OF_ALL
    # Those whose turn was last have one less.
    assert set(denied.told.values()) == {OF_ALL // RULES, OF_ALL // RULES + 1}
    assert len(denied.told) == RULES
    assert denied.counted[UNTOLD] == turns * RULES - OF_ALL


def test_directions_have_nothing_in_common() -> None:
    """Rules of the two may have the same number."""
    made = case(denying())
    inbound, outbound = (set(made.numbers.by_direction[each].values()) for each in (IN, OUT))
    assert inbound & outbound
    denied = Denied(made)
    for rule in range(8):
        denied.send(*[rule] * 30)
        denied.send(*[rule] * 30, direction=OUT)
    assert set(denied.told.values()) == {OF_RULE}
    assert len(denied.told) == 16


def test_a_set_that_is_full() -> None:
    """Rules that have no place in it are not told; none of their denials goes uncounted."""
    made = case(denying())
    small = tuple(
        replace(each, room=2) if isinstance(each, DynamicSet) and is_of_rules(each.name) else each
        for each in made.ruleset.sets
    )
    denied = Denied(made, replace(made.ruleset, sets=small))
    for _ in range(5):
        denied.send(3, 1, 4)
    assert denied.told == {"Inb3": 5, "Inb1": 5}
    assert denied.counted[UNTOLD] == 5


@pytest.mark.parametrize("mask", [0x00FFFFFF, 0xFFFFFFFF, 0xFFFEFFFD, 0x7F7F7F7F])
def test_every_number_has_a_place(mask: int) -> None:
    """However many rules deny, as many as marks can number, the set is not full."""
    layout = MarkLayout(mask)
    (rates,) = Telling(layout, 5).sets()
    keys = {layout.outbound(number) for number in range(FIRST_RULE_NUMBER, layout.capacity)}
    keys |= {layout.inbound(number) for number in range(FIRST_RULE_NUMBER, layout.capacity)}
    assert len(keys) == 2 * (layout.capacity - FIRST_RULE_NUMBER) <= rates.room


def test_as_nft_has_it() -> None:
    """The share of the rule, that of all, and the log; then what counts the others."""
    chains = {chain.name: chain for chain in Telling(MarkLayout(0x00FFFFFF), 5).chains()}
    assert [[rule.text() for rule in chain.rules] for chain in chains.values()] == [
        [
            f"update @told_rules {{ meta mark & {half} limit rate 10/second burst 20 packets }}"
            ' limit name "told" log group 5 snaplen 128 return',
            'counter name "untold"',
        ]
        for half in ("0x00000fff", "0x00fff000")
    ]
    assert list(chains) == ["tell_out", "tell_in"]


@pytest.mark.parametrize("mode", ["enforce", "audit"])
@pytest.mark.parametrize("roles", [["gateway"], ["host"]])
def test_a_denying_rule_is_one_rule(mode: str, roles: list[str]) -> None:
    """In each mode and role: nothing of the telling is there for each of them."""
    ruleset = case(denying(mode=mode, roles=roles)).ruleset.whole()
    follows = {
        statement.counter: tuple(type(each) for each in rule.statements[place:])
        for chain in ruleset.chains
        for rule in chain.rules
        for place, statement in enumerate(rule.statements)
        if isinstance(statement, Count) and statement.counter.startswith("deny/")
    }
    assert len(follows) > 2 * RULES
    assert set(follows.values()) == {(Count, SetMark, Goto)}
    assert [limit.name for limit in ruleset.limits if limit.name.startswith("told")] == ["told"]
    for name in ("denied_in", "denied_out"):
        (chain,) = (each for each in ruleset.chains if each.name == name)
        assert chain.rules[0].text() == f"jump tell_{name.removeprefix('denied_')}"


def test_a_reload_keeps_what_rules_have_told() -> None:
    """Rules come and go, the set stays; another log group is other rules and the same set."""
    daemon, kernel = Daemon(), Kernel()

    def change(policy: Policy) -> tuple[str, ...]:
        kernel.change(daemon.load(policy))
        return tuple(name for name in kernel.table.sets if is_of_rules(name))

    def telling() -> list[str]:
        return [str(kernel.table.content()["chains"]["tell_in"])]  # type: ignore[index]

    first = change(denying())
    assert len(first) == 1
    before = telling()
    assert change(denying(20)) == first
    assert change(denying(30, mode="audit")) == first
    assert telling() == before
    assert change(denying(30, mode="audit", queueNumber=77)) == first
    assert telling() != before
    assert change(denying(30, engine="queue")) == ()
    assert len(change(denying(30))) == 1


def old_table(rules: Iterable[str]) -> Iterator[commands.Message]:
    """What an earlier version has written: a limit for each denying rule, and one of all."""
    yield encode.new_chain("denied_in")
    yield from map(encode.new_counter, (UNTOLD, *rules))
    yield encode.new_limit(ALL_DENIALS)
    for name in rules:
        limit = RateLimit(f"told/{name}", *RULE_RATE)
        yield encode.new_limit(limit)
        yield encode.new_chain(name)
        told = nft_rule(Count(name), Limit(limit.name), Limit(ALL_DENIALS.name), Drop())
        yield from encode.rules_of(Chain(name, (told, nft_rule(Count(UNTOLD)))), count(1))


def test_from_a_table_with_a_limit_for_each_rule() -> None:
    """After an upgrade: the limits go, the one of all and every counter stay."""
    old = tuple(f"deny/web/in/{name}" for name in ("DenyAllInBound", "Gone"))
    table = Table()
    table.commit(old_table(old))
    change = replace_ruleset(case(denying()).ruleset, table.present(), 6)
    for messages in (change.prepare, change.switch, change.clean):
        table.commit(messages)
    limits = {name for name in table.present().limits if name.startswith("told")}
    assert limits == {ALL_DENIALS.name}
    assert table.counters() >= {UNTOLD, *old}
    assert old[1] not in table.chains


def is_of_rules(set_name: str) -> bool:
    """Tell the set of rules' shares by its name in the kernel."""
    return set_name.partition(".")[0] == TOLD_RULES
