"""Fuzzes the control socket, both ends of it: ``python -m tests.fuzz.fuzz_control [SECONDS]``."""

from __future__ import annotations

from tests.fuzz.harness import fuzz, instrument_imports

with instrument_imports(
    include=[
        "nsgd.runtime.control",
        "nsgd.runtime.control_wire",
        "nsgd.runtime.control_client",
        "nsgd.runtime.flow_filter",
        "nsgd.runtime.flow_list",
        "nsgd.runtime.monitors",
        "nsgd.runtime.packed_documents",
        "nsgd.runtime.recent_denials",
        "nsgd.runtime.trial",
    ]
):
    from tests.fuzz.control_target import LONGEST_BYTES, seeds, test_one_input

if __name__ == "__main__":
    fuzz(test_one_input, seeds(), LONGEST_BYTES)
