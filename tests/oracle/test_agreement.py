"""nsgd decides every drawn case as the oracle does."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings

from .agreement import BASE, PACKETS_PER_DOCUMENT, Summary, compare, reduce_failure, run
from .generate import Case, cases

CASES = int(os.environ.get("NSGD_AGREEMENT_CASES", "120000"))


def _explain(summary: Summary) -> str:
    reduced = [str(reduce_failure(failure)) for failure in summary.failures[:1]]
    return "\n".join([f"{summary.disagreements} of {summary.cases} cases disagree", *reduced])


def test_agreement_on_a_constant_series() -> None:
    """The same documents and packets in every run; their number is NSGD_AGREEMENT_CASES."""
    summary = run(BASE, 0, -(-CASES // PACKETS_PER_DOCUMENT), PACKETS_PER_DOCUMENT)
    assert not summary.disagreements, _explain(summary)
    assert summary.cases >= CASES


def test_agreement_on_groups_of_many_rules() -> None:
    """Whose trees have large nodes, and lists that their classes share."""
    summary = run("many", 0, 120, 60, "many")
    assert not summary.disagreements, _explain(summary)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(cases())
def test_agreement_shrinks(case: Case) -> None:
    """The same comparison under Hypothesis, which cuts a failure down to its cause."""
    summary = compare("drawn by Hypothesis", case)
    assert not summary.disagreements, "\n".join(str(failure) for failure in summary.failures)
