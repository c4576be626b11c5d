"""The kernel engine: the same answers without the worker, and what only it does."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from nsgd.kernel.table import NftTable
from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    Rule,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network

VERSIONS = pytest.mark.parametrize("version", [4, 6])
ALLOW_80 = rule("Allow80", 200, "Inbound", "Allow", "Tcp", "80")
ALLOW_53 = rule("Allow53", 300, "Inbound", "Allow", "Udp", "53")


def web(*rules: Rule, **daemon: Any) -> dict[str, Any]:
    """One server, bound to its link, under one group, decided by the kernel."""
    made = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": list(rules)})
    return made | {"daemon": {"engine": "kernel"} | daemon}


def with_hosts(net: Network) -> Network:
    """A server and the internet."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    return net


def counters(net: Network) -> dict[str, int]:
    """Packets of the table's counters and of what its elements count, those that are not zero."""

    def read() -> dict[str, int]:
        with NftTable() as table:
            return table.read_counters()

    return {name: packets for name, packets in net.gateway.call(read).items() if packets}


def hits(net: Network) -> dict[str, int]:
    """Hits by rule, those that are not zero."""
    return {row["rule"]: row["hits"] for row in net.status()["ruleHits"] if row["hits"]}


@VERSIONS
def test_flows_are_decided_without_the_worker(net: Network, version: int) -> None:
    """Allowed and denied, counted by rule and by network interface, and nothing is queued."""
    with_hosts(net).start(web(ALLOW_80, ALLOW_53))
    assert net.tcp("internet", "server", 80, version)
    assert net.udp("internet", "server", 53, version)
    assert not net.udp("internet", "server", 54, version)
    assert not net.udp("internet", "server", 54, version)
    status = net.status()
    assert status["engine"] == "kernel"
    assert status["packets"]["queued"] == 0
    assert hits(net) == {"Allow80": 1, "Allow53": 1, "DenyAllInBound": 2}
    assert status["packets"]["denied"]["rule"] == 2
    flows = {(row["direction"], row["access"]): row["flows"] for row in status["flows"]}
    assert flows == {("Inbound", "Allow"): 2, ("Inbound", "Deny"): 2}
    assert counters(net) == {
        "allow/web/in/Allow80": 1,
        "allow/web/in/Allow53": 1,
        "deny/web/in/DenyAllInBound": 2,
        "allowed_inbound": 2,
        "nic/server/in": 4,
        "nic/server/in/deny": 2,
    }


def test_a_flow_carries_both_decisions(net: Network) -> None:
    """As with the queue engine: the number of the rule of each side."""
    marks = []
    with_hosts(net).start(web(ALLOW_80, engine="queue"))
    for engine in ("queue", "kernel"):
        net.reload(web(ALLOW_80, engine=engine))
        assert net.tcp("internet", "server", 80)
        line = next(text for text in net.conntrack().splitlines() if "dport=80 " in text)
        marks.append(line.partition("mark=")[2].split()[0])
        net.gateway.run(["conntrack", "-F"])
    assert marks[0] == marks[1] != "0"


def test_the_kernel_decides_while_no_daemon_runs(net: Network) -> None:
    """A killed daemon takes its worker along, and neither verdicts nor counts."""
    with_hosts(net).start(web(ALLOW_80))
    net.kill()
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)
    net.restart()
    assert hits(net)["Allow80"] == 1
    assert net.tcp("internet", "server", 80)
    assert hits(net)["Allow80"] == 2


def test_what_is_no_plain_first_packet_goes_to_the_worker(net: Network) -> None:
    """The answer of a flow that is judged again comes first: the worker takes its original way."""
    with_hosts(net).start(web(ALLOW_53))
    server = net["server"].bound(socket.SOCK_DGRAM, 53)
    client = net["internet"].bound(socket.SOCK_DGRAM)
    client.sendto(b"question", (net["server"].address(), 53))
    _, peer = server.recvfrom(100)
    server.sendto(b"answer", peer)
    assert client.recv(100) == b"answer"
    assert net.nsgd("reload", "--reevaluate").returncode == 0
    server.sendto(b"more", peer)
    assert client.recv(100) == b"more"
    status = net.status()
    assert status["packets"]["queued"] == 1
    assert hits(net) == {"Allow53": 2}


def test_audit_mode_tells_and_lets_pass(net: Network) -> None:
    """Denials reach the log by way of the kernel's log group."""
    with_hosts(net).start(web(ALLOW_80, mode="audit"))
    assert net.udp("internet", "server", 54)
    net.wait(
        lambda: (
            f"audit: would deny Udp {INTERNET_V4}:" in net.log.read_text()
            and "by web Inbound DenyAllInBound" in net.log.read_text()
        ),
        "not logged",
    )
    status = net.status()
    assert status["kernelDenials"] == {"told": 1, "untold": 0, "lost": 0}
    assert hits(net) == {"DenyAllInBound": 1}
    assert "audit" in status["mode"]


def test_a_noisy_rule_leaves_room_for_a_quiet_one(net: Network) -> None:
    """Each rule tells of a few denials a second; the rest is counted and not told."""
    quiet = rule("DenyQuiet", 400, "Inbound", "Deny", "Udp", "99")
    with_hosts(net).start(web(ALLOW_80, quiet))
    client = net["internet"].bound(socket.SOCK_DGRAM)
    for _ in range(400):
        client.sendto(b"noise", (net["server"].address(), 98))
    client.sendto(b"quiet", (net["server"].address(), 99))
    net.wait(lambda: sum(net.status()["kernelDenials"].values()) >= 401, "not all counted")
    told = net.status()["kernelDenials"]
    assert told["told"] + told["untold"] == 401
    assert 2 <= told["told"] < 200
    assert hits(net) == {"DenyAllInBound": 400, "DenyQuiet": 1}


