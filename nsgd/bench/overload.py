"""One flood of denied flows against a gateway, and what becomes of somebody else's connections.

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
from typing import Any

from nsgd.bench.contenders import ContenderFailed, Running
from nsgd.bench.flows import CLIENT_BASE, SERVER_NETWORK
from nsgd.bench.network import HOST_LINK, SERVER_ADDRESS, BenchNetwork, text_address
from nsgd.bench.probes import ABORT
from nsgd.bench.running_daemon import RunningDaemon, start_daemon
from nsgd.lab.netns import Lab, NetworkNamespace

OTHER_ADDRESS = "192.0.2.10"
OPEN_PORT = 8080
_OTHER_LINK, _GATEWAY_ADDRESS = "to-other", "169.254.1.1"
# No SYN is sent again within it: the first is after a second.
_PATIENCE_S = 0.8
_RAMP_S = 0.3
_CHUNK_BYTES = 1 << 16
_RANDOM_SOURCES = 200_000

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
    """How long, and how much."""

    attempts: int
    attempts_per_s: float
    bulk_s: float


FULL_OVERLOAD = OverloadPlan(attempts=600, attempts_per_s=200, bulk_s=2.0)
QUICK_OVERLOAD = OverloadPlan(attempts=100, attempts_per_s=200, bulk_s=0.5)


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


def measure_overload(
    start: Callable[[NetworkNamespace, Path], Running], frames: Path, plan: OverloadPlan
) -> dict[str, float]:
    """Values of one flood in a fresh gateway: shares, and rates a second.

    Raises ContenderFailed.
    """
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory, Lab() as lab:
        network = BenchNetwork(lab, frames, keeps_ports=True)
        other = lab.namespace("other")
        lab.connect(network.gateway, _OTHER_LINK, other, HOST_LINK)
        other.add_address(HOST_LINK, f"{OTHER_ADDRESS}/32")
        other.add_route("0.0.0.0/0", HOST_LINK, via=_GATEWAY_ADDRESS)
        network.gateway.add_address(_OTHER_LINK, f"{_GATEWAY_ADDRESS}/32")
        network.gateway.add_route(f"{OTHER_ADDRESS}/32", _OTHER_LINK)
        running = start(network.gateway, Path(directory))
        address = text_address(SERVER_ADDRESS), OPEN_PORT
        with _listener(network.server, address), _open(other, address) as established:
            _connected_share(other, address, OverloadPlan(20, 200, 0))  # neighbours are known
            duration_s = plan.attempts / plan.attempts_per_s + _PATIENCE_S
            network.request_flows(None, _RAMP_S + duration_s + plan.bulk_s)
            time.sleep(_RAMP_S)
            connected = _connected_share(other, address, plan)
            acknowledged = _acknowledged_bytes(established, plan.bulk_s)
            sent, elapsed_s = network.generator_answer()
        running.check()
        values = {
            "connectedShare": connected,
            "bulkMbitPerS": acknowledged * 8 / plan.bulk_s / 1e6 if plan.bulk_s else 0.0,
            "floodPerS": sent / elapsed_s,
        }
        if isinstance(running, RunningDaemon):
            values |= _counted(running, elapsed_s)
        return values


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


def _connected_share(
    other: NetworkNamespace, address: tuple[str, int], plan: OverloadPlan
) -> float:
    """The share of connections that come about, of those tried at a steady rate."""

    def connect() -> float:
        connected = 0
        waiting: dict[int, tuple[socket.socket, float]] = {}
        poll = select.poll()
        start = time.monotonic()
        tried = 0
        while tried < plan.attempts or waiting:
            now = time.monotonic()
            if tried < plan.attempts and now >= start + tried / plan.attempts_per_s:
                tried += 1
                client = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                client.connect_ex(address)
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
        return connected / plan.attempts

    return other.call(connect)


def _acknowledged_bytes(client: socket.socket, duration_s: float) -> int:
    """What an open connection carries in a time."""
    chunk = bytes(_CHUNK_BYTES)
    sent = 0
    deadline = time.monotonic() + duration_s
    while (left_s := deadline - time.monotonic()) > 0:
        client.settimeout(left_s)
        with contextlib.suppress(TimeoutError):
            sent += client.send(chunk)
    return sent


@contextlib.contextmanager
def _listener(server: NetworkNamespace, address: tuple[str, int]) -> Iterator[None]:
    """Takes connections and reads from each whatever comes."""
    listener = server.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
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
def _open(other: NetworkNamespace, address: tuple[str, int]) -> Iterator[socket.socket]:
    client = other.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    with client:
        client.settimeout(5.0)
        client.connect(address)
        yield client
