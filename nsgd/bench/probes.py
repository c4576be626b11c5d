"""What sockets see: latency of first packets, connections a second, an established flow's speed.

Both ends are in this process, each socket in its host's namespace, so that one clock serves both.
"""

from __future__ import annotations

import socket
import struct
import threading
import time

from nsgd.bench.network import CLIENT_ADDRESS, SERVER_ADDRESS, BenchNetwork, text_address
from nsgd.lab.netns import NetworkNamespace

_PORT = 9000
_FIRST_CLIENT_PORT = 10_000
_PROBE_TIMEOUT_S = 0.5
_PROBE_PAUSE_S = 0.001
_TCP_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1 << 20
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of an orderly end


def first_packet_latencies_us(network: BenchNetwork, count: int) -> list[float]:
    """Time from send to receive of new UDP flows, one after another; lost ones are left out."""
    with _socket(network.server, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(_PROBE_TIMEOUT_S)
        receiver.bind((text_address(SERVER_ADDRESS), _PORT))
        return network.client.call(lambda: _probe(receiver, count))


def _probe(receiver: socket.socket, count: int) -> list[float]:
    """Called inside the client's namespace."""
    latencies: list[float] = []
    for index in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((text_address(CLIENT_ADDRESS), _FIRST_CLIENT_PORT + index))
            token = index.to_bytes(4, "big")
            sent_ns = time.perf_counter_ns()
            sender.sendto(token, (text_address(SERVER_ADDRESS), _PORT))
            try:
                while receiver.recv(16) != token:
                    pass
            except TimeoutError:
                continue
            latencies.append((time.perf_counter_ns() - sent_ns) / 1000)
        time.sleep(_PROBE_PAUSE_S)
    return latencies


def tcp_connects_per_s(network: BenchNetwork, duration_s: float) -> float:
    """Connections opened, accepted and reset by one thread, one after another."""
    address = (text_address(SERVER_ADDRESS), _PORT)
    with _listener(network.server, address) as listener:
        return network.client.call(lambda: _connect(listener, address, duration_s))


def _connect(listener: socket.socket, address: tuple[str, int], duration_s: float) -> float:
    """Called inside the client's namespace."""
    count = 0
    start = now = time.perf_counter()
    while now - start < duration_s:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(_TCP_TIMEOUT_S)
            # Resets keep ports from waiting: each connection is a new flow.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            client.connect(address)
            accepted, _ = listener.accept()
            accepted.close()
        count += 1
        now = time.perf_counter()
    return count / (now - start)


def tcp_gbit_per_s(network: BenchNetwork, duration_s: float) -> float:
    """Bytes that one established TCP connection carries, segmentation offload on."""
    address = (text_address(SERVER_ADDRESS), _PORT)
    with (
        _listener(network.server, address) as listener,
        _socket(network.client, socket.SOCK_STREAM) as client,
    ):
        client.settimeout(_TCP_TIMEOUT_S)
        client.connect(address)
        accepted, _ = listener.accept()
        with accepted:
            sender = threading.Thread(target=_send, args=(client, duration_s))
            buffer = bytearray(_CHUNK_BYTES)
            total = 0
            start = time.perf_counter()
            sender.start()
            while size := accepted.recv_into(buffer):
                total += size
            elapsed_s = time.perf_counter() - start
            sender.join()
    return total * 8 / elapsed_s / 1e9


def _send(client: socket.socket, duration_s: float) -> None:
    chunk = bytes(_CHUNK_BYTES)
    deadline = time.perf_counter() + duration_s
    while time.perf_counter() < deadline:
        client.sendall(chunk)
    client.shutdown(socket.SHUT_WR)


def _listener(namespace: NetworkNamespace, address: tuple[str, int]) -> socket.socket:
    listener = _socket(namespace, socket.SOCK_STREAM)
    listener.settimeout(_TCP_TIMEOUT_S)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(128)
    return listener


def _socket(namespace: NetworkNamespace, kind: socket.SocketKind) -> socket.socket:
    return namespace.call(lambda: socket.socket(socket.AF_INET, kind))
