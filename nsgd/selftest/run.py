"""Runs the whole self-test and prints what it found."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nsgd.doctor.check import State as DoctorState
from nsgd.doctor.checks import judge
from nsgd.doctor.gather import gather
from nsgd.lab.exit import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_PERMISSION
from nsgd.lab.netns import Lab, remove_leftovers
from nsgd.selftest.finding import Finding, State, findings_as_json, format_findings
from nsgd.selftest.steps import live

ENGINES = ("queue", "kernel")
FAILURE_MODES = ("closed", "open")


def run(args: argparse.Namespace) -> int:
    """Returns the exit code: 0 where every check has passed."""
    if os.geteuid() != 0:
        return _fail("the self-test needs root: it makes network namespaces", EXIT_PERMISSION)
    findings = []
    try:
        remove_leftovers()
        for finding in _all(args.engine or ENGINES):
            findings.append(finding)
            if sys.stderr.isatty():
                # The table comes at the end, and somebody waits.
                print(f"{finding.state.value:8} {finding.check}", file=sys.stderr)
    except PermissionError as error:
        return _fail(f"the self-test needs root: {error}", EXIT_PERMISSION)
    except KeyboardInterrupt:
        return _fail("interrupted; the namespaces are removed", EXIT_INTERRUPTED)
    if args.output == "json":
        print(json.dumps(findings_as_json(findings), indent=2))
    else:
        print(format_findings(findings))
    return EXIT_OK if all(each.state is State.PASSED for each in findings) else EXIT_FAILED


def _fail(message: str, code: int) -> int:
    print(f"nsgd selftest: {message}", file=sys.stderr)
    return code


def _all(engines: tuple[str, ...]) -> Iterator[Finding]:
    yield _kernel()
    for engine in engines:
        for failure_mode in FAILURE_MODES:
            with tempfile.TemporaryDirectory(prefix="nsgd-selftest-") as name:
                yield from live(Path(name), engine, failure_mode)


def _kernel() -> Finding:
    """What nsgd doctor would call a problem, seen from an empty namespace."""
    with Lab() as lab:
        facts = lab.namespace("kernel", forwarding=True).call(gather)
    problems = [check for check in judge(facts) if check.state is DoctorState.PROBLEM]
    name = "the kernel can do what nsgd needs"
    if problems:
        detail = "; ".join(f"{check.name}: {check.found}" for check in problems)
        return Finding(name, State.FAILED, f"{detail}; see nsgd doctor")
    return Finding(name, State.PASSED, f"Linux {facts.kernel_release}")
