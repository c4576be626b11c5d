"""What the kernel engine counts of network interfaces, through all that changes its maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nsgd.kernel.table import NftTable
from nsgd.lab.netns import Lab, NetworkNamespace
from tests.kernel.documents import document, nic, subnet
from tests.kernel.network import Network
from tests.kernel.test_kernel_engine import ALLOW_53, ALLOW_80, counters, with_hosts
from tests.ruleset.policies import Daemon


def policy(
    *, group: str | None = None, more: int = 0, engine: str = "kernel", link: bool = True
) -> dict[str, Any]:
    """A server with a group of its own or none, in a subnet with one, and other interfaces."""
    server = nic("server", "one", 4, 1)
    if group is not None:
        server["networkSecurityGroup"] = group
    if not link:
        del server["link"]
    others = [nic(f"other{each}", "one", 20 + each, 1, link=None) for each in range(more)]
    groups = {"web": [ALLOW_80, ALLOW_53], "own": [ALLOW_53]}
    made = document([subnet("one", 1, "web")], [server, *others], groups)
    return made | {"daemon": {"engine": engine}}


def counts(net: Network) -> dict[str, int]:
    """Of the server, those that are not zero."""
    return {k: v for k, v in counters(net).items() if k.startswith("nic/server")}


def send(net: Network) -> None:
    """One that is allowed, and one that is denied."""
    assert net.udp("internet", "server", 53)
    assert not net.udp("internet", "server", 54)


def expect(net: Network, number: int) -> None:
    """So many of each, as the table has it and, by what is read of it, the metrics."""
    assert counts(net) == {"nic/server/in": 2 * number, "nic/server/in/deny": number}


def test_counts_outlive_what_counts_them(net: Network) -> None:
    """Another way of the interface, another room of its map, another daemon, another engine."""
    with_hosts(net).start(policy())
    for number, link in ((0, True), (5, False)):
        net.reload(policy(link=link))
        send(net)
        expect(net, number + 1)
        net.reload(policy(link=link, group="own"))
        expect(net, number + 1)
        send(net)
        expect(net, number + 2)
        net.reload(policy(link=link, more=200))
        send(net)
        expect(net, number + 3)
        net.kill()
        send(net)
        net.restart()
        expect(net, number + 4)
        send(net)
        net.reload(policy(link=link, group="own"))
        expect(net, number + 5)
        # Once more, of what was carried already.
        net.reload(policy(link=link))
        net.reload(policy(link=link, engine="queue"))
        expect(net, number + 5)
        net.reload(policy(link=link, engine="queue", group="own"))
        expect(net, number + 5)


def test_an_address_of_several_goes(net: Network) -> None:
    """The others go on counting what they have counted, which is nowhere twice."""
    both = policy(link=False)
    both["networkInterfaces"][0]["privateIPAddresses"].append("10.0.1.40")
    with_hosts(net).start(both)
    send(net)
    net.reload(policy(link=False))
    expect(net, 1)
    send(net)
    expect(net, 2)


def test_counts_end_with_the_interface(net: Network) -> None:
    """Also what earlier elements of its maps have counted."""
    with_hosts(net).start(policy())
    send(net)
    net.reload(policy(group="own"))
    expect(net, 1)
    gone = policy()
    gone["networkInterfaces"] = []
    net.reload(gone)
    net.reload(policy(group="own"))
    net.wait(lambda: counts(net) == {}, "counted still")


def test_addresses_of_both_versions_are_one_interface_s(net: Network) -> None:
    """Known by its link or by its addresses; one that becomes another's takes no counts along."""
    with_hosts(net).start(policy())
    for link in (True, False):
        net.reload(policy(link=link))
        for version in (4, 6):
            assert net.udp("internet", "server", 53, version)
            assert not net.udp("internet", "server", 54, version)
    expect(net, 4)
    taken = policy(link=False, more=1)
    server, other = taken["networkInterfaces"]
    swapped = server["privateIPAddresses"], other["privateIPAddresses"]
    other["privateIPAddresses"], server["privateIPAddresses"] = swapped
    net.reload(taken)
    send(net)
    expect(net, 4)
    net.reload(policy(link=False))
    send(net)
    expect(net, 5)


@pytest.fixture
def gateway() -> Iterator[NetworkNamespace]:
    """An empty namespace."""
    with Lab() as lab:
        yield lab.namespace("gateway")


OF_AN_OLDER_VERSION = """
table inet nsgd {
  counter nic/server/in { packets 9 bytes 900 }
  counter nic/server/in/deny { packets 5 bytes 500 }
  counter nic/server/out/deny { packets 0 bytes 0 }
  counter nic/gone/in/deny { packets 3 bytes 300 }
  counter nic/gone/out/deny { packets 0 bytes 0 }
  map in_denied4.a/256 {
    type ipv4_addr : counter
    size 256
    elements = { 10.0.1.4 : "nic/server/in/deny", 10.0.1.5 : "nic/gone/in/deny" }
  }
  map in_denied_links.a/0 {
    type ifname : counter
    elements = { "veth-server" : "nic/server/in/deny" }
  }
  chain denied_in {
    counter name oifname map @in_denied_links.a/0 drop
    counter name ip daddr map @in_denied4.a/256
    drop
  }
}
"""


@pytest.mark.parametrize("engine", ["kernel", "queue"])
def test_a_table_of_an_older_version(gateway: NetworkNamespace, engine: str) -> None:
    """Its counters of denials become counts of what came before; others of interfaces go."""
    gateway.run(["nft", "-f", "-"], text_input=OF_AN_OLDER_VERSION)
    with gateway.call(NftTable) as table:
        table.apply(Daemon().load(policy(engine=engine), table.epoch()))
        table.tidy()
        found = {k: v for k, v in table.read_counters().items() if k.startswith("nic/") and v}
        assert found == {"nic/server/in": 9, "nic/server/in/deny": 5}
        named = {name for name in table.present().counters if name.startswith("nic/")}
        assert named == found.keys()


def test_a_set_that_somebody_has_emptied(
    gateway: NetworkNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others have counted goes on in the table that is written anew."""
    monkeypatch.setattr("nsgd.kernel.table._OWNED", 0)
    with gateway.call(NftTable) as table:
        daemon = Daemon()
        table.apply(daemon.load(policy(), table.epoch()))
        table.tidy()
        counted = 'counter packets 5 bytes 500 comment "nic/server/{}/deny"'
        for way in ("in", "out"):
            name = f"inet nsgd {way}_denied4.a/256"
            element = f"10.0.1.4 {counted.format(way)}"
            gateway.run(["nft", f"delete element {name} {{ 10.0.1.4 }}"])
            gateway.run(["nft", f"add element {name} {{ {element} }}"])
        assert {k for k, v in table.read_counters().items() if v == 5} == {
            "nic/server/in/deny",
            "nic/server/out/deny",
        }
        gateway.run(["nft", "flush set inet nsgd out_denied4.a/256"])
        table.forget()
        table.apply(daemon.load(policy(), table.epoch()))
        table.tidy()
        found = table.read_counters()
    assert (found["nic/server/in/deny"], found["nic/server/out/deny"]) == (5, 0)
