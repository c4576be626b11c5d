"""The generator in its network: new flows when it begins anew, the same ones when asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nsgd.bench.flows import make_flows
from nsgd.bench.frames import make_frames
from nsgd.bench.network import BenchNetwork
from nsgd.lab.netns import Lab

POOL = 400
_CONNTRACK = """\
table inet bench {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state new,established accept
	}
}
"""
_MACS = (b"\2\0\0\0\0\1", b"\2\0\0\0\0\2")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[BenchNetwork]:
    """With conntrack at work in the gateway, and a generator of few frames."""
    frames = tmp_path / "frames"
    frames.write_bytes(make_frames(make_flows(POOL), *_MACS))
    with Lab() as lab:
        network = BenchNetwork(lab, frames)
        network.gateway.run(["nft", "-f", "-"], text_input=_CONNTRACK)
        # Longer than a busy machine may take to send them all.
        network.gateway.sysctl(
            (f"net.netfilter.nf_conntrack_{name}", "60")
            for name in ("udp_timeout", "tcp_timeout_syn_sent")
        )
        yield network


def send(network: BenchNetwork, count: int, first: int | None = None) -> int:
    """Send so many; how many flows the gateway then knows."""
    network.request_flows(20_000, 60.0, count, first)
    assert network.generator_answer()[0] == count
    network.wait_until_quiet()
    text = network.gateway.call(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text)
    return int(text)


@pytest.mark.kernel
def test_no_flow_is_sent_twice(network: BenchNetwork) -> None:
    """Each time anew with other ports, checksums right: conntrack calls none invalid."""
    assert send(network, 5 * POOL) == 5 * POOL
    assert network.conntrack_counts().invalid == 0
    assert network.delivered() >= 5 * POOL


@pytest.mark.kernel
def test_the_same_flows_again(network: BenchNetwork) -> None:
    """From a frame on, the very same packets as before; without one, it goes on behind them."""
    assert send(network, 100, first=20) == 100
    assert send(network, 100, first=20) == 100
    assert send(network, 50) == 150
    network.forget_flows()
    assert send(network, 100, first=20) == 100
