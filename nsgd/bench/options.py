"""The options of ``nsgd bench``, and what is wrong with them."""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path

from nsgd.bench.measure import FULL, GENERATOR, QUICK, Plan
from nsgd.bench.policies import NICS, POLICIES, RULES, Size
from nsgd.bench.selection import contender_names, is_meant
from nsgd.model.settings import MOST_QUEUES

ROUNDS, SCALE_ROUNDS, QUICK_ROUNDS = 5, 3, 1
_USUAL_POLICY = "mixed"
# Of a run with --overload.
OVERLOAD_NAMES = ("one-rule", "queue", "queue-unlimited", "kernel")
# Of a run with --flow-log, each without a log and with one.
FLOW_LOG_NAMES = (
    *("one-rule", "one-rule-reader"),
    *("queue", "queue-log"),
    *("kernel", "kernel-log"),
)
FLOW_LOG_RATE, FLOW_LOG_NICS = 10_000, 1000
PAIRS_TURNS = 12


class WrongUsage(Exception):
    """Options that do not go together, or a value that does not do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, checked."""

    words: tuple[str, ...]  # names or first parts of names of contenders; none means the default
    plan: Plan
    rounds: int
    size: Size
    policy: str  # of a sweep
    queues: tuple[int, ...] = ()  # numbers of workers to measure the queue engine with besides one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's options."""
    names = ", ".join((GENERATOR, *contender_names()))
    parser.add_argument(
        "--only",
        metavar="NAME[,NAME...]",
        default="",
        help=f"some contenders: {names}; queue means all that begin with it",
    )
    parser.add_argument(
        "--rules",
        type=int,
        choices=RULES,
        default=None,
        help=f"rules in each of a policy's four groups ({RULES[-1]})",
    )
    parser.add_argument(
        "--nics",
        type=int,
        choices=NICS,
        default=None,
        help=f"NICs of a policy, half of them on a side ({NICS[-1]}, with --flow-log"
        f" {FLOW_LOG_NICS})",
    )
    parser.add_argument(
        "--repeat",
        metavar="N",
        type=int,
        default=None,
        help="rounds, each with every contender once"
        f" ({ROUNDS}, with --scale, --overload and --flow-log {SCALE_ROUNDS}, with --pairs"
        f" {PAIRS_TURNS}, with --quick {QUICK_ROUNDS})",
    )
    parser.add_argument(
        "--rate",
        metavar="FLOWS",
        type=float,
        default=None,
        help="new flows a second while processor time is measured"
        f" ({FULL.rate:.0f}, with --flow-log {FLOW_LOG_RATE}, with --quick {QUICK.rate:.0f}; scapy"
        " and linear get a part of it)",
    )
    parser.add_argument(
        "--queues",
        metavar="N[,N...]",
        default="",
        help="measure the queue engine with so many workers too (daemon.queues, 2 to 16)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="seconds instead of minutes; the numbers mean little"
    )
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="measure processor time for each new flow against the number of rules and of NICs",
    )
    parser.add_argument(
        "--policy",
        choices=tuple(POLICIES),
        default=None,
        help=f"with --sweep and --flow-log: the policy ({_USUAL_POLICY})",
    )
    parser.add_argument(
        "--plot", metavar="FILE.png", type=Path, help="with --sweep: draw the curves, by matplotlib"
    )
    parser.add_argument(
        "--scale",
        action="store_true",
        help="measure start, reload and memory of nsgd with large documents",
    )
    parser.add_argument(
        "--overload",
        action="store_true",
        help="measure others' connections while a flood of denied flows comes",
    )
    parser.add_argument(
        "--flow-log",
        action="store_true",
        help="measure what flow logging costs: each engine with and without, and a bare reader of"
        " conntrack's events",
    )
    parser.add_argument(
        "--pairs",
        action="store_true",
        help="measure processor time for each new flow and an open flow's speed by short turns of"
        " contenders that all stand at the same time",
    )
    parser.add_argument(
        "--tags-file",
        metavar="FILE",
        type=Path,
        help="with --scale: a service tags file; rules name 50 of its tags",
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


def check_options(args: argparse.Namespace) -> Options:
    """Read what argparse has left open. Raises WrongUsage."""
    words = tuple(word for word in args.only.split(",") if word)
    names: tuple[str, ...] = (GENERATOR, *contender_names())
    names += OVERLOAD_NAMES if args.overload else FLOW_LOG_NAMES if args.flow_log else ()
    unknown = [word for word in words if not any(is_meant(name, [word]) for name in names)]
    if unknown:
        raise WrongUsage(f"no contender is named {', '.join(unknown)}")
    plan = QUICK if args.quick else FULL
    if args.rate is not None:
        plan = dataclasses.replace(plan, rate=args.rate)
    is_shorter = args.scale or args.overload or args.flow_log
    usual = PAIRS_TURNS if args.pairs else SCALE_ROUNDS if is_shorter else ROUNDS
    usual = QUICK_ROUNDS if args.quick else usual
    rounds = usual if args.repeat is None else args.repeat
    if rounds < 1 or not 1 <= plan.rate < math.inf:
        raise WrongUsage("--repeat and --rate are at least 1")
    runs = ("--sweep", "--scale", "--overload", "--flow-log", "--pairs")
    others = [name for name in runs if getattr(args, name[2:].replace("-", "_"))]
    if len(others) > 1:
        raise WrongUsage(f"{others[0]} and {others[1]} are two runs")
    for option, needed, is_given in (
        (
            "--policy",
            "--sweep or --flow-log",
            args.policy is not None and not (args.sweep or args.flow_log),
        ),
        ("--plot", "--sweep", args.plot is not None and not args.sweep),
        ("--tags-file", "--scale", args.tags_file is not None and not args.scale),
    ):
        if is_given:
            raise WrongUsage(f"{option} needs {needed}")
    has_size = others in ([], ["--flow-log"], ["--pairs"])
    if not has_size and (args.rules is not None or args.nics is not None):
        raise WrongUsage(
            "--rules and --nics are for a run without --sweep or --scale or --overload"
        )
    queues = _queues(args.queues)
    if queues and others:
        raise WrongUsage(f"--queues is for a run without {others[0]}")
    if queues and not any(is_meant(f"queue-{policy}", words) for policy in POLICIES):
        raise WrongUsage("--queues needs a contender of the queue engine, as --only queue-mixed")
    usual_nics = FLOW_LOG_NICS if args.flow_log else NICS[-1]
    size = Size(args.rules or RULES[-1], args.nics or usual_nics)
    return Options(words, plan, rounds, size, args.policy or _USUAL_POLICY, queues)


def _queues(text: str) -> tuple[int, ...]:
    words = [word for word in text.split(",") if word]
    if any(not word.isdecimal() or not 2 <= int(word) <= MOST_QUEUES for word in words):
        raise WrongUsage(f"--queues takes numbers from 2 to {MOST_QUEUES}")
    return tuple(dict.fromkeys(map(int, words)))
