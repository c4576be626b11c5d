"""Facts of real namespaces: what is there is seen, and looking changes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsgd.doctor.check import State
from nsgd.doctor.checks import judge
from nsgd.doctor.gather import gather
from nsgd.kernel.probe import NftProbe
from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.ruleset import batch
from nsgd.wire import expressions
from tests.kernel.documents import document, nic, nic_addresses, rule
from tests.kernel.documents import subnet as make_subnet
from tests.kernel.network import Network, network

pytestmark = pytest.mark.kernel

OTHERS = """
table ip filter {
    chain FORWARD { type filter hook forward priority 0; policy drop; }
    chain late { type filter hook forward priority 20; meta mark set meta mark or 0x10; }
}
"""


@pytest.fixture
def namespace() -> Iterator[NetworkNamespace]:
    """An empty one."""
    with Lab() as lab:
        yield lab.namespace("host", forwarding=True)


def test_an_empty_namespace(namespace: NetworkNamespace) -> None:
    """This kernel can do what the other kernel tests need; nothing else is there."""
    facts = namespace.call(gather)
    assert facts.has_net_admin
    assert facts.nftables is not None
    assert facts.nftables.has_queue_statement or facts.nftables.has_queue_target
    assert facts.nftables.has_queues
    assert facts.nftables.has_conntrack
    assert facts.nftables.has_flow_hash
    assert facts.nftables.chains == ()
    assert facts.sysctls["net.ipv4.ip_forward"] == "1"
    assert facts.legacy_tables == {"ip": (), "ip6": ()}
    assert facts.nft is not None
    assert facts.nft.version >= (1, 0, 2)
    assert facts.nft.mark_uses == ()
    assert facts.netfilterqueue
    assert facts.queue_library
    assert Path(facts.queue_library).exists()
    assert [link.name for link in facts.links or ()] == ["lo"]
    assert facts.is_queue_readable
    assert facts.queue_readers == {9480: None}
    assert not [c for c in judge(facts) if c.state is State.PROBLEM]


def test_looking_leaves_nothing_behind(namespace: NetworkNamespace, tmp_path: Path) -> None:
    """Others' tables and nsgd's own are as before, and no base chain was made or deleted."""
    own = "table inet nsgd {\n chain kept {\n }\n}\n"
    namespace.run(["nft", "-f", "-"], text_input=OTHERS + own)
    before = namespace.run(["nft", "list", "ruleset"]).stdout
    log = tmp_path / "monitor"
    with log.open("w") as file:
        namespace.popen(["nft", "monitor"], stdout=file)

    def is_told(table: str) -> bool:
        namespace.run(["nft", f"add table ip {table}; delete table ip {table}"])
        return table in log.read_text()

    Network.wait(lambda: is_told("first"), "the monitor does not listen")
    namespace.call(gather)
    Network.wait(lambda: is_told("last"), "the monitor has stopped")
    assert namespace.run(["nft", "list", "ruleset"]).stdout == before
    # Such as "add chain inet TABLE ..."; a transaction ends with "# new generation".
    lines = [line.split() for line in log.read_text().splitlines() if not line.startswith("#")]
    changed = [words for words in lines if words[2:] not in (["ip", "first"], ["ip", "last"])]
    assert changed
    for words in changed:
        assert words[2] == "inet"
        assert words[3] == "nsgd_probe" or words[3].startswith("nsgd_doctor_")
        assert "hook" not in words


def test_other_tables_and_bridges(namespace: NetworkNamespace) -> None:
    """Base chains, marks, a bridge with its ports, and routes."""
    namespace.run(["nft", "-f", "-"], text_input=OTHERS)
    for command in (
        "ip link add br0 type bridge",
        "ip link add one type veth peer name far-one",
        "ip link add two type veth peer name far-two",
        "ip link set one master br0",
        "ip link set two master br0",
        "ip link set br0 up",
        "ip addr add 10.0.1.1/24 dev br0",
        "ip -6 addr add fd00::1/64 dev br0 nodad",
        "ip route add 10.9.0.0/16 via 10.0.1.7",
    ):
        namespace.run(command.split())
    namespace.sysctl([("net.bridge.bridge-nf-call-iptables", "0")])
    facts = namespace.call(gather)
    assert facts.nftables is not None
    assert {(c.name, c.priority, c.is_drop_policy) for c in facts.nftables.chains} == {
        ("FORWARD", 0, True),
        ("late", 20, False),
    }
    assert facts.nft is not None
    assert facts.nft.mark_uses is not None
    assert [(use.mark, use.bits) for use in facts.nft.mark_uses] == [("packet", 0x10)]
    names = {link.index: link.name for link in facts.links or ()}
    assert {(names[r.link], str(r.prefix), r.is_direct) for r in facts.routes or ()} >= {
        ("br0", "10.0.1.0/24", True),
        ("br0", "fd00::/64", True),
        ("br0", "10.9.0.0/16", False),
    }
    states = {check.name: check for check in judge(facts)}
    assert "br0 (one, two)" in states["bridges"].found
    for name in ("bridges", "other base chains", "marks"):
        assert states[name].state is State.WARNING


def test_table_flags(namespace: NetworkNamespace) -> None:
    """Flags that no kernel has are refused, so the answer means something."""

    def probe() -> tuple[bool, bool]:
        with NftProbe() as made:
            return made.takes_table_flags(0), made.takes_table_flags(batch.TABLE_OWNER | 1 << 30)

    assert namespace.call(probe) == (True, False)


def test_a_hash_that_no_kernel_has(
    namespace: NetworkNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another kind of hash is refused, so the answer means something."""

    def has() -> bool:
        with NftProbe() as made:
            return made.has_flow_hash()

    assert namespace.call(has)
    monkeypatch.setattr(expressions, "_HASH_SYMMETRIC", 99)
    assert not namespace.call(has)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    """A gateway without hosts yet."""
    with network(tmp_path) as made:
        yield made


