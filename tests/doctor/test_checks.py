"""Each check's states, by facts on both sides of its edge."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from nsgd.doctor.check import State
from nsgd.doctor.checks import judge
from nsgd.doctor.facts import Facts, MarkUse, NftCommand, Policy, QueueReader
from nsgd.kernel.probe import BaseChainSeen
from nsgd.kernel.topology import LinkSeen, RouteSeen
from nsgd.model.address import Prefix
from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.settings import DaemonSettings
from tests.doctor.facts import HEALTHY, NFTABLES, POLICY, STATUS, check, nftables, sysctls

OK, UNKNOWN, WARNING, PROBLEM = State.OK, State.UNKNOWN, State.WARNING, State.PROBLEM


def test_a_healthy_host_has_nothing_to_do() -> None:
    """Every check is ok and proposes nothing."""
    checks = judge(HEALTHY)
    assert [(c.name, c.found) for c in checks if c.state is not OK or c.fix] == []
    assert len({c.name for c in checks}) == len(checks)


def test_nothing_is_claimed_where_nothing_was_seen() -> None:
    """A host that shows nothing: no check is a problem but the library that did not load."""
    seen = judge(Facts(has_net_admin=False, netfilterqueue="1.1.0", status_error="no answer"))
    assert [c.name for c in seen if c.state is PROBLEM] == ["CAP_NET_ADMIN"]
    assert [c.name for c in judge(HEALTHY)] == [c.name for c in seen]


def workers(*pids: int | None) -> dict[str, Any]:
    """A running daemon with these workers, None for one that is down."""
    each = [
        {"queueNumber": 9480 + index, "up": pid is not None, "pid": pid}
        for index, pid in enumerate(pids)
    ]
    return STATUS | {"worker": {"up": all(pids), "pid": pids[0]}, "workers": each}


def chains(*changed: tuple[str, str, int, bool]) -> dict[str, Any]:
    """Other tables' base chains: family, hook, priority, policy drop."""
    others = tuple(BaseChainSeen(f, "filter", "c", h, p, d) for f, h, p, d in changed)
    return {"nftables": nftables(chains=NFTABLES.chains + others)}


