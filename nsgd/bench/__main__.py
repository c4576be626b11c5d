"""``python -m nsgd.bench`` is the verb ``nsgd bench`` alone."""

from __future__ import annotations

import argparse
import sys

from nsgd.bench.run import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m nsgd.bench", description="See nsgd bench.")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
