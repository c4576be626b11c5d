"""A host of the lab: answers on the ports it is told, sends probes, and says what became of them.

Runs inside a namespace as ``python -m nsgd.lab.agent`` and speaks JSON lines on its standard input
and output, one answer for each request, in their order:

    {"listen": {"addresses": [...], "tcp": [80], "udp": [53]}}  -> {"listening": N}
    {"probe": [PROBE, ...], "timeout_s": 0.8, "concurrency": 64} -> {"results": [RESULT, ...]}
    {"arrivals": true}                                           -> {"arrivals": [ARRIVAL, ...]}

A probe sends ONE first packet: the timeout must be below the second after which the kernel repeats
a SYN. An arrival is [protocol, source, port or echo identifier, destination, destination port],
seen whether or not the answer comes back. Standard library only, so that it starts at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import resource
import socket
import struct
import sys
from functools import partial
from typing import Any

from nsgd.lab.icmp import echo_request, read_echo, read_syn

ANSWERED = "answered"
NO_ANSWER = "no answer"
REFUSED = "refused"
ICMP_ERROR = "icmp error"
FAILED = "not sent"

_IP_RECVERR, _IPV6_RECVERR = 11, 25  # not in the socket module of every Python we run on
_MAXIMUM_LINE_BYTES = 1 << 24
Arrival = tuple[str, str, int, str, int]


class ProbeError(Exception):
    """A probe's outcome other than an answer: the state and its detail."""

    def __init__(self, state: str, detail: str) -> None:
        super().__init__(detail)
        self.state = state


