"""How a user wants lint: severities, findings to leave out, ports; from a file and from options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from nsgd.analysis.chain_lint import MANAGEMENT_PORTS
from nsgd.analysis.findings import Finding, Kind, Severity
from nsgd.config.compound import Field, ListOf, ObjectOf
from nsgd.config.document import Document
from nsgd.config.names import fold
from nsgd.config.problem import ConfigRefused
from nsgd.config.report import Place
from nsgd.config.shape import Choice, Integer, Text
from nsgd.config.small_file import read_as

KINDS: Mapping[str, Kind] = {kind.identity: kind for kind in Kind}
LEVELS: Mapping[str, Severity] = {
    "error": Severity.ERROR,
    "warning": Severity.WARNING,
    "note": Severity.NOTE,
    "ignore": Severity.IGNORE,
}
_KIND = Choice(KINDS)
_SETTINGS = ObjectOf(
    "the settings of lint",
    {
        "severities": Field(
            ObjectOf("severities", {each: Field(Choice(LEVELS)) for each in KINDS})
        ),
        "ignore": Field(
            ListOf(
                ObjectOf(
                    "what to ignore",
                    {
                        "finding": Field(_KIND),
                        "networkSecurityGroup": Field(Text("a name")),
                        "rule": Field(Text("a name")),
                    },
                )
            )
        ),
        "managementPorts": Field(ListOf(Integer(1, 65535))),
    },
)


@dataclass(frozen=True, slots=True)
class Ignored:
    """Findings that are left out: those that fit all that is given."""

    kind: Kind | None = None
    group: str | None = None
    rule: str | None = None

    def fits(self, finding: Finding) -> bool:
        """Whether a finding is left out; names compare without case."""
        return (
            self.kind in (None, finding.kind)
            and (self.group is None or fold(self.group) == fold(finding.group))
            and (self.rule is None or fold(self.rule) == fold(finding.rule or ""))
        )


@dataclass(frozen=True, slots=True)
class LintSettings:
    """What lint says, and how loud."""

    severities: Mapping[Kind, Severity] = field(
        default_factory=lambda: {kind: kind.severity for kind in Kind}
    )
    ignored: tuple[Ignored, ...] = ()
    management_ports: Mapping[int, str] = field(default_factory=lambda: MANAGEMENT_PORTS)

    def severity(self, finding: Finding) -> Severity:
        """How much a finding matters; IGNORE for what is left out."""
        if any(each.fits(finding) for each in self.ignored):
            return Severity.IGNORE
        return self.severities[finding.kind]

    def with_severities(self, severities: Iterable[tuple[Kind, Severity]]) -> LintSettings:
        """The same, but for the severities of some kinds."""
        return replace(self, severities={**self.severities, **dict(severities)})


def read_lint_settings(document: Document) -> LintSettings:
    """Read a file of settings, YAML or JSON.

    Raises:
        ConfigRefused: With everything that is wrong in it.
    """
    fields, report = read_as(_SETTINGS, document)
    for index, entry in enumerate(fields.get("ignore") or ()):
        if entry == {}:
            report.add(Place(0).at("ignore", index), "everything is ignored", "say what to ignore")
    if report.has_problems:
        raise ConfigRefused(report.problems())
    severities = fields.get("severities") or {}
    ports = fields.get("managementPorts")
    return LintSettings(
        ignored=tuple(
            Ignored(each.get("finding"), each.get("networkSecurityGroup"), each.get("rule"))
            for each in fields.get("ignore") or ()
        ),
        management_ports=(
            MANAGEMENT_PORTS
            if ports is None
            else {port: MANAGEMENT_PORTS.get(port, "management") for port in ports}
        ),
    ).with_severities((KINDS[identity], level) for identity, level in severities.items())
