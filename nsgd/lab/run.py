"""``nsgd lab``: build the hosts of a policy, and compare every pair's traffic with a written file.

First without a firewall, where everything must pass; then with the real daemon in the gateway.
What decides is the wire and the hand-written file; the policy's evaluator only names rules.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsgd.config.load import LoadedConfig
from nsgd.config.problem import ConfigRefused
from nsgd.lab.exit import EXIT_CONFIG, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_PERMISSION, fail
from nsgd.lab.expected import Expectation, ExpectedRefused, read_expected
from nsgd.lab.netns import Lab, remove_leftovers
from nsgd.lab.prediction import (
    counted_hits,
    decide_probe,
    decided_by,
    predicted_hits,
    settled_hits,
)
from nsgd.lab.progress import progress
from nsgd.lab.report import Row, format_counters, format_rows, rows_as_json
from nsgd.lab.subject import NSGD, DaemonFailed, DaemonUnderTest
from nsgd.lab.topology import Topology, hosts_of_model
from nsgd.lab.traffic import AgentFailed, Observation, Observed, Traffic, all_probes
from nsgd.policy.compile import CompiledPolicy, compile_policy

# The worker answers first and counts then.
_BROKEN_PAIRS_SHOWN = 20


class LabBroken(Exception):
    """Without any firewall something does not pass: no result would mean anything."""

    @classmethod
    def of(cls, broken: Sequence[Observation], total: int) -> LabBroken:
        """Name the first of what does not pass."""
        shown = "".join(
            f"\n  {o.probe}: {o.observed.value} {o.detail}".rstrip()
            for o in broken[:_BROKEN_PAIRS_SHOWN]
        )
        return cls(f"{len(broken)} of {total} probes fail without it{shown}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run found out."""

    rows: tuple[Row, ...]
    counter_differences: tuple[str, ...]
    status: dict[str, Any]

    @property
    def mismatches(self) -> int:
        """Probes and counters that are not as they must be."""
        return sum(not row.is_match for row in self.rows) + len(self.counter_differences)


# What keeps any lab from being tried to its end.
LAB_FAILURES = (PermissionError, LabBroken, AgentFailed, DaemonFailed)


def report_failure(failure: PermissionError | LabBroken | AgentFailed | DaemonFailed) -> int:
    """Say what of LAB_FAILURES happened; returns the exit code."""
    if isinstance(failure, PermissionError):
        return fail(f"the lab needs root: {failure}", EXIT_PERMISSION)
    whose = "the daemon" if isinstance(failure, DaemonFailed) else "the lab itself is broken"
    return fail(f"{whose}: {failure}", EXIT_FAILED)


def run(
    args: argparse.Namespace,
    nsgd: Sequence[str] = NSGD,
    *,
    load: Callable[[Sequence[Path]], LoadedConfig],
    service_tags: Path | None = None,
) -> int:
    """Run the lab and return the exit code: 0 where everything matches.

    Args:
        args: The options of nsgd.commands.lab.
        nsgd: The command under test.
        load: Loads the policy. Raises ConfigRefused.
        service_tags: Where they are, for the command under test.
    """
    try:
        return _run(args, nsgd, load, service_tags)
    except KeyboardInterrupt:
        return fail("interrupted; the lab is removed", EXIT_INTERRUPTED)


def _run(
    args: argparse.Namespace,
    nsgd: Sequence[str],
    load: Callable[[Sequence[Path]], LoadedConfig],
    service_tags: Path | None,
) -> int:
    try:
        model = load(args.config).model
        expectation = read_expected(args.expected.read_bytes(), hosts_of_model(model))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return fail(f"{args.expected}: cannot be read: {reason}; check the path", EXIT_CONFIG)
    except ConfigRefused as refused:
        return fail(str(refused), EXIT_CONFIG)
    except ExpectedRefused as refused:
        return fail("\n".join(f"{args.expected}: {p}" for p in refused.problems), EXIT_CONFIG)
    remove_leftovers()
    try:
        outcome = run_lab(
            args.config, expectation, compile_policy(model), nsgd, service_tags, args.parameters
        )
    except LAB_FAILURES as failure:
        return report_failure(failure)
    _print(outcome, args)
    return EXIT_OK if outcome.mismatches == 0 else EXIT_FAILED


main = run


def run_lab(
    configs: Sequence[Path],
    expectation: Expectation,
    policy: CompiledPolicy,
    nsgd: Sequence[str] = NSGD,
    service_tags: Path | None = None,
    parameters: Sequence[Path] = (),
) -> Outcome:
    """Build the lab, try everything twice, remove the lab. Raises LabBroken and DaemonFailed."""
    probes = all_probes(expectation.hosts, expectation.services)
    with tempfile.TemporaryDirectory(prefix="nsgd-lab-") as directory, Lab() as lab:
        progress(f"building {len(expectation.hosts)} hosts")
        topology = Topology(lab, expectation.hosts)
        traffic = Traffic(topology, expectation.services)
        progress(f"{len(probes)} probes without the daemon")
        broken = [o for o in traffic.send(probes) if o.observed is not Observed.ANSWERED]
        if broken:
            raise LabBroken.of(broken, len(probes))
        daemon = DaemonUnderTest(
            topology.gateway,
            configs,
            Path(directory),
            nsgd,
            service_tags,
            parameters=parameters,
        )
        before = counted_hits(daemon.wait_until_ready())
        progress(f"{len(probes)} probes")
        observations = traffic.send(probes)
        decisions = [decide_probe(policy, observation) for observation in observations]
        # Counters count from the daemon's start; what came before is not the probes'.
        predicted = predicted_hits(decisions) + before
        status, differences = settled_hits(daemon.status, predicted)
        daemon.stop()
    progress("")
    rows = []
    for observation, decision in zip(observations, decisions, strict=True):
        probe = observation.probe
        names = (probe.sender.name, probe.receiver.name, probe.service.name)
        rows.append(Row(observation, expectation.access[names], decided_by(decision)))
    return Outcome(tuple(rows), tuple(differences), status)


def _print(outcome: Outcome, args: argparse.Namespace) -> None:
    if args.output == "json":
        result = {
            "probes": rows_as_json(outcome.rows),
            "counterDifferences": list(outcome.counter_differences),
            "mismatches": outcome.mismatches,
            "status": outcome.status,
        }
        print(json.dumps(result, indent=2))
        return
    print(format_rows(outcome.rows, only_failures=args.only_failures))
    print(f"\n{format_counters(outcome.status)}\n")
    for difference in outcome.counter_differences:
        print(f"MISMATCH {difference}")
    total, passed = len(outcome.rows), sum(row.is_match for row in outcome.rows)
    counters = len(outcome.counter_differences)
    print(f"{passed} of {total} probes as expected, {counters} rule counters differ")
