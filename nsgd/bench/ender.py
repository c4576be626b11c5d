"""Ends the generator's flows a while after they have begun, as evenly as they began.

A process of its own in the gateway's namespace. By itself conntrack comes to flows that have run
out when it likes, thousands at once; so each is deleted, by a request that is made beforehand. It
reads one JSON request a line and answers each with one line.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from nsgd.bench.frames import SLOT_BYTES
from nsgd.bench.generator import FLOWS_PER_TICK
from nsgd.bench.queue_program import READY
from nsgd.kernel.netfilter import NETLINK_NETFILTER
from nsgd.wire import netlink

_CT_DELETE = 1 << 8 | 2
_TUPLE, _ADDRESSES, _PROTOCOL = 1, 1, 2  # CTA_*
_AF_INET = 2
# Of a frame.
_PROTOCOL_BYTE, _SOURCE, _DESTINATION, _PORTS = 23, 26, 30, 34


def delete_requests(frames: bytes) -> Iterator[bytes]:
    """The request that deletes a flow, by its first packet, for each slot of *frames*."""
    for start in range(0, len(frames), SLOT_BYTES):
        frame = frames[start : start + SLOT_BYTES]
        flow = netlink.nested(
            _TUPLE,
            netlink.nested(
                _ADDRESSES,
                netlink.attribute(1, frame[_SOURCE:_DESTINATION]),
                netlink.attribute(2, frame[_DESTINATION:_PORTS]),
            ),
            netlink.nested(
                _PROTOCOL,
                netlink.attribute(1, frame[_PROTOCOL_BYTE : _PROTOCOL_BYTE + 1]),
                netlink.attribute(2, frame[_PORTS : _PORTS + 2]),
                netlink.attribute(3, frame[_PORTS + 2 : _PORTS + 4]),
            ),
        )
        yield netlink.message(_CT_DELETE, 0, 1, _AF_INET, flow)


def main() -> int:
    """Serve requests until the input ends."""
    parser = argparse.ArgumentParser(prog="nsgd-bench-ender", description=__doc__)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--first", type=int, required=True, help="of the frames")
    parser.add_argument("--count", type=int, required=True, help="of frames")
    arguments = parser.parse_args()
    start, size = SLOT_BYTES * arguments.first, SLOT_BYTES * arguments.count
    requests = list(delete_requests(arguments.frames.read_bytes()[start : start + size]))
    ticks = [
        b"".join(requests[at : at + FLOWS_PER_TICK])
        for at in range(0, len(requests), FLOWS_PER_TICK)
    ]
    del requests
    # Nobody reads what it answers for flows that have ended by themselves: it is dropped there.
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as channel:
        channel.bind((0, 0))
        print(READY, flush=True)
        for line in sys.stdin:
            request = json.loads(line)
            begin_s = time.perf_counter() + request["delayS"]
            for tick in range(min(len(ticks), -(-request["count"] // FLOWS_PER_TICK))):
                pause_s = begin_s + tick * FLOWS_PER_TICK / request["rate"] - time.perf_counter()
                if pause_s > 0:
                    time.sleep(pause_s)
                channel.send(ticks[tick])
            print(json.dumps({"done": True}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
