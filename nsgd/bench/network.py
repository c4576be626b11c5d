"""Client, gateway and server in namespaces of their own, and what is counted between them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsgd.bench.flows import (
    CLIENT_BASE,
    CLIENT_NETWORK,
    FIRST_PORT,
    PORTS,
    PROTOCOLS,
    SERVER_BASE,
    SERVER_NETWORK,
    Flow,
    make_flows,
)
from nsgd.bench.frames import FLOOD_TOS, SLOT_BYTES, make_frames
from nsgd.kernel.error import KernelError
from nsgd.kernel.netfilter import NETLINK_NETFILTER
from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.lab.traffic import module_environment
from nsgd.model.packet import UDP
from nsgd.wire import netlink

CLIENT_LINK, SERVER_LINK = "to-client", "to-server"
HOST_LINK = "eth0"
_CLIENT_MAC, _GATEWAY_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
# Ends of sockets; of the flows' own addresses, so that a policy's NICs have them.
CLIENT_ADDRESS, SERVER_ADDRESS = CLIENT_BASE, SERVER_BASE
_GATEWAY_ADDRESS = "169.254.1.1"
# New flows of one window must fit the connection table, which holds 262 144 here.
POOL_FLOWS = 200_000
DENIED_PORT = 9  # of floods that a contender denies
_NEW_FLOW_TIMEOUT_S = 2
_TIMEOUTS = ("udp_timeout", "udp_timeout_stream", "tcp_timeout_syn_sent")
_ANSWER_TIMEOUT_S = 30.0
_DRAIN_TIMEOUT_S = 3.0
_POLL_S = 0.01
_QUIET_POLLS = 4
_CT_DELETE = 1 << 8 | 2

_DROP_FLOOD = f"""\
table ip bench {{
	chain arrived {{
		type filter hook prerouting priority raw; policy accept;
		ip dscp {FLOOD_TOS >> 2} drop
	}}
}}
"""


def text_address(address: int) -> str:
    """Dotted form of an IPv4 address."""
    return socket.inet_ntoa(address.to_bytes(4, "big"))


@dataclass(frozen=True, slots=True)
class ConntrackCounts:
    """Packets that conntrack itself dropped, entries that it gave up for new ones, and packets
    that it called invalid, so that they are of no flow."""

    drop: int
    early_drop: int
    invalid: int


class BenchNetwork:
    """One run's namespaces; the gateway has no ruleset yet."""

    def __init__(self, lab: Lab, frames: Path, *, keeps_ports: bool = False) -> None:
        """Build it, with the generator waiting.

        Args:
            lab: Owns the namespaces.
            frames: The file that write_frames wrote, or write_denied_frames.
            keeps_ports: Whether a frame is sent as it is again.
        """
        self.gateway = lab.namespace("gateway", forwarding=True)
        self.client = lab.namespace("client")
        self.server = lab.namespace("server")
        lab.connect(self.gateway, CLIENT_LINK, self.client, HOST_LINK)
        lab.connect(self.gateway, SERVER_LINK, self.server, HOST_LINK)
        self._set_mac(self.client, HOST_LINK, _CLIENT_MAC)
        self._set_mac(self.gateway, CLIENT_LINK, _GATEWAY_MAC)
        for namespace, link, address, network in (
            (self.client, CLIENT_LINK, CLIENT_ADDRESS, CLIENT_NETWORK),
            (self.server, SERVER_LINK, SERVER_ADDRESS, SERVER_NETWORK),
        ):
            own = text_address(address)
            namespace.add_address(HOST_LINK, f"{own}/32")
            namespace.add_route("0.0.0.0/0", HOST_LINK, via=_GATEWAY_ADDRESS)
            self.gateway.add_address(link, f"{_GATEWAY_ADDRESS}/32")
            self.gateway.add_route(f"{own}/32", link)
            self.gateway.add_route(network, link, via=own)
        self.gateway.sysctl(
            (f"net.netfilter.nf_conntrack_{name}", str(_NEW_FLOW_TIMEOUT_S)) for name in _TIMEOUTS
        )
        self.server.run(["nft", "-f", "-"], text_input=_DROP_FLOOD)
        self._generator = self.client.popen(
            [
                *(sys.executable, "-m", "nsgd.bench.generator"),
                *("--link", HOST_LINK, "--frames", str(frames)),
                *(("--keep-ports",) if keeps_ports else ()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=module_environment(),
        )
        self.generator_pid = self._generator.pid
        self.sent = 0  # flows, since the generator was started
        self._answer()

    def drop_at_gateway(self) -> None:
        """Have the gateway drop the generator's packets before it does anything with them."""
        self.gateway.run(["nft", "-f", "-"], text_input=_DROP_FLOOD)

    def request_flows(
        self,
        rate: float | None,
        duration_s: float,
        limit: int | None = None,
        first: int | None = None,
    ) -> None:
        """Have the generator start; see Generator.send."""
        assert self._generator.stdin is not None
        request = {"rate": rate, "durationS": duration_s, "limit": limit, "first": first}
        self._generator.stdin.write(json.dumps(request) + "\n")
        self._generator.stdin.flush()

    def generator_answer(self) -> tuple[int, float]:
        """Wait for the generator's end: flows sent, and in what time in seconds."""
        answer = self._answer()
        self.sent += answer["sent"]
        return answer["sent"], answer["elapsedS"]

    def _answer(self) -> dict[str, Any]:
        assert self._generator.stdout is not None
        line = self._generator.stdout.readline()
        if not line:
            raise RuntimeError("the generator has died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def delivered(self) -> int:
        """Packets that have arrived at the server."""
        return _received(self.server, HOST_LINK)

    def arrived_at_gateway(self) -> int:
        """Packets that have arrived at the gateway from the client."""
        return _received(self.gateway, CLIENT_LINK)

    def wait_until_quiet(self) -> None:
        """Wait until nothing more arrives at the server."""
        deadline = time.monotonic() + _DRAIN_TIMEOUT_S
        last, polls = self.delivered(), 0
        while polls < _QUIET_POLLS and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            now = self.delivered()
            polls = polls + 1 if now == last else 0
            last = now

    def forget_flows(self) -> None:
        """Empty the gateway's connection table. Raises KernelError."""
        self.gateway.call(_flush_conntrack)

    def conntrack_counts(self) -> ConntrackCounts:
        """What the gateway's conntrack has counted since the namespace was made."""
        text = self.gateway.call(
            lambda: Path("/proc/thread-self/net/stat/nf_conntrack").read_text()
        )
        names, *rows = (line.split() for line in text.splitlines())
        sums = {name: sum(int(row[index], 16) for row in rows) for index, name in enumerate(names)}
        return ConntrackCounts(sums["drop"], sums["early_drop"], sums["invalid"])

    @staticmethod
    def _set_mac(namespace: NetworkNamespace, link: str, address: str) -> None:
        namespace.iproute.link("set", index=namespace.links()[link], address=address)


def write_frames(path: Path, nics: int, count: int = POOL_FLOWS) -> None:
    """Write the frames of all flows, in the order in which every contender gets them.

    Args:
        path: The file.
        nics: How many the flows are between, on both sides together.
        count: Only the first so many of them, for generators that are many and need no more.
    """
    macs = (bytes.fromhex(mac.replace(":", "")) for mac in (_CLIENT_MAC, _GATEWAY_MAC))
    path.write_bytes(make_frames(make_flows(POOL_FLOWS, nics // 2)[:count], *macs))


def write_denied_frames(path: Path, sources: Sequence[int]) -> None:
    """Write frames of UDP flows to one port of the server, as many as the pool, for each in turn.

    Args:
        path: The file.
        sources: Addresses that they come from.
    """
    macs = (bytes.fromhex(mac.replace(":", "")) for mac in (_CLIENT_MAC, _GATEWAY_MAC))
    flows = [
        Flow(
            PROTOCOLS[index % 2],
            sources[index // 2 % len(sources)],
            SERVER_BASE,
            FIRST_PORT + index // 2 % PORTS,
            DENIED_PORT,
        )
        for index in range(2 * POOL_FLOWS)
    ]
    both = make_frames(flows, *macs)
    words = array("Q", bytes(both))
    # Slots of UDP and TCP in turn.
    slot = SLOT_BYTES // 8
    of_udp = array("Q", bytes(len(both) // 2))
    for word in range(slot):
        of_udp[word::slot] = words[PROTOCOLS.index(UDP) * slot + word :: 2 * slot]
    path.write_bytes(of_udp.tobytes())


def _received(namespace: NetworkNamespace, link: str) -> int:
    text = namespace.call(lambda: Path("/proc/thread-self/net/dev").read_text())
    for line in text.splitlines():
        name, _, fields = line.partition(":")
        if name.strip() == link:
            return int(fields.split()[1])
    raise LookupError(f"no link {link} in {namespace.name}")


def _flush_conntrack() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as channel:
        channel.settimeout(_ANSWER_TIMEOUT_S)
        channel.bind((0, 0))
        channel.send(netlink.message(_CT_DELETE, netlink.NLM_F_ACK, 1, 0))
        for kind, _, payload in netlink.split_messages(channel.recv(1 << 16)):
            if kind == netlink.NLMSG_ERROR and netlink.error_number(payload):
                raise KernelError("flush", "conntrack", netlink.error_number(payload))
