"""Settings of lint: what a file may say, and that all that is wrong in it is said at once."""

from __future__ import annotations

import pytest

from nsgd.analysis.findings import Finding, Kind, Severity
from nsgd.analysis.lint_settings import KINDS, LintSettings, read_lint_settings
from nsgd.config.document import Document
from nsgd.config.problem import ConfigRefused


def read(text: str) -> LintSettings:
    return read_lint_settings(Document("lint.yaml", text.encode()))


def finding(kind: Kind, group: str = "web", rule: str | None = "ssh") -> Finding:
    return Finding(kind, group, rule, "")


def test_without_settings() -> None:
    """Every kind has a severity of its own; only open management ports are errors."""
    settings = LintSettings()
    errors = [kind for kind in Kind if settings.severity(finding(kind)) is Severity.ERROR]
    assert errors == [Kind.MANAGEMENT_PORT_OPEN]
    assert 22 in settings.management_ports
    assert len(KINDS) == len(Kind)


def test_a_file() -> None:
    """Severities, what to ignore by any of three, and ports in place of the usual ones."""
    settings = read(
        """
        severities: {never-matches: error, wide-tag: ignore}
        ignore:
          - {finding: management-port-open, networkSecurityGroup: Bastion, rule: SSH}
          - {networkSecurityGroup: legacy}
        managementPorts: [22, 8006]
        """
    )
    assert settings.severity(finding(Kind.NEVER_MATCHES)) is Severity.ERROR
    assert settings.severity(finding(Kind.WIDE_TAG)) is Severity.IGNORE
    assert settings.severity(finding(Kind.CHANGES_NOTHING)) is Severity.NOTE
    opened = Kind.MANAGEMENT_PORT_OPEN
    assert settings.severity(finding(opened, "bastion")) is Severity.IGNORE
    assert settings.severity(finding(opened, "bastion", "rdp")) is Severity.ERROR
    assert settings.severity(finding(opened, "web")) is Severity.ERROR
    assert settings.severity(finding(Kind.UNATTACHED_GROUP, "legacy", None)) is Severity.IGNORE
    assert dict(settings.management_ports) == {22: "SSH", 8006: "management"}


def test_options_go_before_a_file() -> None:
    """As the last word on a kind."""
    settings = read("severities: {never-matches: error}")
    changed = settings.with_severities([(Kind.NEVER_MATCHES, Severity.NOTE)])
    assert changed.severity(finding(Kind.NEVER_MATCHES)) is Severity.NOTE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "severities: {never-match: error}",
            "unknown key 'never-match'; did you mean never-matches",
        ),
        ("severities: {never-matches: fatal}", "'fatal' is not allowed; write one of error"),
        ("ignore: [{finding: nothing}]", "ignore[0].finding: 'nothing' is not allowed"),
        ("ignore: [{}]", "ignore[0]: everything is ignored; say what to ignore"),
        ("managementPorts: [0]", "managementPorts[0]: 0 is outside 1-65535"),
        ("rules: []", "unknown key 'rules'"),
        ("[1]", "is not the settings of lint"),
        ("severities: {a: b", "lint.yaml:2: not YAML"),
        ("", "the document is empty"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """With place and way out, as documents are."""
    with pytest.raises(ConfigRefused) as caught:
        read(text)
    assert message in str(caught.value)


def test_everything_wrong_is_said() -> None:
    """Not the first mistake alone."""
    with pytest.raises(ConfigRefused) as caught:
        read("severities: {wide-tag: loud}\nmanagementPorts: [70000]\nignor: []\n")
    assert len(caught.value.problems) == 3
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]
