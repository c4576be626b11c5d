"""One rule of large documents changed, in each way that costs a reload something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nsgd.bench.scale_documents import RULES, Document

Rule = dict[str, Any]
Rules = list[Rule]  # of the group that is changed

_PERIOD = 8  # rules so far apart are of one direction and name their ends in the same way
MOST_TURNS = RULES // _PERIOD


class Change(NamedTuple):
    """One way to change a rule; *make* changes the rules in place, each turn otherwise."""

    key: str
    heading: str
    meaning: str
    make: Callable[[Rules, int], None]


def change_rule(documents: Mapping[str, Document], change: Change, turn: int) -> str:
    """Change one rule of one file; the file's name without its suffix.

    Every turn makes what was not there before: else a daemon could answer from what it has kept.

    Args:
        documents: What scale_documents made; changed in place.
        change: Of CHANGES; each may have any turns, in any order.
        turn: From 0, below MOST_TURNS, and never twice for the same change.
    """
    if not 0 <= turn < MOST_TURNS:
        raise ValueError(f"turn {turn}: there are {MOST_TURNS}")
    name = max(documents)
    groups = documents[name]["networkSecurityGroups"]
    change.make(groups[len(groups) // 2]["securityRules"], turn)
    return name


def turns_of_round(number: int, count: int) -> list[int]:
    """So many turns for a round from 1 on: other ones than those of the round before."""
    return [turn % MOST_TURNS for turn in range((number - 1) * count, number * count)]


# Each change has rules of its own, so that none depends on what another has done. Ports below 1024
# but 443, ports from 62000 on and prefixes from 10.200.0.0 on are in no rule of scale_documents.


def _named(rules: Rules, index: int) -> Rule:
    """By its name: its place in the list may have changed."""
    return next(rule for rule in rules if rule["name"] == f"Rule{index:03}")


def _one_of(rules: Rules, remainder: int, turn: int) -> Rule:
    """Another one each turn, from the 41st on and round; of 32 to 39 none."""
    return _named(rules, (5 + turn) % (MOST_TURNS + 1) * _PERIOD + remainder)


def _source_ports(rules: Rules, turn: int) -> None:
    _named(rules, 50)["sourcePortRange"] = f"{turn + 1}-65535"


def _destination_port(rules: Rules, turn: int) -> None:
    _named(rules, 58)["destinationPortRange"] = str(20 + turn)


def _destination_ports(rules: Rules, turn: int) -> None:
    first = 62_000 + 40 * turn
    _named(rules, 42)["destinationPortRanges"] = [f"{first}-{first + 20}", str(40 + turn)]


def _address(rules: Rules, turn: int) -> None:
    _named(rules, 32)["sourceAddressPrefix"] = f"10.250.{turn}.0/24"


def _addresses(rules: Rules, turn: int) -> None:
    prefixes = [f"10.251.{turn}.0/24", f"10.252.{turn}.64/26"]
    _named(rules, 66)["sourceAddressPrefixes"] = prefixes


def _access(rules: Rules, turn: int) -> None:
    rule = _one_of(rules, 1, turn)
    rule["access"] = {"Allow": "Deny", "Deny": "Allow"}[rule["access"]]


def _priority(rules: Rules, turn: int) -> None:
    # The next one of its direction is 20 away.
    _named(rules, 26)["priority"] = 100 + 10 * 26 + 1 + turn


def _protocol(rules: Rules, turn: int) -> None:
    rule = _one_of(rules, 3, turn)
    rule["protocol"] = {"Tcp": "Udp", "Udp": "*", "*": "Tcp"}[rule["protocol"]]


def _added(rules: Rules, turn: int) -> None:
    like = _named(rules, 82)
    new = {"name": f"New{turn:03}", "priority": like["priority"] - 1 - turn}
    rules.insert(rules.index(like), {**like, **new, "destinationPortRange": str(60 + turn)})


def _removed(rules: Rules, turn: int) -> None:
    rules.remove(_one_of(rules, 0, turn))


CHANGES = (
    Change("sourcePorts", "source ports", "its range of source ports is another", _source_ports),
    Change(
        "destinationPort",
        "destination port",
        "its one destination port is one that no rule named before",
        _destination_port,
    ),
    Change(
        "destinationPorts",
        "destination ports",
        "its list of them is a range and a port that no rule named before",
        _destination_ports,
    ),
    Change("address", "address", "its one prefix is one that no rule named before", _address),
    Change(
        "addresses",
        "addresses",
        "its list of prefixes is two that no rule named before",
        _addresses,
    ),
    Change("access", "access", "another rule each time, from Allow to Deny or back", _access),
    Change("priority", "priority", "it is another, and the order is the same", _priority),
    Change("protocol", "protocol", "another rule each time, of another protocol", _protocol),
    Change("added", "rule added", "a rule more, with a port that no rule named before", _added),
    Change("removed", "rule removed", "a rule less", _removed),
)


def changes_of_turn(turn: int) -> tuple[Change, ...]:
    """All of CHANGES, each turn with another one first.

    The first change after a start costs more than the same later: by turns, medians are without it.
    """
    first = turn % len(CHANGES)
    return CHANGES[first:] + CHANGES[:first]
