"""The generator's flows: all different, of both protocols, and evenly spread."""

from __future__ import annotations

from collections import Counter

import pytest

from nsgd.bench.flows import (
    ADDRESSES,
    CLIENT_BASE,
    CLIENT_NETWORK,
    DIGITS,
    MOST_ADDRESSES,
    PROTOCOLS,
    SERVER_BASE,
    SERVER_NETWORK,
    addresses,
    make_flows,
)
from nsgd.model.address import Prefix
from nsgd.model.packet import TCP, UDP

ROUNDS = 3
FLOWS = make_flows(ROUNDS * MOST_ADDRESSES * len(PROTOCOLS))


@pytest.mark.parametrize("of_side", ADDRESSES)
def test_every_flow_is_new(of_side: int) -> None:
    """No two flows have the same protocol, addresses and ports."""
    flows = make_flows(30_000, of_side)
    assert len(set(flows)) == len(flows)


def test_the_same_flows_each_time() -> None:
    """Every contender and every run gets the same traffic."""
    assert make_flows(len(FLOWS)) == FLOWS


def test_every_second_flow_is_tcp() -> None:
    """UDP and TCP take turns."""
    assert [flow.protocol for flow in FLOWS[:4]] == [UDP, TCP, UDP, TCP]
    assert Counter(flow.protocol for flow in FLOWS) == {UDP: len(FLOWS) / 2, TCP: len(FLOWS) / 2}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_addresses_occur_equally_often(protocol: int) -> None:
    """After whole rounds each source and each destination has had the same number of flows."""
    flows = [flow for flow in FLOWS if flow.protocol == protocol]
    for values, base in (
        ([f.source for f in flows], CLIENT_BASE),
        ([f.destination for f in flows], SERVER_BASE),
    ):
        assert Counter(values) == dict.fromkeys(addresses(base), ROUNDS)


@pytest.mark.parametrize("of_side", ADDRESSES)
def test_flows_are_between_the_addresses_that_there_are(of_side: int) -> None:
    """Flows for fewer NICs come from and go to all of these, and no others."""
    flows = make_flows(2 * of_side, of_side)
    assert {flow.source for flow in flows} == set(addresses(CLIENT_BASE, of_side))
    assert {flow.destination for flow in flows} == set(addresses(SERVER_BASE, of_side))


def test_addresses_of_a_side_differ() -> None:
    """A side has five thousand addresses, in its network and in ascending order."""
    assert MOST_ADDRESSES == 5000
    for base, network in ((CLIENT_BASE, CLIENT_NETWORK), (SERVER_BASE, SERVER_NETWORK)):
        of_side = addresses(base)
        assert of_side == sorted(set(of_side))
        assert len(of_side) == MOST_ADDRESSES
        prefix = Prefix.parse(network)
        assert prefix.network < of_side[0]
        assert of_side[-1] < prefix.network + (1 << 32 - prefix.length) - 1


def test_digits_do_not_overlap() -> None:
    """Each digit has bits of its own, so that sums are different addresses."""
    taken = 0
    for values, shift in DIGITS:
        bits = (max(values) << 1) - 1 << shift
        assert not taken & bits
        taken |= bits
    assert CLIENT_BASE & taken == SERVER_BASE & taken == 0
