"""Findings in the order of the documents, as lines of text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.analysis.findings import Finding, Severity, Unfinished
from nsgd.analysis.flow_text import packet_as_json, packet_text
from nsgd.analysis.lint import LintResult
from nsgd.analysis.lint_settings import LintSettings
from nsgd.config.places import Places
from nsgd.config.problem import format_path
from nsgd.config.report import Located
from nsgd.policy.admin import ADMIN_PREFIX


@dataclass(frozen=True, slots=True)
class Placed:
    """A finding with its severity, and where it and the rules that it names stand."""

    finding: Finding
    severity: Severity
    at: Located
    others: tuple[tuple[str, Located], ...]  # name and place; those of the platform have none


@dataclass(frozen=True, slots=True)
class LintReport:
    """What is told: findings in the order of the documents, and questions without an answer."""

    placed: tuple[Placed, ...]
    unfinished: tuple[tuple[Unfinished, Located], ...]

    def count(self, severity: Severity) -> int:
        """How many findings are as severe as that."""
        return sum(each.severity is severity for each in self.placed)


def place_findings(result: LintResult, settings: LintSettings, places: Places) -> LintReport:
    """Find the findings' places, and leave out what settings say."""
    placed = []
    for finding in result.findings:
        severity = settings.severity(finding)
        if severity is not Severity.IGNORE:
            others = tuple(
                (name.rule, _place(places, *name)) for name in finding.others if _is_declared(*name)
            )
            at = _place(places, finding.group, finding.rule)
            placed.append(Placed(finding, severity, at, others))
    placed.sort(key=lambda each: (each.at.document, each.at.line or 0))
    unfinished = [
        (each, _place(places, each.group, each.rule))
        for each in result.unfinished
        if settings.severities[each.kind] is not Severity.IGNORE
    ]
    return LintReport(tuple(placed), tuple(unfinished))


def _is_declared(group: str, rule: str) -> bool:
    return bool(group) or rule.startswith(ADMIN_PREFIX)


def _place(places: Places, group: str, rule: str | None) -> Located:
    if not group and rule is None:
        return places.admin_rules()
    if rule is not None and not group:
        return places.admin_rule(rule.removeprefix(ADMIN_PREFIX))
    return places.group(group) if rule is None else places.rule(group, rule)


def report_as_text(report: LintReport) -> str:
    """A line for each finding, as check has them, and its packet; a summary at the end."""
    lines = []
    for each in report.placed:
        finding = each.finding
        subject = subject_text(finding.group, finding.rule)
        way_out = finding.kind.value.way_out
        lines.append(
            f"{_where(each.at)}: {each.severity.value}: {subject} {finding.message};"
            f" {way_out} ({finding.kind.identity})"
        )
        if finding.witness is not None and finding.direction is not None:
            lines.append(f"    such as {finding.direction.value} {packet_text(finding.witness)}")
    for unfinished, at in report.unfinished:
        lines.append(
            f"{_where(at)}: undetermined: {subject_text(unfinished.group, unfinished.rule)}"
            f" has too many cases for --budget ({unfinished.kind.identity})"
        )
    return "\n".join([*lines, _summary(report)])


def _summary(report: LintReport) -> str:
    counts: Sequence[tuple[int, str]] = (
        (report.count(Severity.ERROR), "error"),
        (report.count(Severity.WARNING), "warning"),
        (report.count(Severity.NOTE), "note"),
    )
    parts = [f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts]
    if report.unfinished:
        parts.append(f"{len(report.unfinished)} undetermined")
    return ", ".join(parts)


def report_as_json(report: LintReport) -> dict[str, Any]:
    """The same for programs; the form stays as it is, apart from new keys."""
    return {
        "findings": [_finding_as_json(each) for each in report.placed],
        "undetermined": [
            {
                "finding": unfinished.kind.identity,
                "networkSecurityGroup": unfinished.group or None,
                "rule": unfinished.rule,
                **_location_as_json(at),
            }
            for unfinished, at in report.unfinished
        ],
    }


def _finding_as_json(placed: Placed) -> dict[str, Any]:
    finding = placed.finding
    direction = finding.direction
    return {
        "finding": finding.kind.identity,
        "severity": placed.severity.value,
        "networkSecurityGroup": finding.group or None,
        "rule": finding.rule,
        "direction": None if direction is None else direction.value,
        "message": finding.message,
        "wayOut": finding.kind.value.way_out,
        **_location_as_json(placed.at),
        "others": [
            {"networkSecurityGroup": name.group or None, "rule": name.rule}
            for name in finding.others
        ],
        "witness": None if finding.witness is None else packet_as_json(finding.witness),
        "seenFrom": finding.subnet,
    }


def _location_as_json(at: Located) -> dict[str, Any]:
    return {"document": at.document, "line": at.line, "path": format_path(at.path)}


def _where(at: Located) -> str:
    where = at.document if at.line is None else f"{at.document}:{at.line}"
    path = format_path(at.path)
    return f"{where}: {path}" if path else where


def subject_text(group: str, rule: str | None) -> str:
    """A rule with its group, or the group; security admin rules have none."""
    if not group:
        return rule or "security admin rules"
    return f"{rule} of {group}" if rule else group