@pytest.mark.parametrize(
    ("name", "changes", "state", "words"),
    [
        ("kernel", {"kernel_release": "5.12.0"}, OK, "5.12.0"),
        ("kernel", {"kernel_release": "5.11.22-1"}, PROBLEM, "5.11.22"),
        ("kernel", {"kernel_release": "strange"}, UNKNOWN, "strange"),
        ("CAP_NET_ADMIN", {"has_net_admin": False}, PROBLEM, "not effective"),
        ("CAP_NET_ADMIN", {"has_net_admin": None}, UNKNOWN, ""),
        ("nftables", {"nftables": None, "nftables_error": "no such"}, PROBLEM, "no such"),
        ("nftables", {"nftables": None, "has_net_admin": False}, UNKNOWN, "CAP_NET_ADMIN"),
        ("nfnetlink_queue", {"nftables": nftables(has_queues=False)}, PROBLEM, "no packets"),
        ("queue rule", {"nftables": nftables(has_queue_target=False)}, OK, "own queue statement"),
        ("queue rule", {"nftables": nftables(has_queue_statement=False)}, OK, "NFQUEUE target"),
        (
            "queue rule",
            {"nftables": nftables(has_queue_statement=False, has_queue_target=False)},
            PROBLEM,
            "neither",
        ),
        ("owned table", {"nftables": nftables(takes_owner_and_persist=False)}, WARNING, "persist"),
        (
            "owned table",
            {"nftables": nftables(takes_owner_and_persist=False, takes_owner=False)},
            WARNING,
            "owned",
        ),
        (
            "netfilterqueue",
            {"netfilterqueue": None, "netfilterqueue_error": "libnetfilter_queue.so.1: no"},
            PROBLEM,
            "libnetfilter_queue.so.1",
        ),
        ("nft command", {"nft": None}, OK, "absent"),
        ("nft command", {"nft": NftCommand((1, 0, 5))}, WARNING, "1.0.5"),
        ("nft command", {"nft": NftCommand((1, 1))}, OK, "1.1"),
        ("conntrack", {"nftables": nftables(has_conntrack=False)}, PROBLEM, "cannot ask"),
        ("conntrack table", {"sysctls": sysctls(count="209714")}, OK, "209714"),
        ("conntrack table", {"sysctls": sysctls(count="209716")}, WARNING, "209716 of at most"),
        ("conntrack table", {"sysctls": {}}, UNKNOWN, ""),
        ("conntrack accounting", {"sysctls": sysctls(acct="0")}, WARNING, "off"),
        ("conntrack timestamps", {"sysctls": sysctls(timestamp="0")}, WARNING, "off"),
        ("conntrack events", {"sysctls": sysctls(events="0")}, WARNING, "off"),
        ("conntrack events", {"sysctls": sysctls(events="2")}, WARNING, "on demand"),
        ("mid-stream TCP", {"sysctls": sysctls(tcp_loose="0")}, OK, "dropped"),
        ("other base chains", chains(("ip", "forward", 0, False)), OK, "priority 0"),
        ("other base chains", chains(("ip", "input", 0, True)), OK, "1 elsewhere"),
        ("other base chains", chains(("bridge", "forward", 0, True)), OK, "1 elsewhere"),
        ("other base chains", chains(("inet", "forward", 9, False)), OK, "priority 9"),
        ("other base chains", chains(("inet", "forward", 10, False)), WARNING, "priority 10"),
        ("other base chains", chains(("ip6", "forward", 16, False)), WARNING, "priority 16"),
        ("other base chains", chains(("ip", "forward", 0, True)), WARNING, "policy drop"),
        ("iptables legacy", {"legacy_tables": {"ip": ("nat",), "ip6": ()}}, WARNING, "ip nat"),
        ("iptables legacy", {"legacy_tables": {"ip": (), "ip6": None}}, UNKNOWN, "root"),
        ("flowtables", {"nft": NftCommand((1, 1), (), ("inet f ft",))}, WARNING, "inet f ft"),
        ("flowtables", {"nft": None}, UNKNOWN, ""),
        ("IPv4 forwarding", {"sysctls": sysctls(ip_forward="0")}, WARNING, "off"),
        ("IPv6 forwarding", {"sysctls": sysctls(forwarding="0")}, WARNING, "off"),
        ("IPv6 forwarding", {"sysctls": sysctls(forwarding=None)}, UNKNOWN, ""),
        ("policy documents", {"policy": None}, UNKNOWN, "none named"),
        ("policy documents", {"policy_problems": ("a: b", "c")}, PROBLEM, "a: b, and 1 more"),
        ("daemon", {"status": workers(None)}, PROBLEM, "its worker is down"),
        ("daemon", {"status": workers(70, None, None)}, PROBLEM, "serves queue 9481, 9482"),
        ("daemon", {"status": workers(70, 71)}, OK, "in force"),
        ("daemon", {"status": None, "status_error": "no answer"}, UNKNOWN, "no answer"),
        ("daemon", {"status": None, "is_daemon_absent": True}, PROBLEM, "not decided"),
        (
            "daemon",
            {"status": None, "is_daemon_absent": True, "nftables": None},
            UNKNOWN,
            "not seen",
        ),
        (
            "daemon",
            {"status": None, "is_daemon_absent": True, "nftables": nftables(chains=())},
            OK,
            "none runs",
        ),
    ],
)
def test_states(name: str, changes: dict[str, Any], state: State, words: str) -> None:
    """What needs to be done is said exactly where something does."""
    found = check(name, **changes)
    assert found.state is state, found
    assert words in found.found
    if state in (WARNING, PROBLEM):
        assert found.fix


