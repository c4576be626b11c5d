"""``nsgd bench``: all contenders in turn, several rounds, one report."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import PLAIN_CONTENDERS, Contender, ContenderFailed, is_installed
from nsgd.bench.daemon_contender import DAEMON_CONTENDERS
from nsgd.bench.machine import describe
from nsgd.bench.measure import FULL, GENERATOR, QUICK, Measurement, Plan, measure, measure_generator
from nsgd.bench.network import write_frames
from nsgd.bench.policies import POLICIES, policy_document
from nsgd.bench.report import add_derived, as_json, format_report
from nsgd.kernel.error import KernelError
from nsgd.lab.netns import remove_leftovers

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PERMISSION = 5
EXIT_INTERRUPTED = 130

ALL_CONTENDERS = PLAIN_CONTENDERS + DAEMON_CONTENDERS
_QUICK_NAMES = ("none", "one-rule", "bare", "scapy", "queue-ports", "queue-mixed")
_GENERATOR_DESCRIPTION = "the generator's own limit: the gateway drops its packets as they arrive"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    names = ", ".join((GENERATOR, *(contender.name for contender in ALL_CONTENDERS)))
    parser.add_argument(
        "--only",
        metavar="NAME[,NAME...]",
        default="",
        help=f"some contenders: {names}; queue means all that begin with it",
    )
    parser.add_argument(
        "--repeat",
        metavar="N",
        type=int,
        default=None,
        help="rounds, each with every contender once (3, with --quick 1)",
    )
    parser.add_argument(
        "--rate",
        metavar="FLOWS",
        type=float,
        default=None,
        help="new flows a second while processor time is measured"
        f" ({FULL.rate:.0f}, with --quick {QUICK.rate:.0f}; scapy gets a tenth)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes; the numbers mean little"
    )
    parser.add_argument(
        "--print-rulesets",
        action="store_true",
        help="print the ruleset of every contender, as nft text, and end",
    )
    parser.add_argument(
        "--write-policies",
        metavar="DIR",
        type=Path,
        help="write the policy documents that nsgd runs with, and end",
    )
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")


def run(args: argparse.Namespace) -> int:
    """Run the benchmark and return the exit code."""
    try:
        return _run(args)
    except KeyboardInterrupt:
        return _fail("interrupted; everything is removed", EXIT_INTERRUPTED)
    except PermissionError as error:
        return _fail(f"root is needed: {error}", EXIT_PERMISSION)
    except KernelError as error:
        return _fail(str(error), EXIT_FAILED)


def _run(args: argparse.Namespace) -> int:
    words = [word for word in args.only.split(",") if word]
    unknown = [word for word in words if not any(_is_named(n, [word]) for n in _names())]
    if unknown:
        return _fail(f"no contender is named {', '.join(unknown)}", EXIT_USAGE)
    plan = QUICK if args.quick else FULL
    if args.rate is not None:
        plan = dataclasses.replace(plan, rate=args.rate)
    repeat = args.repeat if args.repeat is not None else 1 if args.quick else 3
    if repeat < 1 or not 1 <= plan.rate < math.inf:
        return _fail("--repeat and --rate are at least 1", EXIT_USAGE)
    default = list(_QUICK_NAMES) if args.quick else []
    chosen = [c for c in ALL_CONTENDERS if _is_named(c.name, words or default)]
    if args.write_policies:
        return _write_policies(args.write_policies)
    if args.print_rulesets:
        return _print_rulesets(chosen)
    for contender in [c for c in chosen if not is_installed(c)]:
        chosen.remove(contender)
        _say(f"{contender.name} is left out: its library is missing (pip install scapy)")
    with_generator = not words or _is_named(GENERATOR, words)
    remove_leftovers()
    started = time.perf_counter()
    results, failures = measure_all(chosen, plan, repeat, with_generator=with_generator)
    add_derived(results)
    descriptions = {GENERATOR: _GENERATOR_DESCRIPTION} | {c.name: c.description for c in chosen}
    descriptions = {name: text for name, text in descriptions.items() if name in results}
    context: dict[str, Any] = {
        "machine": describe(),
        "plan": {**dataclasses.asdict(plan), "repeat": repeat, "order": list(results)},
        "durationS": round(time.perf_counter() - started, 1),
        "failures": failures,
    }
    for failure in failures:
        _say(failure)
    if args.output == "json":
        print(json.dumps(as_json(results, descriptions, context), indent=2))
    else:
        print(f"{_heading(context)}\n\n{format_report(results, descriptions)}")
    return EXIT_FAILED if failures else EXIT_OK


def _heading(context: dict[str, Any]) -> str:
    machine, plan = context["machine"], context["plan"]
    return (
        f"{machine['processors']} x {machine['cpu']}, Linux {machine['kernel']},"
        f" Python {machine['python']}\n"
        f"{_plural(plan['repeat'], 'round')} in {context['durationS']} s; median (least..most);"
        f" processor time at {plan['rate']:.0f} new flows/s"
    )


def measure_all(
    contenders: Sequence[Contender], plan: Plan, repeat: int, *, with_generator: bool
) -> tuple[dict[str, list[Measurement]], list[str]]:
    """Every contender once in each round, so that what changes with time meets all alike.

    Returns:
        Measurements by contender, and what failed; the others are measured all the same.
    """
    failures: list[str] = []
    results: dict[str, list[Measurement]] = {GENERATOR: []} if with_generator else {}
    results |= {contender.name: [] for contender in contenders}
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory:
        frames = Path(directory, "frames")
        write_frames(frames)
        for number in range(1, repeat + 1):
            if with_generator:
                _progress(f"round {number} of {repeat}: {GENERATOR}")
                results[GENERATOR].append(measure_generator(plan, frames))
            for contender in contenders:
                _progress(f"round {number} of {repeat}: {contender.name}")
                try:
                    results[contender.name].append(measure(contender, plan, frames))
                except ContenderFailed as failed:
                    # An empty one, so that rounds stay side by side.
                    results[contender.name].append(Measurement())
                    failures.append(f"{contender.name}, round {number}: {failed}")
    _progress("")
    return results, failures


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _names() -> list[str]:
    return [GENERATOR, *(contender.name for contender in ALL_CONTENDERS)]


def _is_named(name: str, words: Sequence[str]) -> bool:
    """Tell whether a contender is meant; no word at all means all."""
    return not words or any(name == word or name.startswith(f"{word}-") for word in words)


def _print_rulesets(contenders: Sequence[Contender]) -> int:
    for contender in contenders:
        print(f"# {contender.name}: {contender.description}")
        print(contender.ruleset() or "# no ruleset\n")
    return EXIT_OK


def _write_policies(directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    for name in POLICIES:
        path = directory / f"{name}.json"
        path.write_text(json.dumps(policy_document(name), indent=1) + "\n")
        print(path)
    return EXIT_OK


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _fail(message: str, code: int) -> int:
    _say(message)
    return code


def _say(message: str) -> None:
    print(f"nsgd bench: {message}", file=sys.stderr)
