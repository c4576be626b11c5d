"""Soak the daemon with mixed traffic, reloads and kills, in namespaces; needs root.

python -m tests.soak --minutes 60 --engine both --json soak.json --plot soak.png
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.soak.policies import ENGINES
from tests.soak.run import Settings, Soak


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print what came of it; 1 if anything was wrong, was lost or grew."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--engine", choices=tuple(ENGINES), default="both", help="both: in turns, by reloads"
    )
    parser.add_argument("--queues", type=int, default=1, help="workers, of which one is killed")
    parser.add_argument("--reload-every", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--kill-every", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--packets", type=float, default=60.0, help="new flows a second")
    parser.add_argument("--seed", type=int, default=1, help="of the traffic")
    parser.add_argument("--json", type=Path, help="where the report with all samples goes")
    parser.add_argument("--plot", type=Path, help="a PNG or SVG; needs matplotlib")
    options = parser.parse_args(arguments)
    if options.plot is not None and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib, which is missing: pip install -e '.[bench]'")
    settings = Settings(
        options.minutes * 60,
        options.engine,
        options.queues,
        options.reload_every,
        options.kill_every,
        packets_per_s=options.packets,
        seed=options.seed,
    )
    with tempfile.TemporaryDirectory(prefix="nsgd-soak-") as directory:
        soak = Soak(settings, Path(directory), lambda line: print(line, flush=True))
        try:
            report = soak.run()
        except BaseException:
            log = Path(directory) / "daemon.log"
            if log.exists():
                sys.stderr.write(f"end of the daemon's log:\n{log.read_text()[-4000:]}\n")
            raise
        if report["trouble"]:
            sys.stderr.write((Path(directory) / "daemon.log").read_text()[-8000:])
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot is not None:
        from tests.soak.plot import draw

        draw(report, options.plot)
    print(summary(report))
    return 0 if report["isGood"] else 1


def summary(report: Mapping[str, Any]) -> str:
    """The report for people."""

    def counted(counts: Mapping[str, int]) -> str:
        return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"

    lines = [
        f"lasted {report['lastedSeconds'] / 60:.1f} minutes, engines {report['engines']},"
        f" workers {report['workers']}, seed {report['seed']}",
        f"done: {counted(report['done'])}",
        f"sent: {counted(report['sent'])}",
        f"probes: {counted(report['probes'])}",
        f"connections: {counted(report['connections'])}",
        f"wrong verdicts: {report['wrongVerdicts']}",
        *(f"  {line}" for line in report["wrong"]),
        f"decided flows lost: {len(report['lostFlows'])} of {len(report['longFlows'])}",
        *(f"  {line}" for line in report["lostFlows"]),
        *(f"trouble: {line}" for line in report["trouble"]),
        f"frames that the sniffers dropped: {report['sniffersDropped']}",
    ]
    series = report["growth"]["series"]
    lines.append(f"grown after 5 minutes: {', '.join(report['growth']['grown']) or 'nothing'}")
    lines += [
        f"  {name}: {told['first']:g} to {told['last']:g}"
        for name, told in series.items()
        if told["grew"] or not name.startswith("table")
    ]
    lines.append("good" if report["isGood"] else "NOT GOOD")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
