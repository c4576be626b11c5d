"""Fuzzes the decoders of the kernel's messages: ``python -m tests.fuzz.fuzz_netlink [SECONDS]``."""

from __future__ import annotations

from tests.fuzz.harness import fuzz, instrument_imports

with instrument_imports(include=["nsgd.wire", "nsgd.kernel"]):
    from tests.fuzz.netlink_target import LONGEST_BYTES, seeds, test_one_input

if __name__ == "__main__":
    fuzz(test_one_input, seeds(), LONGEST_BYTES)
