"""Verbs about this host and what it can do: doctor, selftest, bench."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from nsgd.commands.common import (
    EXIT_FAILED,
    EXIT_OK,
    AddVerb,
    add_config,
    add_runtime_dir,
    add_service_tags,
    tag_source,
)
from nsgd.runtime.control_wire import SOCKET_NAME


def add_verbs(verb: AddVerb, words: Sequence[str]) -> None:
    """Add the verbs; options of bench only where *words*, the arguments, name it."""
    doctor = verb("doctor", _doctor, "say what this host offers, what is missing, and the way out")
    add_config(doctor, is_required=False)
    add_runtime_dir(doctor)
    add_service_tags(doctor)
    doctor.add_argument("-o", "--output", choices=("table", "json"), default="table")

    selftest = verb(
        "selftest", _selftest, "try this installation with real packets, in namespaces of its own"
    )
    selftest.add_argument(
        "--engine",
        choices=("queue", "kernel"),
        action="append",
        help="this engine only (both)",
    )
    selftest.add_argument("-o", "--output", choices=("table", "json"), default="table")

    bench = verb("bench", _bench, "measure nsgd beside other ways to filter")
    # Their options are in modules that import the kernel's libraries.
    chosen = next((word for word in words if not word.startswith("-")), None)
    if chosen == "bench":
        import_module("nsgd.bench.run").add_arguments(bench)


def _doctor(args: argparse.Namespace) -> int:
    from nsgd.doctor.check import State
    from nsgd.doctor.report import checks_as_json, checks_as_text, worst
    from nsgd.doctor.run import examine

    checks = examine(
        args.config or (), args.runtime_dir / SOCKET_NAME, tag_source(args), args.parameters
    )
    print(checks_as_json(checks) if args.output == "json" else checks_as_text(checks))
    return EXIT_FAILED if worst(checks) is State.PROBLEM else EXIT_OK


def _selftest(args: argparse.Namespace) -> int:
    code: int = import_module("nsgd.selftest.run").run(args)
    return code


def _bench(args: argparse.Namespace) -> int:
    code: int = import_module("nsgd.bench.run").run(args)
    return code
