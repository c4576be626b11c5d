"""A share of what ``python -m tests.analysis.agreement`` confirms by the oracle."""

from __future__ import annotations

from nsgd.analysis.findings import Kind
from tests.analysis.agreement import BASE, Tally, administered_case, check, check_lint

DOCUMENTS = 60
ADMIN_DOCUMENTS = 50
OF_ADMINISTRATORS = (
    Kind.NEVER_MATCHES,
    Kind.CHANGES_NOTHING,
    Kind.MANAGEMENT_PORT_OPEN,
    Kind.NO_SUCH_ADDRESS,
    Kind.DENIES_PLATFORM,
    Kind.APPLIED_NOWHERE,
)
BY_ADMINISTRATORS = (Kind.ALWAYS_ALLOWED, Kind.NEVER_ASKED)


def test_findings_are_confirmed() -> None:
    """Every finding about drawn documents, by the oracle's answer to its packet."""
    tally = Tally()
    for number in range(DOCUMENTS):
        check(f"{BASE}-{number}", tally)
    assert not tally.wrong, str(tally)
    assert not tally.undetermined
    assert tally.confirmed.total() > 6 * DOCUMENTS
    assert set(tally.confirmed) >= {
        kind.identity for kind in Kind if kind not in (Kind.WIDE_TAG, *BY_ADMINISTRATORS)
    } - {Kind.APPLIED_NOWHERE.identity}


def test_findings_about_security_admin_rules_are_confirmed() -> None:
    """Of rules of administrators, and of rules of groups that they leave without effect."""
    tally = Tally()
    for number in range(ADMIN_DOCUMENTS):
        check_lint(administered_case(f"{BASE}-admin-{number}"), str(number), tally)
    assert not tally.wrong, str(tally)
    assert not tally.undetermined
    assert tally.confirmed.total() > 5 * ADMIN_DOCUMENTS
    assert set(tally.confirmed) >= {
        *(f"admin {kind.identity}" for kind in OF_ADMINISTRATORS),
        *(kind.identity for kind in BY_ADMINISTRATORS),
    }
