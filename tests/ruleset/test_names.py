"""Names in the table: legal for nft and the kernel, and never one for two things."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.model.address import IP_VERSIONS
from nsgd.model.decision import TableDecision
from nsgd.model.rule import Access, Direction
from nsgd.policy.effective import UNSUPPORTED_PROTOCOL, RuleKind
from nsgd.policy.table import CompiledTable, compile_table
from nsgd.ruleset.names import (
    interface_counter,
    node_chain,
    root_chain,
    rule_name,
    rule_names,
    table_labels,
)
from nsgd.ruleset.objects import AddressRangeSet
from nsgd.ruleset.physical import content_digest, next_epoch
from tests.policy.test_table import LAST, effective
from tests.ruleset.policies import Daemon, load, random_policy, worst_policy

# nft's scanner: a name begins with a letter, and what is not in it needs quotes, which names of
# chains and sets cannot have.
LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9/_.-]*")
MOST_BYTES = 255

ALLOW, DENY = Access.ALLOW, Access.DENY
IN, OUT = Direction.INBOUND, Direction.OUTBOUND
DIGEST = content_digest((), "a")

# Names of resources as documents can have them: RESOURCE, or RESOURCE-GROUP/RESOURCE.
PLAIN = st.from_regex(r"[aA0](?:[aA0_.-]{0,6}[aA0_])?", fullmatch=True)
GROUP = st.text("aA0_.()-28", min_size=1, max_size=9)
HOSTILE = st.sampled_from(
    (
        "in",
        "out",
        "in4",
        "admin.rules",
        "platform.rules",
        "securityAdminRules",
        "platformRules",
        "a._28_.b",
        "a._5f_.28_.b",
        "in.2",
        "in.24",
        "x" * 80,
        "x" * 79 + "y",
    )
)
HOSTILE_GROUPS = st.sampled_from(("in", "out", "-", "(", "._28_.", "(_28_.", "._28_(", "(" * 90))
RESOURCES = st.one_of(
    PLAIN,
    HOSTILE,
    st.tuples(st.one_of(GROUP, HOSTILE_GROUPS), st.one_of(PLAIN, HOSTILE)).map("/".join),
)
RULES = st.one_of(PLAIN, HOSTILE)
ADMIN_RULES = st.lists(RULES, min_size=1, max_size=3).map(
    lambda parts: "/".join((RuleKind.ADMIN.value, *parts))
)
DECISIONS = st.one_of(
    st.builds(
        TableDecision,
        RESOURCES,
        st.sampled_from(Direction),
        st.one_of(RULES, st.just(UNSUPPORTED_PROTOCOL)),
        st.sampled_from(Access),
    ),
    st.builds(
        TableDecision, st.just(""), st.sampled_from(Direction), ADMIN_RULES, st.sampled_from(Access)
    ),
)


def check(names: Iterable[str]) -> None:
    for name in names:
        assert LEGAL.fullmatch(name), name
        assert len(name.encode()) <= MOST_BYTES, name


@given(st.lists(DECISIONS, max_size=12, unique=True))
def test_rules_have_names_of_their_own(decisions: list[TableDecision]) -> None:
    """Chains and counters of rules, whatever groups and rules are named."""
    names = [rule_name(decision) for decision in decisions]
    check(names)
    assert len(set(names)) == len(names), names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # A security admin rule whose collection is named as the direction, and a group's rule.
        (
            TableDecision("", IN, "securityAdminRules/in/x", ALLOW),
            TableDecision("in/securityAdminRules", IN, "x", ALLOW),
        ),
        # A resource group that looks as if it were escaped already.
        (TableDecision("a(b/web", IN, "x", ALLOW), TableDecision("a._28_.b/web", IN, "x", ALLOW)),
        (TableDecision("(_28_./w", IN, "x", DENY), TableDecision("._28_(/w", IN, "x", DENY)),
        (TableDecision("web", IN, "x", ALLOW), TableDecision("web", IN, "x", DENY)),
        (TableDecision("web", IN, "x", ALLOW), TableDecision("web", OUT, "x", ALLOW)),
        (
            TableDecision("g/" + "x" * 250, IN, "x", ALLOW),
            TableDecision("g/" + "x" * 250, IN, "y", ALLOW),
        ),
    ],
)
def test_names_that_look_alike(one: TableDecision, other: TableDecision) -> None:
    """Each of these had, or could have had, the name of another."""
    assert rule_name(one) != rule_name(other)
    check((rule_name(one), rule_name(other)))


@pytest.mark.parametrize("group", ["", "rg/web", "a(b"])
def test_all_of_a_table_at_once(group: str) -> None:
    """They are what each is by itself; rules that say nothing have none."""
    for direction in Direction:
        names = "x", "(", "._28_", "y" * 250, "z"
        table = CompiledTable(group, direction, names, 0b00101, 0b10000, 0, ())
        *named, last = rule_names(table)
        assert named == [rule_name(decision) for decision in table.decisions()]
        assert last == ""


def test_people_recognise_them() -> None:
    """Usual names are what they are in the document."""
    assert rule_name(TableDecision("web", IN, "Allow_80", ALLOW)) == "allow/web/in/Allow_80"
    assert rule_name(TableDecision("rg/web", OUT, "a.b-c", DENY)) == "deny/rg/web/out/a.b-c"
    assert interface_counter("rg/nic.1", IN, DENY) == "nic/rg/nic.1/in/deny"
    assert rule_name(TableDecision("", IN, "securityAdminRules/x", DENY)) == (
        "deny/-/in/securityAdminRules/x"
    )


@given(st.lists(RESOURCES, max_size=8, unique=True))
def test_interfaces_have_counters_of_their_own(interfaces: list[str]) -> None:
    """Four each."""
    names = [
        interface_counter(name, direction, access)
        for name, direction, access in product(interfaces, Direction, Access)
    ]
    check(names)
    assert len(set(names)) == len(names)


def tables_of(groups: Iterable[str]) -> Iterator[CompiledTable]:
    """Tables of both directions; an empty group is one of the tables ahead."""
    for group in groups:
        for direction in Direction:
            yield compile_table(group, direction, (LAST,))


@given(st.lists(st.one_of(RESOURCES, st.just("")), max_size=10))
def test_tables_have_labels_of_their_own(groups: list[str]) -> None:
    """A group in two views has two; roots and chains below them do not meet either."""
    labels = table_labels(list(tables_of(groups)))
    assert len(set(labels)) == len(labels)
    chains = [
        name
        for label, version in product(labels, IP_VERSIONS)
        for name in (root_chain(label, version), node_chain(label, version, DIGEST))
    ]
    check(chains)
    assert len(set(chains)) == len(chains)


def test_the_tables_ahead_have_labels_that_say_so() -> None:
    """Also beside groups that have taken these names."""
    admin = compile_table("", IN, (effective("securityAdminRules/x"), LAST))
    smtp = compile_table("", OUT, (effective("platformRules/DenySmtpOutBound"), LAST))
    groups = list(tables_of(("web", "web", "admin.rules")))
    assert table_labels([*groups, admin, smtp]) == [
        "nsg/web/in",
        "nsg/web/out",
        "nsg/web/in.2",
        "nsg/web/out.2",
        "nsg/admin.rules/in",
        "nsg/admin.rules/out",
        "nsg/admin.rules/in.2",
        "nsg/platform.rules/out",
    ]


@pytest.mark.parametrize("seed", range(12))
def test_whole_rulesets(seed: int) -> None:
    """Everything in the table, of policies of every kind."""
    made = load(random_policy(seed))
    for kind in (
        [chain.name for chain in made.chains],
        [each.name for each in made.sets],
        [each.name for each in made.limits],
    ):
        check(kind)
        assert len(set(kind)) == len(kind)
    check(made.counters)


def test_the_longest_names() -> None:
    """Names of 80 characters in resource groups of 90, on both sides of the longest way."""
    policy = worst_policy(rules=6)
    long = {name: f"{name[0] * 90}/{name[0] * 80}" for name in ("subnet", "nic")}
    for group in policy["networkSecurityGroups"]:
        group["name"] = long[group["name"]]
    for subnet in policy["virtualNetworks"][0]["subnets"]:
        subnet["networkSecurityGroup"] = long["subnet"]
    for interface in policy["networkInterfaces"]:
        interface["networkSecurityGroup"] = long["nic"]
    made = load(policy)
    check(chain.name for chain in made.chains)
    check(made.counters)


@pytest.mark.parametrize(
    ("names", "epoch"),
    [
        ([], "a"),
        (["links", "managed4"], "a"),  # of an nsgd that had no epochs
        (["links.a", "managed4.a/0123456789"], "b"),
        (["links.b", "managed4.b/0123456789"], "a"),
        (["addresses4.a/0123456789", "links.b"], "c"),
        (["out_addresses4.a/256"], "b"),
    ],
)
def test_epochs(names: list[str], epoch: str) -> None:
    """What an earlier process left is of another one."""
    assert next_epoch(names) == epoch


def test_no_two_lists_of_addresses_have_one_name() -> None:
    """These two had, when digests had 40 bits: one list stood for both in the kernel."""
    first, second = "10.2.41.54", "10.17.106.206"
    policy = worst_policy("enforce", rules=1)
    rule = {
        "direction": "Inbound",
        "protocol": "*",
        "sourcePortRange": "*",
        "destinationPortRange": "*",
        "destinationAddressPrefix": "10.0.1.0/24",
    }
    policy["networkSecurityGroups"][0]["securityRules"] = [
        {
            **rule,
            "name": f"Rule{number}",
            "priority": 100 + number,
            "access": access,
            "sourceAddressPrefixes": [address, "203.0.113.9"],
        }
        for number, (access, address) in enumerate((("Deny", first), ("Allow", second)))
    ]
    parts = [group.make() for group in Daemon().load(policy).groups]
    lists = {
        each.ranges for part in parts for each in part.sets if isinstance(each, AddressRangeSet)
    }
    in_both = 0xCB007109, 0xCB007109
    for value in (0x0A022936, 0x0A116ACE):
        assert ((value, value), in_both) in lists
