"""What the fuzz targets have in common: options of libFuzzer, seeds of our own, and an ending."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is missing: pip install -e '.[dev]'")

instrument_imports = atheris.instrument_imports

# An input that takes longer, or makes the process hold more, is a finding.
LONGEST_S, MOST_MIB = 10, 1024


def fuzz(
    test_one_input: Callable[[bytes], None], seeds: Iterable[bytes], longest_bytes: int
) -> None:
    """Run for the seconds of the command line, 60 unless given; ends the process.

    Whatever *test_one_input* raises ends the run with a trace, and leaves the input in a file
    crash-... of the present directory.
    """
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-timeout={LONGEST_S}",
            f"-rss_limit_mb={MOST_MIB}",
            f"-max_len={longest_bytes}",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, corpus], test_one_input)
        atheris.Fuzz()
