"""Facts of a host where all is well, and changes to them."""

from __future__ import annotations

import dataclasses
from typing import Any

from nsgd.doctor.check import Check
from nsgd.doctor.checks import judge
from nsgd.doctor.facts import Facts, Nftables, NftCommand, Policy, QueueReader
from nsgd.kernel.probe import BaseChainSeen
from nsgd.kernel.topology import LinkSeen, RouteSeen
from nsgd.model.address import Address, Prefix
from nsgd.model.network import NetworkInterface, NetworkModel
from nsgd.model.settings import DaemonSettings

NFTABLES = Nftables(
    has_queue_statement=True,
    has_queue_target=True,
    has_queues=True,
    has_conntrack=True,
    takes_owner=True,
    takes_owner_and_persist=True,
    chains=(BaseChainSeen("inet", "nsgd", "hook_forward", "forward", 10, False),),
)
NFT = NftCommand((1, 0, 6), ())
STATUS = {
    "version": "0.1.0",
    "generation": 3,
    "worker": {"up": True, "pid": 70},
    "workers": [{"queueNumber": 9480, "up": True, "pid": 70}],
}
POLICY = Policy(
    NetworkModel(
        network_interfaces=(
            NetworkInterface("web1", "lab", "web", (Address.parse("10.0.1.4"),), "veth-web1"),
            NetworkInterface("web2", "lab", "web", (Address.parse("10.0.1.5"),)),
        )
    ),
    DaemonSettings(),
)
HEALTHY = Facts(
    kernel_release="6.12.30-amd64",
    has_net_admin=True,
    nftables=NFTABLES,
    sysctls={
        "net.ipv4.ip_forward": "1",
        "net.ipv6.conf.all.forwarding": "1",
        "net.netfilter.nf_conntrack_max": "262144",
        "net.netfilter.nf_conntrack_count": "100",
        "net.netfilter.nf_conntrack_acct": "1",
        "net.netfilter.nf_conntrack_events": "1",
        "net.netfilter.nf_conntrack_timestamp": "1",
        "net.netfilter.nf_conntrack_tcp_loose": "1",
        "net.bridge.bridge-nf-call-iptables": "1",
        "net.bridge.bridge-nf-call-ip6tables": "1",
    },
    legacy_tables={"ip": (), "ip6": ()},
    nft=NFT,
    netfilterqueue="1.1.0",
    queue_library="/usr/lib/libnetfilter_queue.so.1.5.0",
    links=(LinkSeen(1, "lo"), LinkSeen(2, "veth-web1", kind="veth"), LinkSeen(3, "veth-web2")),
    routes=(
        RouteSeen(Prefix.parse("10.0.1.4/32"), 2, True),
        RouteSeen(Prefix.parse("10.0.1.5/32"), 3, True),
    ),
    own_addresses=frozenset({Address.parse("127.0.0.1"), Address.parse("192.0.2.1")}),
    rule_marks=frozenset(),
    is_queue_readable=True,
    queue_readers={9480: QueueReader(70, "nsgd-worker")},
    status=STATUS,
    policy=POLICY,
)


def check(name: str, **changes: Any) -> Check:
    """The check of that name, on a healthy host with some facts changed."""
    (found,) = (c for c in judge(dataclasses.replace(HEALTHY, **changes)) if c.name == name)
    return found


def nftables(**changes: Any) -> Nftables:
    """A healthy kernel's nftables with some answers changed."""
    return dataclasses.replace(NFTABLES, **changes)


def sysctls(**changes: str | None) -> dict[str, str]:
    """Healthy settings with some changed, by the end of their names; None takes one away."""
    made: dict[str, str] = {}
    for name, value in HEALTHY.sysctls.items():
        end = next((key for key in changes if name.replace("-", "_").endswith(key)), None)
        changed = value if end is None else changes[end]
        if changed is not None:
            made[name] = changed
    return made
