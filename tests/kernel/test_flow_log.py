"""Flow logs of real flows: what is written is what conntrack counted, with either engine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsgd.flowlog.names import mac_address
from tests.flowlog.independent_reader import flows_below
from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network, network

RULES = [
    rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80"),
    rule("AllowDns", 110, "Inbound", "Allow", "Udp", "53"),
    rule("DenyPeer", 200, "Inbound", "Deny", "*", "*", "VirtualNetwork"),
]
SERVER, PEER = mac_address("server"), mac_address("peer")
Flow = dict[str, Any]


def policy(directory: Path, **daemon: Any) -> dict[str, Any]:
    """A server behind a group, a peer without one; flows are logged each second."""
    log = {"path": str(directory / "log"), "intervalSeconds": 1, "flushSeconds": 1}
    made = document(
        [subnet("one", 1, "web"), subnet("two", 2)],
        [nic("server", "one", 4, 1), nic("peer", "two", 4, 2)],
        {"web": RULES},
    )
    log |= daemon.pop("flowLog", {})
    return {**made, "daemon": {"flowLog": log, **daemon}}


def hosts(net: Network) -> None:
    """The server, its peer and the internet."""
    net.host("server", *nic_addresses(1, 4))
    net.host("peer", *nic_addresses(2, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Network]:
    """One without a daemon yet."""
    with network(tmp_path) as made:
        hosts(made)
        yield made


def logged(net: Network, port: int) -> list[Flow]:
    """Records of flows from or to a port, in order of time."""
    found = [
        flow
        for flow in flows_below(net.directory / "log")
        if port in (flow["source_port"], flow["destination_port"])
    ]
    return sorted(found, key=lambda flow: flow["time_ms"])


def states(flows: list[Flow], direction: str) -> str:
    """The letters of one side's records."""
    return "".join(flow["state"] for flow in flows if flow["direction"] == direction)


def total(flows: list[Flow], direction: str) -> tuple[int, ...]:
    """Packets and bytes of one side's records."""
    return tuple(
        map(sum, zip(*(f["counts"] for f in flows if f["direction"] == direction), strict=True))
    )


def ended(net: Network, port: int, version: int = 4) -> tuple[int, ...]:
    """End flows from a port, and say what conntrack had counted: packets and bytes both ways."""
    family = ("-f", "ipv6") if version == 6 else ()
    protocols = (("-p", "tcp"), ("-p", "udp"))
    for protocol in protocols:
        done = net.gateway.run(
            ["conntrack", "-D", *family, *protocol, "--sport", str(port)], check=False
        )
        found = re.findall(r"(?:packets|bytes)=(\d+)", done.stdout)
        if found:
            return tuple(map(int, found))
    raise AssertionError(f"no flow from {port}")


def wait_for(net: Network, port: int, letters: str, direction: str = "I") -> list[Flow]:
    """The records of a port, once they have come to these letters, a regular expression."""
    net.wait(
        lambda: re.fullmatch(letters, states(logged(net, port), direction)) is not None,
        f"not {letters} of {port}",
        8.0,
    )
    return logged(net, port)


