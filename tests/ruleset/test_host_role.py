"""The host role's hooks: what they leave alone, and that the kernel engine asks the right end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from nsgd.model.address import PortRange
from nsgd.model.decision import Decision
from nsgd.model.packet import ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Protocol
from nsgd.model.settings import DaemonRole, DaemonSettings, Failsafe, Mode
from nsgd.policy.evaluate import consulted_tables, consulted_tables_of_host, decide
from nsgd.ruleset.gateway import fail_closed_ruleset, gateway_ruleset
from nsgd.ruleset.guarded import Guarded
from nsgd.ruleset.names import rule_name
from nsgd.ruleset.queues import QueueRule
from tests.models import SMALL, prefixes
from tests.ruleset.nft_interpreter import Interpreter, Walk
from tests.ruleset.policies import Policy, random_policy, worst_policy
from tests.ruleset.test_dispatch import Case, case, is_for_the_worker, packets

ROLES = pytest.mark.parametrize("roles", [["host"], ["gateway", "host"]])
HOOKS = "hook_input", "hook_output"


def at(hook: str, walk: Walk) -> Walk:
    """The packet at that hook, where one of the links is not there."""
    at_input = hook == "hook_input"
    return replace(
        walk,
        in_link=(walk.in_link if at_input else ""),
        out_link=("" if at_input else walk.out_link),
        counted=Counter(),
        logged_marks=[],
        visited=[],
    )


def links(walk: Walk) -> tuple[str | None, str | None]:
    return walk.in_link or None, walk.out_link or None


def check(document: Policy, roles: list[str], seed: int, number: int) -> Counter[str]:
    """Every packet at both hooks; what became of them."""
    made = case(document | {"daemon": document["daemon"] | {"roles": roles, "failsafe": []}})
    interpreter = Interpreter(made.ruleset)
    outcomes: Counter[str] = Counter()
    for walk in packets(made, seed, number):
        for hook in HOOKS:
            outcomes[compare(made, interpreter, hook, at(hook, walk))] += 1
    return outcomes


def compare(made: Case, interpreter: Interpreter, hook: str, walk: Walk) -> str:
    before = walk.mark
    verdict = interpreter.run(walk, hook)
    if walk.counted["spoofed"]:
        return "spoofed"
    if not is_ours(made, hook, walk):
        assert (verdict, walk.counted) == ("accept", Counter()), walk
        return "not ours"
    if verdict == "ask":
        # The worker counts; a count here would be a second one.
        assert walk.counted == Counter(["queued"]), walk
        return verdict
    assert not is_for_the_worker(made, replace(walk, in_link="", out_link="")), walk
    decision = expected(made, walk)
    is_denied = decision.access is Access.DENY
    passes = not is_denied or made.settings.mode is Mode.AUDIT
    assert (verdict == "accept") is passes, walk
    rules = Counter(
        {name: n for name, n in walk.counted.items() if name.startswith(("allow/", "deny/"))}
    )
    assert rules == Counter(rule_name(each) for each in decision.consulted), walk
    if verdict == "accept":
        numbers = dict.fromkeys(("Outbound", "Inbound"), 16)
        for each in decision.consulted:
            identity = each.network_security_group, each.rule, each.access
            known = made.numbers.by_direction[each.direction]
            numbers[each.direction.value] = known[identity]
        assert made.layout.numbers(walk.ct_mark) == tuple(numbers.values()), walk
        assert walk.mark == before & ~made.settings.mark_mask & 0xFFFFFFFF
    return "denied" if is_denied else "allowed"


def is_ours(made: Case, hook: str, walk: Walk) -> bool:
    """Whether the machine's end is declared."""
    packet = walk.packet
    address = packet.destination if hook == "hook_input" else packet.source
    found = made.policy.endpoint_map.by_address(packet.version, address)
    bound = made.policy.endpoint_map.by_link if made.settings.is_host_only else {}
    return found != -1 or (walk.in_link or walk.out_link) in bound


def expected(made: Case, walk: Walk) -> Decision:
    asked = consulted_tables_of_host if made.settings.is_host_only else consulted_tables
    return decide(made.policy, walk.packet, *links(walk), asked)


@ROLES
@pytest.mark.parametrize("seed", range(12))
def test_random_policies(roles: list[str], seed: int) -> None:
    """Verdict, hits and marks are the policy's; what is not ours is not touched."""
    outcomes = check(random_policy(seed), roles, seed, 150)
    assert outcomes["not ours"]
    assert outcomes["allowed"] or outcomes["ask"]


@ROLES
def test_the_longest_ways(roles: list[str]) -> None:
    """Trees of five fields, AlwaysAllow, links."""
    outcomes = check(worst_policy("enforce", rules=30), roles, 1, 300)
    assert min(outcomes["denied"], outcomes["allowed"], outcomes["not ours"]) > 0


def header(
    protocol: int, source: str, destination: str, ports: tuple[int, int] = (0, 0)
) -> PacketHeader:
    version = 6 if ":" in source else 4
    ends = int(ip_address(source)), int(ip_address(destination))
    return PacketHeader(version, protocol, *ends, *ports, False)  # type: ignore[arg-type]


OWN, OWN6, LINK = "10.0.1.4", "fd00:10:0:1::4", "fe80::7"


