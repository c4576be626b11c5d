"""The naive contender: as many a tutorial has it, each packet is parsed by scapy, then accepted."""

from __future__ import annotations

import sys
from typing import Any

from nsgd.bench.queue_program import serve


def main() -> int:
    """Parse and accept every packet."""
    try:
        from scapy.layers.inet import IP
    except ImportError:
        print("scapy is missing: pip install scapy, or leave this contender out", file=sys.stderr)
        return 1

    def judge(packet: Any) -> None:
        parsed = IP(packet.get_payload())
        # What a filter would at least look at.
        _ = parsed.src, parsed.dst, parsed.proto
        packet.accept()

    serve(judge)
    return 0


if __name__ == "__main__":
    sys.exit(main())