def sockets(net: Network, name: str, port: int, sender: str, from_port: int) -> tuple[Any, Any]:
    """A server's socket and a client's, for datagrams."""
    return (
        net[name].bound(socket.SOCK_DGRAM, port),
        net[sender].bound(socket.SOCK_DGRAM, from_port),
    )


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A gateway with a log of all that the tests below ask for, taken at one time."""
    with network(tmp_path_factory.mktemp("flow-log")) as made:
        hosts(made)
        made.host("one", "192.0.2.50")
        made.host("two", "192.0.2.60")
        made.start(policy(made.directory))
        assert made.tcp("internet", "server", 80, 4, 30004)
        assert made.tcp("internet", "server", 80, 6, 30006)
        assert not made.tcp("peer", "server", 22, 4, 30304)
        assert not made.tcp("peer", "server", 22, 6, 30306)
        assert made.udp("one", "two", 7777)
        server, client = sockets(made, "peer", 9000, "server", 30200)
        client.sendto(b"ask", (made["peer"].address(), 9000))
        server.recv(100)
        server, client = sockets(made, "server", 53, "internet", 30100)
        for round_ in range(1, 4):
            client.sendto(b"x" * round_ * 100, (made["server"].address(), 53))
            server.recv(1000)
            wait_for(made, 30100, "B" + "C" * round_)
        server.sendto(b"answer", (made["internet"].address(), 30100))
        client.recv(100)
        COUNTS.update({port: ended(made, port) for port in (30004, 30100, 30200)})
        COUNTS[30006] = ended(made, 30006, 6)
        for port in (30004, 30006, 30100, 30200):
            wait_for(made, port, "BC+E")
        yield made


# What conntrack had counted of the flows from each port: packets and bytes, both ways.
COUNTS: dict[int, tuple[int, ...]] = {}


@pytest.mark.parametrize("version", [4, 6])
def test_begin_and_end(net: Network, version: int) -> None:
    """A connection from outside: the server's interface, its rule, conntrack's own numbers."""
    begin, *_, end = flows = logged(net, 30000 + version)
    assert (begin["source"], begin["destination"]) == (
        net["internet"].address(version),
        net["server"].address(version),
    )
    assert {flow["rule"] for flow in flows} == {"AllowHttp"}
    assert {flow["mac"] for flow in flows} == {SERVER}
    assert (begin["protocol"], begin["destination_port"]) == (6, 80)
    assert begin["time_ms"] <= end["time_ms"]
    assert total(flows, "I") == COUNTS[30000 + version]
    assert COUNTS[30000 + version][0] > 3


def test_a_flow_that_goes_on(net: Network) -> None:
    """C each interval with what is new; together they are what conntrack has."""
    flows = logged(net, 30100)
    # With the headers of IP and UDP.
    assert [flow["counts"] for flow in flows[:4]] == [
        (0, 0, 0, 0),
        (1, 128, 0, 0),
        (1, 228, 0, 0),
        (1, 328, 0, 0),
    ]
    assert total(flows, "I") == COUNTS[30100] == (3, 684, 1, 34)


def test_both_ends_are_ours(net: Network) -> None:
    """Each side's interface has its records, the sender's with the sender's rule."""
    flows = logged(net, 30200)
    assert {(flow["direction"], flow["mac"], flow["rule"]) for flow in flows} == {
        ("O", SERVER, "DefaultRule_AllowVnetOutBound"),
        ("I", PEER, "PlatformRule"),
    }
    assert re.fullmatch("BC+E", states(flows, "O"))
    assert total(flows, "O") == total(flows, "I") == COUNTS[30200]


@pytest.mark.parametrize("version", [4, 6])
def test_denied(net: Network, version: int) -> None:
    """D, by the rule that denied; conntrack never had the flow."""
    (flow,) = logged(net, 30300 + version)
    assert flow["state"] == "D"
    assert (flow["rule"], flow["mac"], flow["counts"]) == ("DenyPeer", SERVER, (0, 0, 0, 0))
    assert (flow["source"], flow["destination_port"]) == (net["peer"].address(version), 22)


def test_what_is_no_flow_of_ours_is_not_logged(net: Network) -> None:
    """Traffic that touches nothing declared."""
    assert logged(net, 7777) == []


def test_metrics_say_the_same(net: Network) -> None:
    """Packets and bytes of each rule are those of its records; so is their number."""
    net.gateway.run(["conntrack", "-D"], check=False)
    net.wait(lambda: net.status()["flowLog"]["openFlows"] == 0, "flows stay open")
    net.wait(lambda: net.status()["flowLog"]["waiting"] == 0, "records are not written")
    flows = flows_below(net.directory / "log")
    log = net.status()["flowLog"]
    assert log["records"] == {
        "written": len(flows),
        "write_failed": 0,
        "no_reader": 0,
        "max_bytes": 0,
    }
    bytes_of: Counter[str] = Counter()
    packets_of: Counter[str] = Counter()
    for flow in flows:
        packets_of[flow["rule"].removeprefix("DefaultRule_")] += sum(flow["counts"][0::2])
        bytes_of[flow["rule"].removeprefix("DefaultRule_")] += sum(flow["counts"][1::2])
    for row in log["ruleTraffic"]:
        assert row["packets"] == packets_of[row["rule"]]
        assert row["bytes"] == bytes_of[row["rule"]]
    # Rules that allow begin at 0; one that denies lets nothing through.
    assert packets_of["AllowHttp"] > packets_of["AllowInternetOutBound"] == 0
    assert {row["rule"] for row in log["ruleTraffic"] if "/" not in row["rule"]} == {
        "AllowHttp",
        "AllowDns",
        "AllowVnetInBound",
        "AllowVnetOutBound",
        "AllowInternetOutBound",
        "AllowAzureLoadBalancerInBound",
    }
    assert (log["eventsLost"], log["denialsMissed"], log["endedUnseen"]) == (0, 0, 0)


