"""A gateway that a flood of denied flows comes to, and what becomes of somebody else's connections.

The flood is UDP, as fast as the generator can. On a link of its own another host opens TCP
connections at a steady rate, each tried once, and sends over one that was open before.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

from nsgd.bench.contenders import ContenderFailed, Running
from nsgd.bench.flows import CLIENT_BASE, SERVER_NETWORK
from nsgd.bench.network import HOST_LINK, SERVER_ADDRESS, BenchNetwork, text_address
from nsgd.bench.probes import ABORT
from nsgd.bench.running_daemon import RunningDaemon, start_daemon
from nsgd.lab.netns import Lab, NetworkNamespace

OTHER_ADDRESS = "192.0.2.10"
OPEN_PORT = 8080
_ADDRESS = text_address(SERVER_ADDRESS), OPEN_PORT
_OTHER_LINK, _GATEWAY_ADDRESS = "to-other", "169.254.1.1"
# No SYN is sent again within it: the first is after a second.
_PATIENCE_S = 0.8
_RAMP_S = 0.15
_SETTLE_S = 0.1
_CHUNK_BYTES = 1 << 16
# What waits here when a pace is taken away or set is sent in a moment.
_SEND_BUFFER_BYTES = 1 << 18
_RANDOM_SOURCES = 200_000

_SO_MAX_PACING_RATE = 47
_PACE, _NO_PACE = Struct("=I"), 0xFFFFFFFF
# Of struct tcp_info: tcpi_bytes_acked.
_TCP_INFO_BYTES, _BYTES_ACKED, _BYTES_ACKED_AT = 128, Struct("=Q"), 120

ONE_RULE = f"""\
table inet bench {{
	chain forward {{
		type filter hook forward priority filter; policy drop;
		ct state established accept
		tcp dport {OPEN_PORT} accept
	}}
}}
"""

# By name: as many addresses that a flood comes from.
SOURCES: dict[str, Callable[[], list[int]]] = {
    "1": lambda: [CLIENT_BASE + 1],
    "256": lambda: [CLIENT_BASE + 1 + index for index in range(256)],
    # Of all of 11.0.0.0/8, none twice.
    "random": lambda: random.Random(1).sample(range(11 << 24, 12 << 24), _RANDOM_SOURCES),
}


@dataclass(frozen=True, slots=True)
class OverloadPlan:
    """How long, and how much, in one round."""

    attempts: int
    attempts_per_s: float
    pairs: int  # turns of both firewalls that the open flow is measured in
    slice_s: float  # of each turn, at a pace; and as much without one
    pace_mbit_per_s: float


FULL_OVERLOAD = OverloadPlan(
    attempts=400, attempts_per_s=200, pairs=6, slice_s=0.4, pace_mbit_per_s=200
)
QUICK_OVERLOAD = OverloadPlan(
    attempts=100, attempts_per_s=200, pairs=2, slice_s=0.2, pace_mbit_per_s=200
)


def policy(engine: str, **daemon: Any) -> dict[str, Any]:
    """Allows TCP to one port of the server, and nothing else."""
    rule = {
        "name": "AllowOpenPort",
        "priority": 100,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "destinationPortRange": str(OPEN_PORT),
        "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "*",
    }
    subnet = {"name": "servers", "addressPrefixes": [SERVER_NETWORK]}
    subnet["networkSecurityGroup"] = "servers"
    return {
        "virtualNetworks": [{"name": "hub", "addressSpace": [SERVER_NETWORK], "subnets": [subnet]}],
        "networkSecurityGroups": [{"name": "servers", "securityRules": [rule]}],
        "daemon": {"metricsListen": "127.0.0.1:0", "engine": engine, **daemon},
    }


def start_one_rule(gateway: NetworkNamespace, directory: Path) -> Running:
    """The firewall that is compared with."""
    gateway.run(["nft", "-f", "-"], text_input=ONE_RULE)
    return Running()


def starter(engine: str, **daemon: Any) -> Callable[[NetworkNamespace, Path], RunningDaemon]:
    """What starts nsgd with an engine, and settings other than the defaults."""

    def start(gateway: NetworkNamespace, directory: Path) -> RunningDaemon:
        path = directory / "policy.json"
        path.write_text(json.dumps(policy(engine, **daemon)))
        return start_daemon(gateway, directory, path)

    return start


class Site:
    """A gateway with a firewall at work, and what is measured there."""

    def __init__(
        self,
        network: BenchNetwork,
        other: NetworkNamespace,
        open_flow: socket.socket,
        running: Running,
    ) -> None:
        self._network = network
        self._other = other
        self._open_flow = open_flow
        self.running = running
        self._flooded_s = 0.0
        self._sent = 0

    def connected_share(self, plan: OverloadPlan) -> float:
        """The share of connections that come about under a flood."""
        with self._flood(plan.attempts / plan.attempts_per_s + _PATIENCE_S):
            return _connected_share(self._other, plan.attempts, plan.attempts_per_s)

    def open_flow_mbit_per_s(self, plan: OverloadPlan) -> tuple[float, float]:
        """What the open flow carries under a flood: at the plan's pace, and as much as it can."""
        with self._flood(_SETTLE_S + 2 * plan.slice_s):
            _set_pace(self._open_flow, int(plan.pace_mbit_per_s * 1e6 / 8))
            _send(self._open_flow, _SETTLE_S)
            paced = _acknowledged_mbit_per_s(self._open_flow, plan.slice_s)
            _set_pace(self._open_flow, _NO_PACE)
            return paced, _acknowledged_mbit_per_s(self._open_flow, plan.slice_s)

    def values(self) -> dict[str, float]:
        """What the floods were, and what a daemon has counted of them. Raises ContenderFailed."""
        self.running.check()
        values = {"floodPerS": self._sent / self._flooded_s}
        if isinstance(self.running, RunningDaemon):
            values |= _counted(self.running, self._flooded_s)
        return values

    @contextlib.contextmanager
    def _flood(self, duration_s: float) -> Iterator[None]:
        self._network.request_flows(None, _RAMP_S + duration_s)
        time.sleep(_RAMP_S)
        yield
        sent, elapsed_s = self._network.generator_answer()
        self._sent += sent
        self._flooded_s += elapsed_s


