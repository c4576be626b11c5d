"""Tries any policy: hosts of its networks, probes at its rules' boundaries, the real daemon.

What a probe must show is the evaluator's prediction (nsgd.policy.evaluate), which the daemon uses
too: that the policy is right is not tried here, but that packets, queue, conntrack and counters do
what it says. First without the daemon, where everything must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.config.load import LoadedConfig
from nsgd.config.tag_catalogue import TagSource
from nsgd.lab.candidates import givers_for, inside_candidates
from nsgd.lab.choose import Choice, choose_hosts
from nsgd.lab.ends import ends_of
from nsgd.lab.lab_policy import LabPolicy, check_buildable, lab_policy
from nsgd.lab.outside import outside_candidates
from nsgd.lab.plan import Plan, plan_probes
from nsgd.lab.prediction import (
    RuleKey,
    counted_hits,
    decide_probe,
    decided_by,
    passes_failsafe,
    predicted_hits,
    rule_key,
    settled_hits,
)
from nsgd.lab.progress import progress
from nsgd.lab.report import Row
from nsgd.lab.run import LabBroken
from nsgd.lab.subject import DaemonUnderTest
from nsgd.lab.topology import Topology
from nsgd.lab.traffic import Observation, Observed, Probe, Traffic
from nsgd.model.decision import Decision
from nsgd.model.rule import Access
from nsgd.model.settings import UnmanagedTraffic
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.evaluate import UNMANAGED as _UNCOUNTED

# The worker answers first and counts then.
# What an agent is given at once: it must answer within its time, also where nothing passes.
_PROBES_AT_ONCE = 1000
# Nothing came back, or nothing went out: on a busy machine that may be its business.
_WORTH_ANOTHER = (Observed.NO_ANSWER, Observed.REPLY_LOST, Observed.FAILED)


@dataclass(frozen=True, slots=True)
class Drawn:
    """All that is known before anything is built."""

    choice: Choice
    policy: LabPolicy
    compiled: CompiledPolicy
    plan: Plan
    seed: int


@dataclass(frozen=True, slots=True)
class Result:
    """All that a run found out. *repeated* probes were as they must be the second time only."""

    drawn: Drawn
    rows: tuple[Row, ...]
    repeated: int
    counter_differences: tuple[str, ...]
    status: dict[str, Any]

    @property
    def disagreements(self) -> int:
        """Probes and counters that are not as the policy says."""
        return sum(not row.is_match for row in self.rows) + len(self.counter_differences)

    @property
    def hit(self) -> set[RuleKey]:
        """The rules that the daemon counted packets for."""
        return {key for key, number in counted_hits(self.status).items() if number}

    @property
    def rules(self) -> set[RuleKey]:
        """All rules, default and platform rules too, of the groups that judge something."""
        tables = self.drawn.compiled.tables
        return {rule_key(rule) for table in tables for rule in table.decisions()}


def draw(loaded: LoadedConfig, tags: TagSource | None, hosts: int, probes: int, seed: int) -> Drawn:
    """Choose hosts and probes; nothing is built. Raises CannotBuild."""
    model = loaded.model
    check_buildable(model)
    givers = givers_for(model)
    candidates = [*inside_candidates(model, givers), *outside_candidates(model, givers)]
    choice = choose_hosts(candidates, hosts, compile_policy(model))
    policy = lab_policy(model, loaded.settings, loaded.reading, choice.chosen, givers, tags)
    compiled = compile_policy(policy.model)
    ends = ends_of(choice.chosen)
    plan = plan_probes(compiled, ends, probes, seed, policy.settings.failsafe)
    return Drawn(choice, policy, compiled, plan, seed)


def try_policy(
    drawn: Drawn, topology: Topology, start_daemon: Callable[[], DaemonUnderTest]
) -> Result:
    """Send the probes, start the daemon in the gateway, send them again; the daemon runs on.

    Raises LabBroken, AgentFailed and DaemonFailed.
    """
    probes = drawn.plan.probes
    traffic = Traffic(topology)
    traffic.listen(probes)
    progress(f"{len(probes)} probes without the daemon")
    _check_baseline(traffic, probes)
    progress("starting the daemon")
    daemon = start_daemon()
    predicted = counted_hits(daemon.wait_until_ready())

    def send(probes: Sequence[Probe]) -> list[Row]:
        rows = []
        for observation in _send(traffic, probes):
            expected, decision, by = _predict(drawn, observation)
            rows.append(Row(observation, expected, by))
            if observation.observed is not Observed.FAILED:
                predicted.update(predicted_hits([decision]))
        return rows

    progress(f"{len(probes)} probes")
    rows = send(probes)
    again = [
        index
        for index, row in enumerate(rows)
        if not row.is_match and row.observation.observed in _WORTH_ANOTHER
    ]
    repeated = send([probes[index] for index in again])
    for index, row in zip(again, repeated, strict=True):
        rows[index] = row
    traffic.end()
    progress("")
    status, differences = settled_hits(daemon.status, predicted)
    matches = sum(row.is_match for row in repeated)
    return Result(drawn, tuple(rows), matches, tuple(differences), status)


def _check_baseline(traffic: Traffic, probes: Sequence[Probe]) -> None:
    """Without a firewall everything passes, at the second try at the latest."""
    failed = [o.probe for o in _send(traffic, probes) if o.observed is not Observed.ANSWERED]
    broken = [o for o in _send(traffic, failed) if o.observed is not Observed.ANSWERED]
    if broken:
        raise LabBroken.of(broken, len(probes))


def _send(traffic: Traffic, probes: Sequence[Probe]) -> list[Observation]:
    observations = []
    for start in range(0, len(probes), _PROBES_AT_ONCE):
        observations += traffic.send(probes[start : start + _PROBES_AT_ONCE])
    return observations


def _predict(drawn: Drawn, observation: Observation) -> tuple[Access, Decision, str]:
    """What a probe must show, the rules that count it, and what decides, in a few words."""
    settings = drawn.policy.settings
    packet = observation.probe.packet(observation.source_port)
    if any(passes_failsafe(failsafe, packet) for failsafe in settings.failsafe):
        return Access.ALLOW, _UNCOUNTED, "failsafe"
    decision = decide_probe(drawn.compiled, observation)
    access = decision.access
    if access is None:
        is_accepted = settings.unmanaged_traffic is UnmanagedTraffic.ACCEPT
        access = Access.ALLOW if is_accepted else Access.DENY
    return access, decision, decided_by(decision)
