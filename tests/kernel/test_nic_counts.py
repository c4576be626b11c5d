"""What the kernel engine counts of network interfaces, through all that changes its maps."""

from __future__ import annotations

from typing import Any

from nsgd.kernel.table import NftTable
from tests.kernel.documents import document, nic, subnet
from tests.kernel.network import Network
from tests.kernel.test_kernel_engine import ALLOW_53, ALLOW_80, with_hosts


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

    def read() -> dict[str, int]:
        table = NftTable()
        try:
            return table.read_counters()
        finally:
            table.close()

    found = net.gateway.call(read)
    return {k: v for k, v in found.items() if k.startswith("nic/server") and v}


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