def test_switching_engines_keeps_flows_and_counts(net: Network) -> None:
    """Both ways, by reload: an open flow goes on, and hits add up."""
    with_hosts(net).start(web(ALLOW_80, ALLOW_53, engine="queue"))
    server = net["server"].bound(socket.SOCK_DGRAM, 53)
    client = net["internet"].bound(socket.SOCK_DGRAM)
    client.sendto(b"1", (net["server"].address(), 53))
    _, peer = server.recvfrom(100)
    for number, engine in enumerate(("kernel", "queue", "kernel")):
        net.reload(web(ALLOW_80, ALLOW_53, engine=engine))
        assert net.status()["engine"] == engine
        server.sendto(b"x", peer)
        assert client.recv(100) == b"x"
        assert net.tcp("internet", "server", 80)
        assert not net.tcp("internet", "server", 81)
        assert hits(net)["Allow80"] == number + 1
        assert hits(net)["Allow53"] == 1


def test_a_change_touches_its_group_only(net: Network) -> None:
    """Chains of other groups, and the counters, stay; nothing is left over."""

    def policy(port: str, *others: dict[str, Any]) -> dict[str, Any]:
        made = document(
            [subnet("one", 1, "web"), subnet("two", 2, "other")],
            [nic("server", "one", 4, 1)],
            {
                "web": [rule("Allow", 200, "Inbound", "Allow", "Tcp", port), *others],
                "other": [ALLOW_53],
            },
        )
        return made | {"daemon": {"engine": "kernel"}}

    def chains() -> dict[str, int]:
        text = net.gateway.run(["nft", "-j", "-a", "list", "chains", "inet"]).stdout
        found = (entry["chain"] for entry in json.loads(text)["nftables"] if "chain" in entry)
        return {each["name"]: each["handle"] for each in found if each["table"] == "nsgd"}

    with_hosts(net).start(policy("80"))
    assert net.tcp("internet", "server", 80)
    first = chains()
    net.reload(policy("81"))
    assert not net.tcp("internet", "server", 80)
    assert net.tcp("internet", "server", 81)
    # Another value is another rule in the same chains.
    assert chains() == first
    assert hits(net)["Allow"] == 2
    net.reload(policy("81", rule("Last", 300, "Inbound", "Deny", "Tcp", "82")))
    assert net.tcp("internet", "server", 81)
    second = chains()
    others = second.keys() ^ first.keys()
    assert others
    assert all(name.startswith("nsg/web/in") for name in others)
    net.reload(policy("81"))
    net.wait(lambda: len(chains()) == len(first), "chains are left over")
    third = chains()
    changed = {name for name in first.keys() | third.keys() if first.get(name) != third.get(name)}
    assert changed
    assert all(name.startswith("nsg/web/in") for name in changed)
    assert hits(net)["Allow"] == 3


def test_another_program_s_change_is_undone(net: Network) -> None:
    """Where the table is not owned: it is written anew at once, and counted."""
    with_hosts(net).start(web(ALLOW_80))
    owner = net.gateway.run(["nft", "flush", "table", "inet", "nsgd"], check=False)
    assert owner.returncode != 0
    assert net.status()["table"]["changedByOthers"] == 0


def test_the_ruleset_is_listed(net: Network) -> None:
    """nft reads all of it, with the names of groups and rules."""
    with_hosts(net).start(web(ALLOW_80, ALLOW_53))
    listed = net.gateway.run(["nft", "list", "ruleset"]).stdout
    for text in (
        "chain nsg/web/in4 {",
        'counter name "allow/web/in/Allow80"',
        'counter name "deny/web/in/DenyAllInBound"',
        "chain from4",
        'counter packets 0 bytes 0 comment "nic/server/out/deny"',
        'counter packets 0 bytes 0 comment "nic/server/out" : jump from4/web',
    ):
        assert text in listed


def test_boot_decides_with_the_numbers_of_the_daemon(net: Network) -> None:
    """What flows carry before the daemon runs means the same to it."""

    def mark() -> str:
        assert net.tcp("internet", "server", 80)
        line = next(text for text in net.conntrack().splitlines() if "dport=80 " in text)
        net.gateway.run(["conntrack", "-F"])
        return line.partition("mark=")[2].split()[0]

    first = rule("First", 100, "Inbound", "Allow", "Tcp", "8080")
    with_hosts(net).start(web(first))
    net.reload(web(ALLOW_80))
    by_daemon = mark()
    net.stop(remove_rules=True)
    state = ["--state-dir", str(net.directory / "state")]
    boot = net.gateway.run(net._nsgd("boot", "--config", str(net.config), *state), check=False)
    assert boot.returncode == 0, boot.stderr
    assert mark() == by_daemon


def test_boot_without_decision_numbers_decides_nothing(net: Network) -> None:
    """A damaged state directory: new flows wait for a daemon rather than get wrong marks."""
    with_hosts(net).write(web(ALLOW_80))
    state = net.directory / "damaged"
    state.mkdir()
    (state / "decision-numbers.json").write_text("{")
    arguments = ["boot", "--config", str(net.config), "--state-dir", str(state)]
    boot = net.gateway.run(net._nsgd(*arguments), check=False)
    assert boot.returncode == 0, boot.stderr
    assert "every new flow waits for the daemon" in boot.stderr
    assert not net.tcp("internet", "server", 80)
