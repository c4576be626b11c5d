"""nsgd refuses every drawn mistake, and takes the nearest document without one."""

from __future__ import annotations

import os

import pytest

from . import refusals
from .agreement import BASE
from .mistakes import MISTAKES

DOCUMENTS = int(os.environ.get("NSGD_REFUSAL_DOCUMENTS", "900"))
# No variant of this one is right.
ALWAYS_WRONG = {"unknown_reference"}


def test_refusals_of_a_constant_series() -> None:
    """Both say yes, or both say no with the same of Azure's codes; each mistake is seen in both."""
    total = refusals.run(BASE, DOCUMENTS)
    assert not total.disagreements, "\n".join([str(total), *total.failures])
    names = {mistake.__name__ for mistake in MISTAKES}
    seen = {*total.histogram}
    assert {f"{name}: refused" for name in names} <= seen
    assert {f"{name}: taken" for name in names - ALWAYS_WRONG} <= seen


@pytest.mark.parametrize("said", [[], ["SecurityRuleConflict: of the wrong kind"]])
def test_a_missed_refusal_is_seen(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison does not pass whatever is said."""
    monkeypatch.setattr(refusals, "complaints", lambda document, tag_files: said)
    total = refusals.run(BASE, 50)
    assert total.disagreements.total() > 5
    assert len(total.failures) >= refusals.MOST_FAILURES_KEPT