def test_with_a_running_daemon(net: Network) -> None:
    """Its worker reads the queue and its table is left alone; stopped, its rules are noticed."""
    net.host("server", *nic_addresses(1, 4))
    policy = document(
        [make_subnet("one", 1, "web")],
        [nic("server", "one", 4, 1), nic("late", "one", 5, 1)],
        {"web": [rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")]},
    )
    net.start(policy)

    def doctor() -> tuple[int, dict[str, Any]]:
        answer = net.nsgd("doctor", "-o", "json", "--config", str(net.config))
        checks = json.loads(answer.stdout)["checks"]
        return answer.returncode, {check["name"]: check for check in checks}

    code, checks = doctor()
    assert code == 0, checks
    assert checks["daemon"]["state"] == "ok"
    assert checks["queue number"]["found"] == "the daemon's worker reads queue 9480"
    assert checks["links of the policy"]["found"] == "absent: veth-late"
    assert net.status()["worker"]["restarts"] == 0
    net.stop()
    code, checks = doctor()
    assert code == 1
    assert "not decided" in checks["daemon"]["found"]
    assert checks["queue number"]["state"] == "ok"


def test_a_queue_that_another_process_reads(namespace: NetworkNamespace) -> None:
    """It is named."""
    reader = namespace.popen(
        [
            *(sys.executable, "-c"),
            "import netfilterqueue, time; q = netfilterqueue.NetfilterQueue();"
            " q.bind(9480, print); print('bound', flush=True); time.sleep(60)",
        ],
        stdout=-1,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "bound\n"
    (check,) = (c for c in judge(namespace.call(gather)) if c.name == "queue number")
    assert check.state is State.PROBLEM
    assert f"process {reader.pid} (" in check.found


def test_addresses_and_routing_rules(namespace: NetworkNamespace) -> None:
    """The machine's own addresses, and the bits of a mark that routing rules compare."""
    namespace.add_address("lo", "10.0.1.4/24")
    namespace.add_address("lo", "fd00::4/64")
    for family, mark in (("-4", "0x10/0xf0"), ("-6", "7")):
        namespace.run(["ip", family, "rule", "add", "fwmark", mark, "lookup", "main"])
    facts = namespace.call(gather)
    expected = {"127.0.0.1", "::1", "10.0.1.4", "fd00::4"}
    assert {str(address) for address in facts.own_addresses or ()} >= expected
    assert not {str(address) for address in facts.own_addresses or ()} & {"10.0.1.0", "10.0.1.255"}
    assert set(facts.rule_marks or ()) == {0xF0, 0xFFFFFFFF}
