"""A share of what ``python -m tests.analysis.agreement`` confirms by the oracle."""

from __future__ import annotations

from nsgd.analysis.findings import Kind
from tests.analysis.agreement import BASE, Tally, check

DOCUMENTS = 60


def test_findings_are_confirmed() -> None:
    """Every finding about drawn documents, by the oracle's answer to its packet."""
    tally = Tally()
    for number in range(DOCUMENTS):
        check(f"{BASE}-{number}", tally)
    assert not tally.wrong, str(tally)
    assert not tally.undetermined
    assert tally.confirmed.total() > 6 * DOCUMENTS
    assert set(tally.confirmed) >= {kind.identity for kind in Kind} - {Kind.WIDE_TAG.identity}
