"""Fuzzes a queued packet's way to its verdict: ``python -m tests.fuzz.fuzz_packet [SECONDS]``."""

from __future__ import annotations

from tests.fuzz.harness import fuzz, instrument_imports

with instrument_imports(
    include=["nsgd.wire.packet", "nsgd.runtime.packet_handler", "nsgd.runtime.verdict"]
):
    from tests.fuzz.packet_target import LONGEST_BYTES, seeds, test_one_input

if __name__ == "__main__":
    fuzz(test_one_input, seeds(), LONGEST_BYTES)