def test_the_command_reads_it(net: Network) -> None:
    """With the group's name, which Azure's keys do not have."""
    read = net.gateway.run(net._nsgd("flow-log", "read", str(net.directory / "log"), "-o", "json"))
    begin, *_ = (flow for flow in json.loads(read.stdout) if flow["sourcePort"] == 30004)
    assert (begin["networkSecurityGroup"], begin["rule"], begin["state"]) == (
        "web",
        "AllowHttp",
        "B",
    )
    assert read.stderr == ""


def test_the_other_engine(fresh: Network) -> None:
    """Whoever decides, the log says the same."""
    other = "queue" if fresh.engine == "kernel" else "kernel"
    fresh.start(policy(fresh.directory, engine=other))
    assert fresh.tcp("internet", "server", 80, 4, 30004)
    assert not fresh.tcp("peer", "server", 22, 4, 30304)
    (denied,) = wait_for(fresh, 30304, "D")
    assert (denied["rule"], denied["mac"]) == ("DenyPeer", SERVER)
    wait_for(fresh, 30004, "BC+")
    counts = ended(fresh, 30004)
    flows = wait_for(fresh, 30004, "BC*E")
    assert {flow["rule"] for flow in flows} == {"AllowHttp"}
    assert total(flows, "I") == counts


def test_decisions_that_are_taken_back(fresh: Network) -> None:
    """A flow that is cut ends in the log at once, one that goes on by another rule begins anew.

    Each record has what was let through by its rule, though dumps come a minute apart.
    """
    fresh.start(policy(fresh.directory, flowLog={"intervalSeconds": 300}))
    server, client = sockets(fresh, "server", 53, "internet", 31600)
    to_server, to_client = (
        (fresh[n].address(), p) for n, p in (("server", 53), ("internet", 31600))
    )

    def exchange(*sizes: int) -> None:
        for size in sizes:
            client.sendto(bytes(size), to_server)
            assert len(server.recv(1000)) == size
            server.sendto(bytes(2 * size), to_client)
            assert len(client.recv(2000)) == 2 * size

    exchange(100, 200)
    wait_for(fresh, 31600, "B")
    renamed = policy(fresh.directory, flowLog={"intervalSeconds": 300})
    renamed["networkSecurityGroups"][0]["securityRules"][1]["name"] = "AllowNames"
    fresh.write(renamed)
    assert fresh.nsgd("reload", "--reevaluate").returncode == 0
    wait_for(fresh, 31600, "BE")
    exchange(300)
    wait_for(fresh, 31600, "BEB")
    cut = fresh.nsgd("flows", "cut", "--port", "53")
    assert cut.returncode == 0, cut.stderr
    flows = wait_for(fresh, 31600, "BEBE")
    assert [(flow["state"], flow["rule"], flow["counts"]) for flow in flows] == [
        ("B", "AllowDns", (0, 0, 0, 0)),
        ("E", "AllowDns", (2, 300 + 2 * 28, 2, 600 + 2 * 28)),
        ("B", "AllowNames", (0, 0, 0, 0)),
        ("E", "AllowNames", (1, 328, 1, 628)),
    ]
    # Nothing of what comes now passes; the initiator's next datagram does, and begins a flow.
    server.sendto(b"over", to_client)
    with pytest.raises(TimeoutError):
        client.recv(100)
    traffic = {row["rule"]: row for row in fresh.status()["flowLog"]["ruleTraffic"]}
    assert (traffic["AllowDns"]["packets"], traffic["AllowDns"]["bytes"]) == (4, 1012)
    assert (traffic["AllowNames"]["packets"], traffic["AllowNames"]["bytes"]) == (2, 956)
    exchange(50)
    ended(fresh, 31600)
    assert states(wait_for(fresh, 31600, "BEBEBE"), "I") == "BEBEBE"


def test_over_a_restart(fresh: Network) -> None:
    """A flow that is open goes on: it began once, and each of its packets is in one record."""
    fresh.start(policy(fresh.directory))
    server = fresh["server"].bound(socket.SOCK_DGRAM, 53)
    client = fresh["internet"].bound(socket.SOCK_DGRAM, 31000)
    to = fresh["server"].address(), 53
    client.sendto(b"one", to)
    server.recv(100)
    wait_for(fresh, 31000, "BC+")
    client.sendto(b"two", to)
    server.recv(100)
    fresh.stop()
    client.sendto(b"three", to)
    server.recv(100)
    fresh.restart()
    client.sendto(b"four", to)
    server.recv(100)
    fresh.wait(
        lambda: total(logged(fresh, 31000), "I")[:1] == (4,), "not all packets are logged", 8.0
    )
    counts = ended(fresh, 31000)
    fresh.wait(lambda: states(logged(fresh, 31000), "I").endswith("E"), "no end", 8.0)
    letters = states(logged(fresh, 31000), "I")
    assert letters == f"B{'C' * (len(letters) - 2)}E"
    assert total(logged(fresh, 31000), "I") == counts


