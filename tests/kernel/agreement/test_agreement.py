"""The engines against the oracle with real packets: CI's share of it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.kernel.agreement.run import ENGINES, run
from tests.kernel.agreement.summary import Summary

_POLICIES = 90
_PACKETS_PER_POLICY = 1000


def _is_done(summaries: Sequence[Summary]) -> bool:
    return summaries[0].policies == _POLICIES or any(each.disagreements for each in summaries)


def test_real_packets_agree_with_the_oracle_in_both_engines() -> None:
    """Each packet's fate, the rules kept for its flow, and every counter, on the same traffic."""
    summaries = run("ci", ENGINES, _is_done, packets_per_policy=_PACKETS_PER_POLICY)
    for summary in summaries:
        assert not summary.disagreements, "\n".join((*summary.told, str(summary)))
        # It has to have been a test: of enough packets, on both sides of the rules.
        assert summary.decided > _POLICIES * _PACKETS_PER_POLICY // 2, summary
        assert summary.sent // 4 < summary.passed < summary.sent * 3 // 4, summary
