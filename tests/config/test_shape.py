"""The way out of a refused value says what to write."""

from __future__ import annotations

import pytest

from tests.config.documents import Raw, group, refuse_one, rule


@pytest.mark.parametrize(
    ("document", "way_out"),
    [
        (group(rule(protocol="Any")), "did you mean '*'? One of Tcp, Udp, Icmp, Esp, Ah, '*'"),
        (group(rule(protocol="ICMPv6")), "did you mean 'Icmp'? One of Tcp, Udp, Icmp"),
        (group(rule(protocol="tpc")), "did you mean 'Tcp'? One of Tcp, Udp, Icmp"),
        (group(rule(protocol="sctp9999")), "write one of Tcp, Udp, Icmp, Esp, Ah, '*'"),
        (group(rule(access="Alow")), "did you mean 'Allow'? One of Allow, Deny is allowed"),
        (group(rule(access=True)), "write one of Allow, Deny"),
        (group(rule(priority=99)), "write a number from 100 to 4096"),
        (group(rule(priority="200")), "write a number from 100 to 4096, without quotes"),
        (group(rule(priority="0200")), "write a number from 100 to 4096"),
        (group(rule(name="a b")), "write a name of 1-80 letters, digits, '_', '.' and '-'"),
        (group(rule(name=12)), "write a name of 1-80 letters"),
        (group(rule(description="x" * 200)), "shorten it"),
        (group(rule(description="\0")), "remove them"),
        ({"daemon": {"engine": "nft"}}, "write one of queue, kernel"),
        ({"daemon": {"queues": 17}}, "write a number from 1 to 16"),
        ({"daemon": {"roles": "gateway"}}, "write ['gateway']"),
        ({"daemon": {"roles": {}}}, "write a list"),
        ({"zzz": 1}, "a document has virtualNetworks"),
        ({"daemon": 5}, "write an object with roles, engine"),
        ({"virtualNetworks": [5]}, "write an object with name, addressSpace"),
    ],
)
def test_way_out(document: Raw, way_out: str) -> None:
    """Nearest first, then all that is allowed."""
    assert refuse_one(document)[2].startswith(way_out)
