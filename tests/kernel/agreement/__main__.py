"""Compare oracle, evaluator and engines by real packets; needs root.

python -m tests.kernel.agreement --packets 1000000 --seed 7 --engine kernel
python -m tests.kernel.agreement --seed 7 --only 12
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.kernel.agreement.run import ENGINES, run
from tests.kernel.agreement.summary import Summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print what came of it; 1 if anything disagreed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--packets", type=int, default=60_000, help="to be decided by each engine itself"
    )
    parser.add_argument("--seed", default="nsgd", help="name of the series of policies")
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--per-policy", type=int, default=1000, help="packets drawn for a policy")
    parser.add_argument("--only", type=int, help="number of the one policy of the series to run")
    options = parser.parse_args(arguments)
    engines = ENGINES if options.engine == "both" else (options.engine,)

    def is_done(summaries: Sequence[Summary]) -> bool:
        if options.only is not None:
            return any(each.policies or each.disagreements for each in summaries)
        return all(summary.decided >= options.packets for summary in summaries)

    started_s = time.monotonic()
    summaries = run(
        options.seed,
        engines,
        is_done,
        packets_per_policy=options.per_policy,
        first=options.only or 0,
        told=lambda line: print(f"--- disagreement\n{line}", flush=True),
    )
    for summary in summaries:
        print(summary)
    print(f"series {options.seed}, seconds {time.monotonic() - started_s:.1f}")
    return 1 if any(summary.disagreements for summary in summaries) else 0


if __name__ == "__main__":
    sys.exit(main())