@pytest.mark.parametrize(
    ("use", "state"),
    [
        (MarkUse("ip f c", "packet", True, 0x4000), OK),
        (MarkUse("ip f c", "packet", True, 0x4001), WARNING),
        (MarkUse("ip f c", "conntrack", True, 0xFFFFFFFF), WARNING),
        (MarkUse("ip f c", "conntrack", False, 0x10), WARNING),
        # Comparing the packet mark is harmless: it has our bits within the forward hook only.
        (MarkUse("ip f c", "packet", False, 0xFFFFFFFF), OK),
        # An extension of iptables, which nft does not spell out.
        (MarkUse("ip f c", "packet", True, None), WARNING),
    ],
)
def test_marks(use: MarkUse, state: State) -> None:
    """Bits outside daemon.markMask are others' to use."""
    found = check("marks", nft=NftCommand((1, 0, 6), (use,)))
    assert found.state is state
    assert state is OK or "ip f c" in found.found


@pytest.mark.parametrize("nft", [None, NftCommand((1, 0, 6))])
def test_marks_are_unknown_without_a_listing(nft: NftCommand | None) -> None:
    """No nft command, or one that fails."""
    assert check("marks", nft=nft).state is UNKNOWN


@pytest.mark.parametrize(
    ("reader", "status", "state"),
    [
        (None, None, OK),
        (QueueReader(70, "nsgd"), STATUS, OK),
        # Its owner cannot be seen by an ordinary user, and the daemon says that it reads.
        (QueueReader(None), STATUS, OK),
        (QueueReader(71, "suricata"), STATUS, PROBLEM),
        (QueueReader(71, "suricata"), None, PROBLEM),
        (QueueReader(None), None, PROBLEM),
    ],
)
def test_queue_number(reader: QueueReader | None, status: Any, state: State) -> None:
    """Only the worker of the daemon that answers may read the queue."""
    found = check("queue number", queue_readers={9480: reader}, status=status)
    assert found.state is state
    if reader and reader.pid == 71:
        assert "process 71 (suricata)" in found.found


@pytest.mark.parametrize(
    ("readers", "status", "state", "words"),
    [
        ((None, None, None), None, OK, "nobody reads queues 9480 to 9482"),
        ((70, 71, 72), workers(70, 71, 72), OK, "the daemon's workers read queues 9480 to 9482"),
        ((70, None, 72), workers(70, None, 72), PROBLEM, "nobody reads queue 9481"),
        ((70, 99, 72), workers(70, 71, 72), PROBLEM, "queue 9481 is read by process 99 (nsgd)"),
        ((70, 71, 72), workers(70, 71), PROBLEM, "queue 9482 is read by process 72 (nsgd)"),
        ((None, None, 99), None, PROBLEM, "queue 9482 is read by process 99 (nsgd)"),
    ],
)
def test_queue_numbers(
    readers: tuple[int | None, ...], status: Any, state: State, words: str
) -> None:
    """Of several queues each is its own worker's."""
    found = check(
        "queue number",
        policy=dataclasses.replace(POLICY, settings=DaemonSettings(queues=3)),
        queue_readers={
            9480 + index: None if pid is None else QueueReader(pid, "nsgd")
            for index, pid in enumerate(readers)
        },
        status=status,
    )
    assert found.state is state
    assert words in found.found


def test_queue_number_that_cannot_be_seen() -> None:
    """The kernel's file is root's."""
    assert check("queue number", is_queue_readable=False).state is UNKNOWN


BRIDGE = (
    LinkSeen(1, "lo"),
    LinkSeen(2, "veth-web1", 9),
    LinkSeen(3, "veth-web2", 9),
    LinkSeen(9, "br0", kind="bridge"),
)
BOND = (*BRIDGE[:3], LinkSeen(9, "bond0", kind="bond"))


@pytest.mark.parametrize(
    ("links", "call4", "call6", "state"),
    [
        (BRIDGE, "1", "1", OK),
        (BRIDGE, "0", "1", WARNING),
        (BRIDGE, "1", "0", WARNING),
        (BRIDGE, None, None, WARNING),  # br_netfilter is not loaded
        (BOND, "0", "0", OK),
        (BRIDGE[:2] + BRIDGE[3:], "0", "0", OK),  # one port: nothing passes between ports
    ],
)
def test_bridges(
    links: tuple[LinkSeen, ...], call4: str | None, call6: str | None, state: State
) -> None:
    """What passes between ports of a bridge is filtered only where the kernel is told to."""
    changed = sysctls(call_iptables=call4, call_ip6tables=call6)
    assert check("bridges", links=links, sysctls=changed).state is state


