"""The generator: sends the first packets of new flows, many with one system call.

A process of its own in the client's namespace. Its frames are made beforehand; it only hands
them to the kernel, and changes all source ports when it has come to their end, so that no flow is
sent twice. It may be told not to: a flow that is denied leaves nothing, and is new each time.
It reads one JSON request a line and answers each with one line.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import socket
import sys
import time
from array import array
from pathlib import Path
from typing import Any

from nsgd.bench.frames import FRAME_BYTES, SLOT_BYTES, set_source_ports, source_ports

_SOL_PACKET = 263
_PACKET_QDISC_BYPASS = 20
_SO_SNDBUFFORCE = 32
_SEND_BUFFER_BYTES = 8 << 20
_HEADER_WORDS = 8  # struct mmsghdr, in 64-bit words
_HEADER_BYTES = 8 * _HEADER_WORDS
_BATCH = 64
# Paced flows of one wake-up: the same at each rate, so that a flow's share of its cost is.
FLOWS_PER_TICK = 20
_PORT_STEP = 7919


class Generator:
    """Frames in memory, and the socket that sends them."""

    def __init__(self, link: str, frames: bytes, *, keeps_ports: bool = False) -> None:
        self._keeps_ports = keeps_ports
        self._count = len(frames) // SLOT_BYTES
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER_BYTES)
        self._socket.bind((link, 0))
        self._words = array("H", frames)
        self._ports = source_ports(self._words)
        first_frame, _ = self._words.buffer_info()
        self._vectors = array("Q", bytes(16 * self._count))
        self._vectors[0::2] = array(
            "Q", range(first_frame, first_frame + SLOT_BYTES * self._count, SLOT_BYTES)
        )
        self._vectors[1::2] = array("Q", [FRAME_BYTES]) * self._count
        first_vector, _ = self._vectors.buffer_info()
        self._headers = array("Q", bytes(_HEADER_BYTES * self._count))
        self._headers[2::_HEADER_WORDS] = array(
            "Q", range(first_vector, first_vector + 16 * self._count, 16)
        )
        self._headers[3::_HEADER_WORDS] = array("Q", [1]) * self._count
        self._first_header, _ = self._headers.buffer_info()
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._sendmmsg.argtypes = [
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_uint,
            ctypes.c_int,
        ]
        self._next = 0
        self._refused = 0

    def send(
        self, rate: float | None, duration_s: float, limit: int | None, first: int | None = None
    ) -> dict[str, Any]:
        """Send flows for a time.

        Args:
            rate: Flows a second, FLOWS_PER_TICK at once; None for as many as possible.
            duration_s: When to end.
            limit: Flows after which to end earlier.
            first: The frame to begin with, sent before or not; None for the next one.
        """
        if first is not None:
            self._next = first
        sent = 0
        self._refused = 0
        start = now = time.perf_counter()
        tick = 0
        while (limit is None or sent < limit) and now - start < duration_s:
            wanted = _BATCH
            if rate is not None:
                tick += 1
                wanted = FLOWS_PER_TICK
            if limit is not None:
                wanted = min(wanted, limit - sent)
            sent += self._send_frames(wanted)
            now = time.perf_counter()
            if rate is not None:
                pause = start + tick * FLOWS_PER_TICK / rate - now
                if pause > 0:
                    time.sleep(pause)
                    now = time.perf_counter()
        return {"sent": sent, "elapsedS": now - start, "refused": self._refused}

    def _send_frames(self, wanted: int) -> int:
        left = wanted
        while left > 0:
            number = min(left, _BATCH, self._count - self._next)
            address = self._first_header + _HEADER_BYTES * self._next
            taken = self._sendmmsg(self._socket.fileno(), address, number, 0)
            if taken < 0:
                # The link's receiving end is full: the frame is gone, and is sent again.
                if ctypes.get_errno() not in (errno.ENOBUFS, errno.EAGAIN, errno.EINTR):
                    code = ctypes.get_errno()
                    raise OSError(code, os.strerror(code))
                self._refused += 1
                os.sched_yield()
                continue
            left -= taken
            self._next += taken
            if self._next == self._count:
                self._begin_anew()
        return wanted

    def _begin_anew(self) -> None:
        """Give every frame the source port of another one further on."""
        self._next = 0
        if self._keeps_ports:
            return
        step = _PORT_STEP % self._count
        self._ports = self._ports[step:] + self._ports[:step]
        set_source_ports(self._words, self._ports)


def main() -> int:
    """Serve requests until the input ends."""
    parser = argparse.ArgumentParser(prog="nsgd-bench-generator")
    parser.add_argument("--link", required=True)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--keep-ports", action="store_true")
    arguments = parser.parse_args()
    generator = Generator(
        arguments.link, arguments.frames.read_bytes(), keeps_ports=arguments.keep_ports
    )
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer = generator.send(
            request["rate"], request["durationS"], request["limit"], request["first"]
        )
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