def never_blocked() -> Iterator[tuple[Walk, bool]]:
    """Packets, and whether they are passed without being asked about."""

    def udp(source: str, destination: str, *ports: int) -> Walk:
        return Walk(header(UDP, source, destination, (ports[0], ports[1])))

    def icmp(kind: int, hop_limit: int, source: str = OWN6, destination: str = OWN6) -> Walk:
        made = header(ICMPV6, source, destination)
        return Walk(made, icmp_type=kind, hop_limit=hop_limit)

    for kind in (132, 133, 137, 138):
        yield icmp(kind, 255), 133 <= kind <= 137
    yield icmp(135, 254), False
    for kind in (129, 130, 132, 133, 142, 143, 144):
        yield icmp(kind, 1, LINK), kind in (130, 132, 143)
    yield icmp(143, 1, "::"), True
    yield icmp(143, 1, OWN6), False
    yield icmp(143, 2, LINK), False
    yield udp("0.0.0.0", OWN, 68, 67), True
    yield udp(OWN, "255.255.255.255", 67, 68), True
    yield udp(OWN, "255.255.255.255", 69, 68), False
    yield udp("0.0.0.0", OWN, 68, 69), False
    yield udp("10.0.1.9", OWN, 68, 67), False
    yield udp(LINK, "fe80::8", 547, 546), True
    yield udp(LINK, "ff02::1:2", 546, 547), True
    yield udp(LINK, "ff05::1:3", 546, 547), False
    yield udp(OWN6, "ff02::1:2", 546, 547), False
    yield udp(LINK, "fe80::8", 547, 545), False


@pytest.mark.parametrize("hook", HOOKS)
def test_what_is_never_blocked(hook: str) -> None:
    """Neighbour discovery and DHCP of a link that binds an interface, and loopback."""
    settings = DaemonSettings(roles=frozenset({DaemonRole.HOST}))
    interpreter = Interpreter(gateway_ruleset(SMALL, settings, QueueRule(1, False)))
    side = "in_link" if hook == "hook_input" else "out_link"
    for walk, passes in never_blocked():
        found = replace(walk, **{side: "veth-web1"})  # type: ignore[arg-type]
        assert (interpreter.run(found, hook) == "accept") is passes, walk
    loop = Walk(header(TCP, OWN, OWN, (1, 81)), **{side: "lo"})  # type: ignore[arg-type]
    assert interpreter.run(loop, hook) == "accept"


@ROLES
def test_failsafe_comes_first(roles: list[str]) -> None:
    """In every hook of the roles."""
    failsafe = (Failsafe(Protocol.TCP, (PortRange(22, 22),)),)
    settings = DaemonSettings(
        roles=frozenset(DaemonRole(role) for role in roles), failsafe=failsafe
    )
    interpreter = Interpreter(gateway_ruleset(SMALL, settings, QueueRule(1, False)))
    for hook in (*HOOKS, "hook_forward"):
        walk = Walk(header(TCP, "198.51.100.1", OWN, (1, 22)))
        assert interpreter.run(walk, hook) == "accept"
        is_guarded = hook != "hook_forward" or "gateway" in roles
        assert walk.counted == Counter({"failsafe": 1} if is_guarded else {})


@pytest.mark.parametrize("roles", [set(), *({role} for role in DaemonRole), {*DaemonRole}])
def test_closed_without_a_policy(roles: set[DaemonRole]) -> None:
    """What was guarded last is dropped, but for failsafe, loopback and discovery; no more is."""
    failsafe = (Failsafe(Protocol.TCP, (PortRange(22, 22),), prefixes("198.51.100.0/24")),)
    settings = DaemonSettings(roles=frozenset(roles), failsafe=failsafe)
    interpreter = Interpreter(fail_closed_ruleset(Guarded.of(SMALL, settings)))

    def verdict(hook: str, source: str, destination: str, port: int = 80, **links: str) -> str:
        walk = Walk(header(TCP, source, destination, (1, port)), **links)  # type: ignore[arg-type]
        return interpreter.run(walk, hook)

    def dropped(role: DaemonRole) -> str:
        return "drop" if role in roles else "accept"

    host, outside = dropped(DaemonRole.HOST), "198.51.100.1"
    assert verdict("hook_input", outside, OWN) == host
    assert verdict("hook_output", OWN, outside) == host
    assert verdict("hook_input", outside, OWN, 22) == "accept"
    assert verdict("hook_input", "203.0.113.1", OWN, 22) == host
    assert verdict("hook_input", outside, "192.0.2.1") == "accept"
    assert verdict("hook_output", "192.0.2.1", OWN) == "accept"
    assert verdict("hook_input", OWN, OWN, in_link="lo") == "accept"
    by_link = host if DaemonRole.GATEWAY not in roles else "accept"
    assert verdict("hook_input", outside, "192.0.2.1", in_link="veth-web1") == by_link
    advertisement = Walk(header(ICMPV6, OWN6, OWN6), icmp_type=136, hop_limit=255)
    assert interpreter.run(advertisement, "hook_input") == "accept"
    forwarded = dropped(DaemonRole.GATEWAY)
    assert verdict("hook_forward", outside, "192.0.2.1") == forwarded
    assert verdict("hook_forward", outside, "192.0.2.1", 22) == "accept"