def routes(*texts: tuple[str, int, bool]) -> tuple[RouteSeen, ...]:
    """Routes by prefix, link and whether they are direct."""
    return tuple(RouteSeen(Prefix.parse(text), link, direct) for text, link, direct in texts)


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (routes(("10.0.1.0/24", 2, True)), WARNING),
        # One of the two has a route of its own.
        (routes(("10.0.1.0/24", 2, True), ("10.0.1.5/32", 3, True)), OK),
        (routes(("10.0.1.0/24", 2, True), ("10.0.1.5/32", 2, True)), OK),
        (routes(("10.0.1.0/24", 2, False)), OK),  # another router is between
        (routes(("10.0.1.4/31", 2, True)), WARNING),
        (routes(("10.0.1.0/24", 7, True)), OK),  # a link that went meanwhile
        ((), OK),
    ],
)
def test_shared_segments(seen: tuple[RouteSeen, ...], state: State) -> None:
    """Two NICs behind one connected subnet reach one another without the gateway."""
    found = check("shared segments", routes=seen)
    assert found.state is state
    assert state is OK or "web1, web2 on veth-web1" in found.found


def test_a_bridge_that_is_watched_is_no_shared_segment() -> None:
    """Its hosts cross the forward hook."""
    seen = routes(("10.0.1.0/24", 9, True))
    assert check("shared segments", routes=seen, links=BRIDGE).state is OK
    changed = sysctls(call_iptables="0")
    assert check("shared segments", routes=seen, links=BRIDGE, sysctls=changed).state is WARNING


def test_links_of_the_policy() -> None:
    """Absent ones may come; a port of a bridge never shows in a packet."""
    assert check("links of the policy", links=(LinkSeen(1, "lo"),)).state is WARNING
    assert check("links of the policy", links=BRIDGE).state is PROBLEM
    assert check("links of the policy", links=None).state is UNKNOWN
    assert check("links of the policy", policy=None).state is UNKNOWN


def test_what_is_found_is_one_line() -> None:
    """Long lists are cut."""
    uses = tuple(MarkUse(f"ip f c{i}", "packet", True, 1) for i in range(9))
    found = check("marks", nft=dataclasses.replace(NftCommand((1, 0, 6)), mark_uses=uses)).found
    assert "c4" in found
    assert "c5" not in found
    assert "and 4 more" in found


def test_idle_timeouts_that_the_kernel_lacks() -> None:
    """A problem only for who asks for them: nsgd would not start."""
    assert check("idle timeouts").state is OK
    lacking = nftables(has_flow_timeouts=False)
    assert check("idle timeouts", nftables=lacking).state is OK
    asking = VirtualNetwork("lab", (), flow_timeout_minutes=10)
    policy = Policy(NetworkModel(virtual_networks=(asking,)), DaemonSettings())
    assert check("idle timeouts", policy=policy).state is OK
    found = check("idle timeouts", nftables=lacking, policy=policy)
    assert (found.state, "lab" in found.found, bool(found.fix)) == (PROBLEM, True, True)
    assert check("idle timeouts", nftables=None).state is UNKNOWN


def test_a_hash_that_the_kernel_lacks() -> None:
    """A problem only for who asks for several queues: nsgd would not start."""
    assert check("several queues").state is OK
    lacking = nftables(has_flow_hash=False)
    assert check("several queues", nftables=lacking).state is OK
    policy = dataclasses.replace(POLICY, settings=DaemonSettings(queues=3))
    assert check("several queues", policy=policy).state is OK
    found = check("several queues", nftables=lacking, policy=policy)
    assert (found.state, "3 queues" in found.found, "nft_hash" in found.fix) == (
        PROBLEM,
        True,
        True,
    )
    assert check("several queues", nftables=None).state is UNKNOWN
