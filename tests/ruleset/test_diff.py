"""Every change of the table: what each of its three transactions may do, and what comes of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from nsgd.ruleset import commands, encode, encode_sets
from nsgd.ruleset.carry import is_counting, is_of_denials
from nsgd.ruleset.commands import Message
from nsgd.ruleset.diff import Change, change_ruleset
from nsgd.ruleset.gateway import fail_closed_ruleset
from nsgd.ruleset.names import is_interface_count
from nsgd.ruleset.objects import Ruleset
from nsgd.ruleset.physical import next_epoch
from nsgd.ruleset.replace import replace_ruleset
from nsgd.ruleset.written import Present, Written
from tests.ruleset.nft_simulator import (
    INTERVAL,
    Refused,
    RuleModel,
    SetModel,
    Table,
    chain_of,
    changed_set,
)
from tests.ruleset.policies import Daemon, Policy, changed, random_policy, worst_policy

_PREPARES = {
    commands.NEWTABLE,
    commands.NEWCHAIN,
    commands.NEWOBJ,
    commands.NEWSET,
    commands.NEWSETELEM,
    commands.NEWRULE,
}
_SWITCHES = {
    commands.NEWCHAIN,
    commands.NEWRULE,
    commands.DELRULE,
    commands.NEWSETELEM,
    commands.DELSETELEM,
}
_CLEANS = {commands.DELRULE, commands.DELSET, commands.DELCHAIN, commands.DELOBJ}


class Kernel:
    """A table and what was last written to it, as nsgd.kernel.table keeps it."""

    def __init__(self) -> None:
        self.table = Table()
        self._written: Written | None = None
        self.by_deleting = 0  # changes that need no more than that to switch

    def change(self, desired: Ruleset) -> int:
        """All three transactions, each checked; how many messages they had."""
        change = self.planned(desired)
        at_once = deepcopy(self.table) if change.is_at_once else None
        number = self.prepare(change)
        by_deleting = deepcopy(self.table) if change.refilled else None
        number += self.switch(change)
        if by_deleting is not None:
            switch_by_deleting(by_deleting, change)
            assert by_deleting.content() == self.table.content()
            self.by_deleting += 1
        if at_once is not None:
            at_once.commit([*change.prepare, *change.switch])
            assert at_once.content() == self.table.content()
        number += self.clean(change)
        self._written = change.written
        self.is_as_if_written_from_scratch(desired)
        return number

    def planned(self, desired: Ruleset) -> Change:
        """What nsgd.kernel.table would send."""
        if self._written is None:
            return replace_ruleset(desired, self.table.present(), 6)
        return change_ruleset(self._written, desired)

    def forget(self) -> None:
        """As after a failure, or in another process."""
        self._written = None

    def prepare(self, change: Change) -> int:
        """Nothing that is there is changed."""
        before = self.table.content()
        messages = list(change.prepare)
        assert {command for command, _, _ in messages} <= _PREPARES
        there = set(self.table.chains)
        assert not there & {chain_of(message) for message in messages}
        known = {id(each) for each in self._sets()}
        number = self.table.commit(messages)
        if change.is_at_once:
            assert not any(e.flags & INTERVAL for e in self._sets() if id(e) not in known)
        after = self.table.content()
        for kind in ("chains", "sets", "limits"):
            assert _of(before, kind).items() <= _of(after, kind).items()
        return number

    def switch(self, change: Change) -> int:
        """Rules and single elements change; no set comes, goes, or has intervals."""
        messages = list(change.switch)
        assert {command for command, _, _ in messages} <= _SWITCHES
        for message in messages:
            name = changed_set(message)
            if name is not None:
                assert not self.table.sets[name].flags & INTERVAL
        own = set(self.table.anonymous)
        number = self.table.commit(messages)
        assert set(self.table.anonymous) <= own
        return number

    def clean(self, change: Change) -> int:
        """What goes is what nothing can reach: the rest stays as it is."""
        messages = list(change.clean)
        assert {command for command, _, _ in messages} <= _CLEANS
        before = self.table.content()
        counters = self.table.counters()
        reached = self._reached()
        number = self.table.commit(messages)
        after = self.table.content()
        for kind in ("chains", "sets", "limits"):
            assert _of(after, kind).items() <= _of(before, kind).items()
        assert reached <= set(self.table.chains)
        assert self.table.counters() == counters
        return number

    def is_as_if_written_from_scratch(self, desired: Ruleset) -> None:
        """The same content, and all its counters; of interfaces there are none."""
        scratch = Table()
        change = replace_ruleset(desired, Present(), 6)
        for messages in (change.prepare, change.switch, change.clean):
            scratch.commit(messages)
        assert self.table.content() == scratch.content()
        assert scratch.counters() <= self.table.counters()
        assert not any(map(is_interface_count, self.table.counters()))

    def _sets(self) -> list[SetModel]:
        return [*self.table.sets.values(), *self.table.anonymous.values()]

    def _reached(self) -> set[str]:
        reached: set[str] = set()
        waiting = [name for name, chain in self.table.chains.items() if chain.is_base]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += self.table.targets(name)
        return reached


def switch_by_deleting(table: Table, change: Change) -> None:
    """The other way to change over: no packet meets what comes behind the old rules."""
    before = {name: list(table.chains[name].rules) for name in change.refilled}
    assert {command for command, _, _ in change.behind} <= {commands.NEWRULE}
    table.commit(change.behind)
    for name, rules in before.items():
        assert table.chains[name].rules[: len(rules)] == rules
        assert is_way_out(rules[-1])
    handles = {name: [rule.handle for rule in rules] for name, rules in before.items()}
    table.commit(encode.delete_rules(handles))


def is_way_out(rule: RuleModel) -> bool:
    """Tell whether each packet leaves the chain by this rule."""
    does = ("objref", "meta", "bitwise", "immediate")
    names = [part[0] if isinstance(part, tuple) else "lookup" for part in rule.parts]
    return names[-1] == "immediate" and all(name in does for name in names)


def _of(content: dict[str, object], kind: str) -> dict[str, Any]:
    found = content[kind]
    assert isinstance(found, dict)
    return {name: repr(each) for name, each in found.items()}


@pytest.mark.parametrize("seed", range(10))
def test_sequences_of_policies(seed: int) -> None:
    """Small changes, other policies, restarts; each result is that of a table from scratch."""
    kernel, daemon = Kernel(), Daemon()
    epoch = "a"
    policy = random_policy(seed)
    for step in range(9):
        if step % 4 == 3:
            policy = random_policy(1000 + 10 * seed + step)
        elif step:
            policy = changed(policy, 10 * seed + step)
        if step in (5, 8):
            # Another process takes over, which knows the numbers only.
            kernel.forget()
            daemon = Daemon(daemon.numbers)
            epoch = next_epoch(kernel.table.present().sets)
        kernel.change(daemon.load(policy, epoch, adopting=step == 0))


def test_where_only_rules_change_over_the_old_ones_are_deleted() -> None:
    """Not where elements of maps do, nor where a chain has an end that packets come to."""
    kernel, daemon = Kernel(), Daemon()
    ports = [f"{1000 + 20 * number}-{1010 + 20 * number}" for number in range(40)]

    def policy(ports: list[str], addresses: list[str]) -> Policy:
        rules = [
            {
                "name": f"Rule{number}",
                "priority": 100 + number,
                "direction": "Inbound",
                "access": "Allow",
                "protocol": "Tcp",
                "sourceAddressPrefix": f"172.16.{number}.0/24",
                "sourcePortRange": "*",
                "destinationAddressPrefix": "*",
                "destinationPortRange": each,
            }
            for number, each in enumerate(ports)
        ]
        network = {"name": "lab", "addressSpace": ["10.0.0.0/16"]}
        subnet = {"name": "one", "addressPrefixes": ["10.0.0.0/24"], "networkSecurityGroup": "web"}
        return {
            "daemon": {"engine": "kernel"},
            "virtualNetworks": [{**network, "subnets": [subnet]}],
            "networkSecurityGroups": [{"name": "web", "securityRules": rules}],
            "networkInterfaces": [
                {"name": f"nic{number}", "subnet": "lab/one", "privateIPAddresses": [each]}
                for number, each in enumerate(addresses)
            ],
        }

    kernel.change(daemon.load(policy(ports, ["10.0.0.4"])))
    kernel.change(daemon.load(policy(["7000-7010", *ports[1:]], ["10.0.0.4"])))
    assert kernel.by_deleting == 1
    kernel.change(daemon.load(policy(["7000-7010", *ports[1:]], ["10.0.0.4", "10.0.0.5"])))
    kernel.change(daemon.load(policy(["7100-7110", *ports[1:]], ["10.0.0.5"])))
    assert kernel.by_deleting == 1


@pytest.mark.parametrize("seed", range(6))
def test_nothing_to_change_is_no_message(seed: int) -> None:
    """Also where the same policy is loaded anew."""
    kernel, daemon = Kernel(), Daemon()
    policy = random_policy(seed) | {"daemon": {"engine": "kernel"}}
    desired = daemon.load(policy)
    assert kernel.change(desired) > 0
    assert kernel.change(desired) == 0
    assert kernel.change(daemon.load(policy)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_failure_between_transactions_leaves_no_garbage(seed: int) -> None:
    """What was prepared and not used, or used and not cleaned up, goes with the next change."""
    kernel, daemon = Kernel(), Daemon()
    first = random_policy(seed)
    kernel.change(daemon.load(first))
    before = kernel.table.content()
    # The kernel refuses the switch: the old policy stays in force, what was put beside it as well.
    second = changed(changed(first, seed), seed + 1)
    kernel.prepare(kernel.planned(daemon.load(second)))
    for name, chain in _of(before, "chains").items():
        assert _of(kernel.table.content(), "chains")[name] == chain
    kernel.forget()
    # The daemon is killed before it cleans up.
    change = kernel.planned(daemon.load(second, next_epoch(kernel.table.present().sets)))
    kernel.prepare(change)
    kernel.switch(change)
    daemon = Daemon(daemon.numbers)
    epoch = next_epoch(kernel.table.present().sets)
    assert epoch == "c"
    kernel.change(daemon.load(first, epoch))
    kernel.change(daemon.load(second, epoch))


def test_engines_take_turns() -> None:
    """The queue engine's table holds nothing of the kernel engine's, but counters of rules."""
    kernel, daemon = Kernel(), Daemon()
    policy = worst_policy(rules=12)
    for engine in ("queue", "kernel", "queue", "kernel"):
        policy = policy | {"daemon": {"engine": engine}}
        kernel.change(daemon.load(policy))
        is_kernel = engine == "kernel"
        assert any(name.startswith("nsg/") for name in kernel.table.chains) is is_kernel
        assert any(map(is_counting, kernel.table.sets)) is is_kernel


def test_after_a_boot_without_policy() -> None:
    """What dropped everything gives way to a policy."""
    kernel = Kernel()
    kernel.change(fail_closed_ruleset(epoch="b"))
    kernel.forget()
    kernel.change(Daemon().load(random_policy(1)))


def test_a_change_of_one_group_touches_no_other() -> None:
    """Messages name chains of the changed group only, and the maps of addresses not at all."""
    kernel, daemon = Kernel(), Daemon()
    policy: Policy = {
        "virtualNetworks": [
            {
                "name": "lab",
                "addressSpace": ["10.0.0.0/16"],
                "subnets": [
                    {
                        "name": name,
                        "addressPrefixes": [f"10.0.{number}.0/24"],
                        "networkSecurityGroup": name,
                    }
                    for number, name in enumerate(("one", "two"))
                ],
            }
        ],
        "networkSecurityGroups": [
            {"name": "one", "securityRules": []},
            {"name": "two", "securityRules": []},
        ],
        "daemon": {"engine": "kernel"},
    }
    kernel.change(daemon.load(policy))
    rule = {
        "name": "New",
        "priority": 100,
        "direction": "Inbound",
        "access": "Deny",
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "destinationPortRange": "80",
        "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "*",
    }
    policy["networkSecurityGroups"][0]["securityRules"] = [rule]
    change = kernel.planned(daemon.load(policy))
    messages: list[Message] = [*change.prepare, *change.switch, *change.clean]
    named = {chain_of(message) for message in messages} - {None}
    assert named
    assert all(name and name.split("/")[1] == "one" for name in named), named
    assert not any(changed_set(message) for message in messages)


def test_an_ip_version_that_nobody_has() -> None:
    """No table has chains of it, until somebody has an address or is known by a link."""
    kernel, daemon = Kernel(), Daemon()
    subnet: Policy = {
        "name": "one",
        "addressPrefixes": ["10.0.1.0/24"],
        "networkSecurityGroup": "one",
    }
    interface: Policy = {"name": "nic", "subnet": "lab/one", "privateIPAddresses": ["10.0.1.4"]}
    policy: Policy = {
        "virtualNetworks": [{"name": "lab", "addressSpace": ["10.0.0.0/16"], "subnets": [subnet]}],
        "networkInterfaces": [interface],
        "networkSecurityGroups": [{"name": "one", "securityRules": []}],
        "daemon": {"engine": "kernel"},
    }

    def versions() -> set[str]:
        ruleset = daemon.load(policy)
        kernel.change(ruleset)
        roots = {"nsg/one/in4", "nsg/one/in6"}
        return {chain.name[-1] for chain in ruleset.whole().chains if chain.name in roots}

    assert versions() == {"4"}
    interface["link"] = "eth1"
    assert versions() == {"4", "6"}
    del interface["link"]
    assert versions() == {"4"}
    policy["virtualNetworks"][0]["addressSpace"].append("fd00::/48")
    subnet["addressPrefixes"].append("fd00::/64")
    assert versions() == {"4", "6"}


def test_other_values_in_a_list_are_new_rules_in_its_chain() -> None:
    """What leads to the list stays, and all is one transaction: nothing new has intervals."""
    kernel, daemon = Kernel(), Daemon()

    def policy(third: int, ports: str) -> Policy:
        rules = [
            {
                "name": f"Rule{number}",
                "priority": 100 + number,
                "direction": "Inbound",
                "access": "Deny",
                "protocol": "Tcp",
                "sourcePortRange": "*",
                "destinationPortRange": ports if number == 30 else f"{1000 + 10 * number}",
                "sourceAddressPrefix": f"192.0.{third if number == 30 else number}.0/24",
                "destinationAddressPrefix": "*",
            }
            for number in range(40)
        ]
        subnet = {
            "name": "one",
            "addressPrefixes": ["10.0.1.0/24"],
            "networkSecurityGroup": "web",
        }
        return {
            "virtualNetworks": [
                {"name": "lab", "addressSpace": ["10.0.0.0/16"], "subnets": [subnet]}
            ],
            "networkSecurityGroups": [{"name": "web", "securityRules": rules}],
            "daemon": {"engine": "kernel"},
        }

    kernel.change(daemon.load(policy(30, "1300")))
    chains = set(kernel.table.chains)
    for ports in ("1301", "1302-1310", "1300"):
        desired = daemon.load(policy(30, ports))
        change = kernel.planned(desired)
        assert change.is_at_once
        assert {command for command, _, _ in change.prepare} <= {commands.NEWOBJ}
        named = {chain_of(message) for message in change.switch}
        assert len(named) == 1
        assert named < chains
        kernel.change(desired)
        assert set(kernel.table.chains) == chains
    # Another prefix is another class of what is asked before the list: a map of intervals.
    desired = daemon.load(policy(130, "1300"))
    assert not kernel.planned(desired).is_at_once
    kernel.change(desired)


def test_maps_have_room_for_what_comes() -> None:
    """Also where every address is another one, and where there are many more or fewer."""
    kernel, daemon = Kernel(), Daemon()
    for first, number in ((4, 3), (4, 127), (2000, 127), (4, 128), (3000, 255), (4, 700), (900, 9)):
        policy: Policy = {
            "virtualNetworks": [
                {
                    "name": "lab",
                    "addressSpace": ["10.0.0.0/16"],
                    "subnets": [
                        {
                            "name": "one",
                            "addressPrefixes": ["10.0.0.0/17"],
                            "networkSecurityGroup": "web",
                        }
                    ],
                }
            ],
            "networkInterfaces": [
                {
                    "name": f"nic{at}",
                    "subnet": "lab/one",
                    "privateIPAddresses": [f"10.0.{at // 200}.{at % 200 + 4}"],
                }
                for at in range(first, first + number)
            ],
            "networkSecurityGroups": [{"name": "web", "securityRules": []}],
            "daemon": {"engine": "kernel"},
        }
        kernel.change(daemon.load(policy))
        counting = [each for name, each in kernel.table.sets.items() if is_of_denials(name)]
        assert sum(len(each.elements) for each in counting) == 2 * number


def test_the_simulator_refuses() -> None:
    """The model itself: each of these the kernel refuses too."""
    desired = Daemon().load(random_policy(3) | {"daemon": {"engine": "kernel"}})

    def filled() -> tuple[Table, list[Message]]:
        table = Table()
        change = replace_ruleset(desired, Present(), 6)
        table.commit(change.prepare)
        switch = list(change.switch)
        table.commit(switch)
        return table, switch

    table, switch = filled()
    bases = [m for m in switch if m[0] == commands.NEWCHAIN]
    rules = [m for m in switch if m[0] == commands.NEWRULE]
    used = next(name for name, each in table.sets.items() if each.flags & INTERVAL)
    chain = next(name for name in table.chains if name.startswith(("from", "nsg")))
    with pytest.raises(Refused, match=r"no (chain|set)"):
        Table().commit([*bases, *rules])
    for message, complaint in (
        (encode.delete_chain("hook_forward"), "base chain"),
        (encode.delete_chain(chain), "has rules"),
        (encode.delete_chain("missing"), "no chain"),
        (encode_sets.delete_set("missing"), "no set"),
        (encode.delete_object("missing", commands.OBJECT_LIMIT), "no object"),
        (encode.delete_object("queued", commands.OBJECT_COUNTER), "uses it"),
    ):
        with pytest.raises(Refused, match=complaint):
            filled()[0].commit([message])
    with pytest.raises(Refused, match="referred to"):
        table.commit([encode.empty_chain(chain), encode.delete_chain(chain)])
    asked = [name for name in table.sets if name.startswith("managed4")]
    with pytest.raises(Refused, match="asks it"):
        table.commit([encode_sets.delete_set(asked[0])])
    assert used
