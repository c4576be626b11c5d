"""Idle timeouts of virtual networks as rules: who gets which, and that none is ever deleted."""

from __future__ import annotations

from collections.abc import Iterable

from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.settings import DaemonSettings
from nsgd.ruleset import commands
from nsgd.ruleset.diff import change_ruleset
from nsgd.ruleset.gateway import gateway_ruleset
from nsgd.ruleset.objects import Ruleset
from nsgd.ruleset.queues import QueueRule
from nsgd.ruleset.replace import replace_ruleset
from nsgd.ruleset.written import Present
from nsgd.wire.netlink import split_attributes
from tests.models import prefixes


def ruleset(*minutes: int | None) -> Ruleset:
    """Of networks that ask for so many minutes."""
    networks = tuple(
        VirtualNetwork(
            f"v{index}",
            prefixes(f"10.{index}.0.0/16", f"fd00:{index}::/32"),
            flow_timeout_minutes=each,
        )
        for index, each in enumerate(minutes, 1)
    )
    model = NetworkModel(virtual_networks=networks)
    return gateway_ruleset(model, DaemonSettings(), QueueRule(1, True))


def chain(made: Ruleset, name: str) -> list[str]:
    """The rules of a chain."""
    return [rule.text() for each in made.chains if each.name == name for rule in each.rules]


def objects(messages: Iterable[commands.Message]) -> list[tuple[int, bytes]]:
    """What is made and deleted of named objects of timeouts."""
    return [
        (command, split_attributes(body)[2].rstrip(b"\0"))
        for command, _, body in messages
        if command in (commands.NEWOBJ, commands.DELOBJ)
        and int.from_bytes(split_attributes(body)[3]) == 7
    ]


def test_the_shorter_time_is_asked_first() -> None:
    """Between two networks it holds; networks without one are in no set."""
    made = ruleset(30, None, 4)
    rules = chain(made, "idle_timeout")
    assert [rule.rpartition(" ")[2] for rule in rules] == ["idle_timeout/4"] * 4 + [
        "idle_timeout/30"
    ] * 4
    assert chain(made, "idle_timeout/30") == [
        'meta l4proto 6 ct timeout set "idle/tcp/1800"',
        'meta l4proto 17 ct timeout set "idle/udp/1800"',
    ]
    assert "ct state new jump idle_timeout" in chain(made, "managed")
    names = {each.name.partition(".")[0] for each in made.sets}
    assert {name for name in names if name.startswith("idle")} == {
        "idle_4_4",
        "idle_4_6",
        "idle_30_4",
        "idle_30_6",
    }
    assert "\tct timeout idle/udp/240 {\n\t\tprotocol udp\n" in made.text()


def test_without_them_nothing_is_there() -> None:
    """Nor does a packet pay for what nobody asks for."""
    made = ruleset(None)
    assert made.timeouts == ()
    assert not any("idle" in each.name for each in (*made.chains, *made.sets))
    assert not any("idle" in rule for rule in chain(made, "managed"))


def test_a_timeout_is_made_once_and_never_deleted() -> None:
    """Flows of one that is deleted would get the kernel's."""
    first = replace_ruleset(ruleset(10), Present(), 6)
    everything = [*first.prepare, *first.switch, *first.clean]
    tcp, udp = (commands.NEWOBJ, b"idle/tcp/600"), (commands.NEWOBJ, b"idle/udp/600")
    assert objects(everything) == [tcp, udp]
    change = change_ruleset(first.written, ruleset(10, 4))
    messages = [*change.prepare, *change.switch, *change.clean]
    assert objects(messages) == [
        (commands.NEWOBJ, b"idle/tcp/240"),
        (commands.NEWOBJ, b"idle/udp/240"),
    ]
    gone = change_ruleset(change.written, ruleset(None))
    assert objects([*gone.prepare, *gone.switch, *gone.clean]) == []
    # Asked for again, it is there or it is not: the same message does for both.
    again = change_ruleset(gone.written, ruleset(10))
    assert objects([*again.prepare, *again.switch, *again.clean]) == [tcp, udp]
