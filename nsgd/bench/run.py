"""``nsgd bench``: all contenders in turn, several rounds, one report."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import Contender, ContenderFailed, is_installed
from nsgd.bench.machine import describe
from nsgd.bench.measure import GENERATOR, Measurement, Plan, measure, measure_generator
from nsgd.bench.network import write_frames
from nsgd.bench.options import Options, WrongUsage, add_arguments, check_options
from nsgd.bench.policies import POLICIES, Size, policy_document
from nsgd.bench.report import add_derived, as_json, format_report
from nsgd.bench.says import heading, say
from nsgd.bench.selection import all_contenders, is_meant, with_several_queues
from nsgd.kernel.error import KernelError
from nsgd.lab.netns import remove_leftovers
from nsgd.lab.progress import progress

__all__ = ["add_arguments", "run"]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PERMISSION = 5
EXIT_INTERRUPTED = 130

_QUICK_NAMES = (
    *("none", "conntrack", "one-rule", "bare", "scapy"),
    *("kernel-mixed", "queue-ports", "queue-mixed", "linear-mixed"),
)
_GENERATOR_DESCRIPTION = "the generator's own limit: the gateway drops its packets as they arrive"


def run(args: argparse.Namespace) -> int:
    """Run the benchmark and return the exit code."""
    try:
        options = check_options(args)
        if args.sweep:
            from nsgd.bench.sweep_run import run_sweep

            return run_sweep(args, options)
        if args.scale:
            from nsgd.bench.scale_run import run_scale

            return run_scale(args, options)
        if args.overload:
            from nsgd.bench.overload_run import run_overload

            return run_overload(args, options)
        if args.flow_log:
            from nsgd.bench.flow_log_run import run_flow_log

            return run_flow_log(args, options)
        if args.pairs:
            from nsgd.bench.pairs_run import run_pairs

            return run_pairs(args, options)
        return _run(args, options)
    except WrongUsage as wrong:
        return _fail(str(wrong), EXIT_USAGE)
    except KeyboardInterrupt:
        return _fail("interrupted; everything is removed", EXIT_INTERRUPTED)
    except PermissionError as error:
        return _fail(f"root is needed: {error}", EXIT_PERMISSION)
    except KernelError as error:
        return _fail(str(error), EXIT_FAILED)


def _run(args: argparse.Namespace, options: Options) -> int:
    default = _QUICK_NAMES if args.quick else ()
    chosen = [c for c in all_contenders(options.size) if is_meant(c.name, options.words or default)]
    chosen = with_several_queues(chosen, options.size, options.queues)
    if args.write_policies:
        return _write_policies(args.write_policies, options.size)
    if args.print_rulesets:
        return _print_rulesets(chosen)
    for contender in [c for c in chosen if not is_installed(c)]:
        chosen.remove(contender)
        say(f"{contender.name} is left out: its library is missing (pip install 'nsgd[bench]')")
    with_generator = is_meant(GENERATOR, options.words)
    remove_leftovers()
    started = time.perf_counter()
    results, failures = measure_all(chosen, options, with_generator=with_generator)
    add_derived(results)
    descriptions = {GENERATOR: _GENERATOR_DESCRIPTION} | {c.name: c.description for c in chosen}
    descriptions = {name: text for name, text in descriptions.items() if name in results}
    plan: dict[str, Any] = {
        **dataclasses.asdict(options.plan),
        **dataclasses.asdict(options.size),
        "repeat": options.rounds,
        "order": list(results),
        "rateShares": {contender.name: contender.rate_share for contender in chosen},
    }
    context: dict[str, Any] = {
        "machine": describe(),
        "plan": plan,
        "durationS": round(time.perf_counter() - started, 1),
        "failures": failures,
    }
    for failure in failures:
        say(failure)
    if args.output == "json":
        print(json.dumps(as_json(results, descriptions, context), indent=2))
    else:
        print(f"{heading(context)}\n\n{format_report(results, descriptions)}")
    return EXIT_FAILED if failures else EXIT_OK


def measure_all(
    contenders: Sequence[Contender], options: Options, *, with_generator: bool
) -> tuple[dict[str, list[Measurement]], list[str]]:
    """Every contender once in each round, so that what changes with time meets all alike.

    Returns:
        Measurements by contender, and what failed; the others are measured all the same.
    """
    failures: list[str] = []
    results: dict[str, list[Measurement]] = {GENERATOR: []} if with_generator else {}
    results |= {contender.name: [] for contender in contenders}
    plan: Plan = options.plan
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory:
        frames = Path(directory, "frames")
        write_frames(frames, options.size.nics)
        for number in range(1, options.rounds + 1):
            if with_generator:
                progress(f"round {number} of {options.rounds}: {GENERATOR}")
                results[GENERATOR].append(measure_generator(plan, frames))
            for contender in contenders:
                progress(f"round {number} of {options.rounds}: {contender.name}")
                try:
                    results[contender.name].append(measure(contender, plan, frames))
                except ContenderFailed as failed:
                    # An empty one, so that rounds stay side by side.
                    empty = Measurement(conntrack_invalid=failed.invalid_packets)
                    results[contender.name].append(empty)
                    failures.append(f"{contender.name}, round {number}: {failed}")
    progress("")
    return results, failures


def _print_rulesets(contenders: Sequence[Contender]) -> int:
    for contender in contenders:
        print(f"# {contender.name}: {contender.description}")
        print(contender.ruleset() or "# no ruleset\n")
    return EXIT_OK


def _write_policies(directory: Path, size: Size) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    for name in POLICIES:
        path = directory / f"{name}.json"
        path.write_text(json.dumps(policy_document(name, size), indent=1) + "\n")
        print(path)
    return EXIT_OK


def _fail(message: str, code: int) -> int:
    say(message)
    return code
