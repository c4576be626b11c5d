"""The bare contender: a netfilterqueue program that accepts everything.

Its queue is as long as nsgd's and its socket buffer as large; it copies 128 bytes of a packet.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

COPY_RANGE_BYTES = 128
QUEUE_NUMBER = 7
QUEUE_LENGTH = 4096
RECEIVE_BUFFER_BYTES = 8 << 20
READY = "ready"


def serve(callback: Callable[[Any], None]) -> None:
    """Bind the queue, say so on standard output, and serve until the process is ended."""
    from netfilterqueue import NetfilterQueue

    queue = NetfilterQueue()
    queue.bind(
        QUEUE_NUMBER,
        callback,
        max_len=QUEUE_LENGTH,
        range=COPY_RANGE_BYTES,
        sock_len=RECEIVE_BUFFER_BYTES,
    )
    print(READY, flush=True)
    queue.run(block=True)


def main() -> int:
    """Accept every packet, unseen."""
    argparse.ArgumentParser(prog="nsgd-bench-bare", description=__doc__).parse_args()
    serve(lambda packet: packet.accept())
    return 0


if __name__ == "__main__":
    sys.exit(main())