@contextlib.contextmanager
def overload_site(
    start: Callable[[NetworkNamespace, Path], Running], frames: Path
) -> Iterator[Site]:
    """A fresh gateway, to which a flood of *frames* can come. Raises ContenderFailed."""
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory, Lab() as lab:
        network = BenchNetwork(lab, frames, keeps_ports=True)
        other = lab.namespace("other")
        lab.connect(network.gateway, _OTHER_LINK, other, HOST_LINK)
        other.add_address(HOST_LINK, f"{OTHER_ADDRESS}/32")
        other.add_route("0.0.0.0/0", HOST_LINK, via=_GATEWAY_ADDRESS)
        network.gateway.add_address(_OTHER_LINK, f"{_GATEWAY_ADDRESS}/32")
        network.gateway.add_route(f"{OTHER_ADDRESS}/32", _OTHER_LINK)
        running = start(network.gateway, Path(directory))
        with _listener(network.server), _open(other) as open_flow:
            _connected_share(other, 20, 200)  # neighbours are known
            yield Site(network, other, open_flow, running)


def _counted(running: RunningDaemon, elapsed_s: float) -> dict[str, float]:
    status = running.status()
    queue = status["queue"]
    if queue is None:
        raise ContenderFailed("the queue's state cannot be read")
    packets = status["packets"]
    return {
        "queuedPerS": packets["queued"] / elapsed_s,
        "notAdmittedPerS": sum(packets["notAdmitted"].values()) / elapsed_s,
        "queueDroppedPerS": (queue["droppedFull"] + queue["droppedSocket"]) / elapsed_s,
    }


def _connected_share(other: NetworkNamespace, attempts: int, attempts_per_s: float) -> float:
    """The share of connections that come about, of those tried at a steady rate."""

    def connect() -> float:
        connected = 0
        waiting: dict[int, tuple[socket.socket, float]] = {}
        poll = select.poll()
        start = time.monotonic()
        tried = 0
        while tried < attempts or waiting:
            now = time.monotonic()
            if tried < attempts and now >= start + tried / attempts_per_s:
                tried += 1
                client = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                client.connect_ex(_ADDRESS)
                poll.register(client, select.POLLOUT)
                waiting[client.fileno()] = client, now
                continue
            ended = {number for number, _ in poll.poll(2)}
            late = {n for n, (_, since) in waiting.items() if now - since > _PATIENCE_S}
            for number in ended | late:
                client, _ = waiting.pop(number)
                poll.unregister(number)
                error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                connected += number in ended and not error
                client.close()
        return connected / attempts

    return other.call(connect)


def _acknowledged_mbit_per_s(client: socket.socket, duration_s: float) -> float:
    """What of an open connection's bytes the other end has acknowledged in a time."""
    before, since_s = _acknowledged_bytes(client), time.monotonic()
    _send(client, duration_s)
    acknowledged = _acknowledged_bytes(client) - before
    return acknowledged * 8 / (time.monotonic() - since_s) / 1e6


def _acknowledged_bytes(client: socket.socket) -> int:
    seen = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(_BYTES_ACKED.unpack_from(seen, _BYTES_ACKED_AT)[0])


def _send(client: socket.socket, duration_s: float) -> None:
    """Keep a connection's buffer full."""
    chunk = bytes(_CHUNK_BYTES)
    deadline = time.monotonic() + duration_s
    while (left_s := deadline - time.monotonic()) > 0:
        client.settimeout(left_s)
        with contextlib.suppress(TimeoutError):
            client.send(chunk)


def _set_pace(client: socket.socket, bytes_per_s: int) -> None:
    client.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, _PACE.pack(bytes_per_s))


@contextlib.contextmanager
def _listener(server: NetworkNamespace) -> Iterator[None]:
    """Takes connections and reads from each whatever comes."""
    listener = server.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(_ADDRESS)
    listener.listen(4096)

    def serve() -> None:
        # The first connection is the one that data comes by; others end by themselves.
        with contextlib.suppress(OSError), listener.accept()[0] as first:
            while first.recv(_CHUNK_BYTES):
                pass

    reader = threading.Thread(target=serve, daemon=True)
    reader.start()
    with listener:
        yield
    reader.join(1.0)


@contextlib.contextmanager
def _open(other: NetworkNamespace) -> Iterator[socket.socket]:
    client = other.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    with client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        client.settimeout(5.0)
        client.connect(_ADDRESS)
        yield client