def test_a_process_that_stands_still_and_dies(fresh: Network) -> None:
    """Flows are decided, reloads done and the status answered meanwhile.

    What was told to one that stood still is not lost; one that died is replaced, and flows that
    began while nobody listened are found.
    """
    fresh.start(policy(fresh.directory))
    pid = fresh.status()["flowLog"]["pid"]
    # It gives way to those who decide, once it has begun.
    fresh.wait(lambda: os.sched_getscheduler(pid) == os.SCHED_BATCH, "not as batch work")
    assert os.getpriority(os.PRIO_PROCESS, pid) == 10
    os.kill(pid, signal.SIGSTOP)
    try:
        for port in (31100, 31102):
            assert fresh.tcp("internet", "server", 80, 4, port)
        fresh.reload(policy(fresh.directory))
        assert fresh.status()["flowLog"]["pid"] == pid
    finally:
        os.kill(pid, signal.SIGCONT)
    for port in (31100, 31102):
        wait_for(fresh, port, "BC+")
    os.kill(pid, signal.SIGKILL)
    assert fresh.tcp("internet", "server", 80, 4, 31101)
    fresh.wait(lambda: fresh.status()["flowLog"]["pid"] not in (None, pid), "no other process")
    assert fresh.status()["flowLog"]["restarts"] == 1
    wait_for(fresh, 31101, "BC+")
    first, second = ended(fresh, 31100), ended(fresh, 31101)
    wait_for(fresh, 31100, "BC*E")
    wait_for(fresh, 31101, "BC*E")
    assert total(logged(fresh, 31100), "I") == first
    assert total(logged(fresh, 31101), "I") == second


def test_audit_mode_and_a_directory_that_cannot_be_written(fresh: Network) -> None:
    """Said once, counted, tried again; nothing that waits is lost.

    Nothing is denied in audit mode: what would be is a flow under the rule that would deny it.
    """
    blocked = fresh.directory / "log"
    blocked.write_text("in the way")
    fresh.start(policy(fresh.directory, mode="audit"))
    assert fresh.tcp("peer", "server", 22, 4, 31300)
    fresh.wait(lambda: fresh.status()["flowLog"]["waiting"] >= 1, "nothing waits")
    fresh.wait(lambda: "flow log: cannot be written" in fresh.log.read_text(), "nothing is said")
    blocked.unlink()
    flows = wait_for(fresh, 31300, "BC+")
    assert {flow["rule"] for flow in flows if flow["direction"] == "I"} == {"DenyPeer"}
    assert fresh.status()["flowLog"]["records"]["write_failed"] == 0
    assert fresh.log.read_text().count("flow log: cannot be written") == 1
    assert "flow log: written again" in fresh.log.read_text()


def test_on_and_off_by_reload(fresh: Network) -> None:
    """Flows of before are followed from then on: none of their earlier traffic is said."""
    off = policy(fresh.directory)
    del off["daemon"]["flowLog"]
    fresh.start(off)
    assert fresh.status()["flowLog"] is None
    fresh.gateway.run(["sysctl", "-w", "net.netfilter.nf_conntrack_acct=1"])
    server = fresh["server"].bound(socket.SOCK_DGRAM, 53)
    client = fresh["internet"].bound(socket.SOCK_DGRAM, 31500)
    to = fresh["server"].address(), 53
    client.sendto(b"before", to)
    server.recv(100)
    lines = fresh.directory / "flows.jsonl"
    fresh.reload(policy(fresh.directory, flowLog={"path": str(lines), "format": "jsonLines"}))
    fresh.wait(lambda: fresh.status()["flowLog"]["openFlows"] == 1, "the flow is not followed")
    client.sendto(b"after", to)
    server.recv(100)

    def records() -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in lines.read_text().splitlines()]
        return []

    fresh.wait(lambda: len(records()) == 1, "the second packet is not logged", 8.0)
    (record,) = records()
    assert (record["state"], record["packetsSent"], record["bytesSent"]) == ("C", 1, 33)
    fresh.reload(off)
    assert fresh.status()["flowLog"] is None
    client.sendto(b"again", to)
    server.recv(100)
    assert len(records()) == 1
