"""The verb denials of a running daemon, with either engine, without audit and flow log."""

from __future__ import annotations

from typing import Any

from nsgd.runtime.control_client import request
from tests.kernel.documents import INTERNET_V4, document, nic, nic_addresses, rule, subnet
from tests.kernel.network import Network


def denials(net: Network, **arguments: Any) -> list[dict[str, Any]]:
    """What is listed."""
    path = net.directory / "run" / "nsgd.sock"
    found: list[dict[str, Any]] = request(path, "denials", **arguments)["denials"]
    return found


def test_who_was_denied_by_which_rule(net: Network) -> None:
    """A packet that the rules drop is listed with its ends, NIC, group, rule and time."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4)
    groups = {"web": [rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")]}
    net.start(document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], groups))
    assert net.tcp("internet", "server", 80)
    assert denials(net) == []
    assert not net.tcp("internet", "server", 22, source_port=40001)
    net.wait(lambda: bool(denials(net)), "no denial is listed")
    (found,) = denials(net)
    assert {name: found[name] for name in found if name not in ("id", "time")} == {
        "direction": "Inbound",
        "networkSecurityGroup": "web",
        "rule": "DenyAllInBound",
        "protocol": "Tcp",
        "source": INTERNET_V4,
        "sourcePort": 40001,
        "destination": "10.0.1.4",
        "destinationPort": 22,
        "from": None,
        "to": "server",
        "networkInterface": "server",
        "times": 1,
        "timesLately": 1,
    }
    assert denials(net, port=23) == []
    assert denials(net, after=found["id"]) == []
