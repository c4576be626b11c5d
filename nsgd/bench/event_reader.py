"""The bare reader: hears of begins and ends of flows, as a flow log must, and only counts them.

It reads as a simple program does: one event with each system call, waiting for the next, and looks
at the message's type. Its socket has as much room as nsgd's.
"""

from __future__ import annotations

import argparse
import errno
import json
import signal
import socket
import sys
from struct import Struct
from types import FrameType

from nsgd.bench.queue_program import READY
from nsgd.kernel.flow_events import RECEIVE_BUFFER_BYTES
from nsgd.kernel.netfilter import NETLINK_NETFILTER, SO_RCVBUFFORCE, SOL_NETLINK
from nsgd.wire.flow_events import FLOW_ENDED, FLOW_TOLD, GROUP_DESTROY, GROUP_NEW

_NETLINK_ADD_MEMBERSHIP = 1
_EVENT_BYTES = 1 << 14
_unpack_kind = Struct("=4xH").unpack_from  # of struct nlmsghdr


def main() -> int:
    """Read until the process is ended; print the counts on SIGUSR1."""
    argparse.ArgumentParser(prog="nsgd-bench-event-reader", description=__doc__).parse_args()
    counts = {FLOW_TOLD: 0, FLOW_ENDED: 0}
    overflows = 0

    def tell(signal_number: int, frame: FrameType | None) -> None:
        begun, ended = counts[FLOW_TOLD], counts[FLOW_ENDED]
        print(json.dumps({"begun": begun, "ended": ended, "overflows": overflows}), flush=True)

    signal.signal(signal.SIGUSR1, tell)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as events:
        events.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        events.bind((0, 0))
        for group in (GROUP_NEW, GROUP_DESTROY):
            events.setsockopt(SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        print(READY, flush=True)
        receive = events.recv
        while True:
            try:
                data = receive(_EVENT_BYTES)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                overflows += 1
                continue
            (kind,) = _unpack_kind(data)
            counts[kind] += 1


if __name__ == "__main__":
    sys.exit(main())
