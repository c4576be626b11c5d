"""Metrics about policies that came by 'nsgd apply'."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from nsgd.observe.families import by, gauge
from nsgd.observe.snapshot import AppliedState


def applied_metrics(state: AppliedState) -> Iterator[Metric]:
    """What became of them, and what is so now."""
    yield by(
        "nsgd_applied_policies",
        "Policies that were applied, for good or on trial, and what became of the latter:"
        " confirmed or reverted; refused were never in force.",
        "result",
        state.counts,
    )
    yield gauge(
        "nsgd_policy_on_trial",
        "Whether the policy in force is reverted unless it is confirmed in time.",
        state.seconds_left is not None,
    )
    yield gauge(
        "nsgd_policy_in_place_of_config",
        "Whether documents that were applied stand in place of those of --config.",
        state.is_standing,
    )