class Agent:
    """Listeners, raw sockets and the probes under way."""

    def __init__(self) -> None:
        self._arrivals: list[Arrival] = []
        self._icmp_sockets: dict[str, socket.socket] = {}
        self._echoes: dict[int, asyncio.Future[None]] = {}
        self._last_identifier = 0
        self._keep: list[Any] = []

    async def listen(self, addresses: list[str], tcp: list[int], udp: list[int]) -> dict[str, Any]:
        """Answer on every address, so that an answer comes from the address that was asked."""
        loop = asyncio.get_running_loop()
        for address in addresses:
            if address not in self._icmp_sockets:
                self._open_raw(address)
            for port in tcp:
                self._keep.append(await asyncio.start_server(_echo_line, address, port))
            for port in udp:
                transport, _ = await loop.create_datagram_endpoint(
                    partial(_EchoDatagram, self._arrivals, address, port),
                    local_addr=(address, port),
                )
                self._keep.append(transport)
        return {"listening": len(self._keep)}

    def _open_raw(self, address: str) -> None:
        version = _version(address)
        loop = asyncio.get_running_loop()
        icmp = socket.IPPROTO_ICMPV6 if version == 6 else socket.IPPROTO_ICMP
        for protocol in (icmp, socket.IPPROTO_TCP):
            raw = socket.socket(_family(address), socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
            raw.bind((address, 0))
            self._keep.append(raw)
            if protocol == socket.IPPROTO_TCP:
                loop.add_reader(raw, self._read_tcp, raw, version, address)
            else:
                self._icmp_sockets[address] = raw
                loop.add_reader(raw, self._read_icmp, raw, version, address)

    def _read_tcp(self, raw: socket.socket, version: int, address: str) -> None:
        with contextlib.suppress(BlockingIOError):
            data, sender = raw.recvfrom(65535)
            if ports := read_syn(version, data):
                self._arrivals.append(("tcp", sender[0], ports[0], address, ports[1]))

    def _read_icmp(self, raw: socket.socket, version: int, address: str) -> None:
        with contextlib.suppress(BlockingIOError):
            data, sender = raw.recvfrom(65535)
            echo = read_echo(version, data)
            if echo is None:
                return
            if echo.kind == "request":
                self._arrivals.append(("icmp", sender[0], echo.identifier, address, 0))
                return
            future = self._echoes.get(echo.identifier)
            if future is None or future.done():
                return
            if echo.kind == "reply":
                future.set_result(None)
            else:
                future.set_exception(ProbeError(ICMP_ERROR, f"{echo.text} from {sender[0]}"))

    def take_arrivals(self) -> dict[str, Any]:
        """What arrived since the last time it was asked for."""
        arrivals, self._arrivals[:] = list(self._arrivals), []
        return {"arrivals": arrivals}

    async def probe_all(
        self, probes: list[dict[str, Any]], timeout_s: float, concurrency: int
    ) -> dict[str, Any]:
        """Run the probes, at most *concurrency* at a time; the results are in their order."""
        gate = asyncio.Semaphore(concurrency)

        async def one(probe: dict[str, Any]) -> dict[str, Any]:
            async with gate:
                return await self._probe(probe, timeout_s)

        return {"results": await asyncio.gather(*map(one, probes))}

    async def _probe(self, probe: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        result = {"state": ANSWERED, "detail": "", "source_port": 0}
        send = {"tcp": self._tcp, "udp": self._udp, "icmp": self._icmp}[probe["protocol"]]
        try:
            async with asyncio.timeout(timeout_s):
                await send(probe, result)
        except TimeoutError:
            result["state"] = NO_ANSWER
        except ProbeError as error:
            result |= {"state": error.state, "detail": str(error)}
        except OSError as error:
            result |= {"state": _state_of(error), "detail": error.strerror or str(error)}
        return result

    async def _tcp(self, probe: dict[str, Any], result: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        with _bound_socket(probe, socket.SOCK_STREAM, result) as sock:
            # Closed by a reset: no later segment of this flow can meet a firewall that has
            # forgotten it and be judged, and counted, once more.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await loop.sock_connect(sock, (probe["destination"], probe["port"]))
            token = probe["token"].encode() + b"\n"
            await loop.sock_sendall(sock, token)
            received = b""
            while len(received) < len(token):
                part = await loop.sock_recv(sock, len(token))
                if not part:
                    raise ProbeError(REFUSED, "closed without an answer")
                received += part
            if received != token:
                raise ProbeError(REFUSED, "another answer")

    async def _udp(self, probe: dict[str, Any], result: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        with _bound_socket(probe, socket.SOCK_DGRAM, result) as sock:
            # Without it a connected socket is told of closed ports only.
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            try:
                sock.connect((probe["destination"], probe["port"]))
                sock.send(probe["token"].encode())
            except OSError as error:
                raise ProbeError(FAILED, error.strerror or str(error)) from error
            if await loop.sock_recv(sock, 2048) != probe["token"].encode():
                raise ProbeError(REFUSED, "another answer")

    async def _icmp(self, probe: dict[str, Any], result: dict[str, Any]) -> None:
        # The identifier is what conntrack knows an echo by: a new one makes a new flow.
        self._last_identifier = identifier = self._last_identifier % 65535 + 1
        result["source_port"] = identifier
        version = _version(probe["destination"])
        self._echoes[identifier] = future = asyncio.get_running_loop().create_future()
        try:
            raw = self._icmp_sockets[probe["source"]]
            message = echo_request(version, identifier, probe["token"].encode())
            try:
                raw.sendto(message, (probe["destination"], 0))
            except OSError as error:
                raise ProbeError(FAILED, error.strerror or str(error)) from error
            await future
        finally:
            del self._echoes[identifier]

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what one line asks."""
        if "listen" in request:
            return await self.listen(**request["listen"])
        if "probe" in request:
            return await self.probe_all(
                request["probe"], request["timeout_s"], request["concurrency"]
            )
        return self.take_arrivals()


class _EchoDatagram(asyncio.DatagramProtocol):
    def __init__(self, arrivals: list[Arrival], address: str, port: int) -> None:
        self._arrivals = arrivals
        self._own = (address, port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._arrivals.append(("udp", addr[0], addr[1], *self._own))
        self._transport.sendto(data, addr)


async def _echo_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.write(await reader.readline())
        await writer.drain()
        await reader.read()
    writer.close()
    # Whoever asked closes by a reset, which the loop would complain of if nobody heard of it.
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _bound_socket(probe: dict[str, Any], kind: int, result: dict[str, Any]) -> socket.socket:
    sock = socket.socket(_family(probe["destination"]), kind | socket.SOCK_NONBLOCK)
    try:
        sock.bind((probe["source"], probe.get("source_port", 0)))
    except OSError as error:
        sock.close()
        raise ProbeError(FAILED, error.strerror or str(error)) from error
    result["source_port"] = sock.getsockname()[1]
    return sock


def _state_of(error: OSError) -> str:
    if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
        return REFUSED
    return ICMP_ERROR


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def main() -> None:
    """Serve requests until standard input ends."""
    # Each port of each address is a descriptor.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_MAXIMUM_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    agent = Agent()
    while line := await reader.readline():
        print(json.dumps(await agent.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
