"""Findings as SARIF, the form that code scanning of many hosts reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nsgd.analysis.findings import Kind
from nsgd.analysis.flow_text import packet_as_json, packet_text
from nsgd.analysis.lint_text import LintReport, Placed, subject_text
from nsgd.config.problem import format_path
from nsgd.config.report import Located


def report_as_sarif(report: LintReport, version: str) -> dict[str, Any]:
    """The report as SARIF 2.1.0, which code scanning of many hosts reads.

    Source:
        OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
    """
    indexes = {kind: index for index, kind in enumerate(Kind)}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "nsgd",
                        "version": version,
                        "rules": [_rule_as_sarif(kind) for kind in Kind],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {
                                "level": "warning",
                                "message": {
                                    "text": f"{subject_text(unfinished.group, unfinished.rule)}:"
                                    " undetermined, too many cases for --budget"
                                },
                                "associatedRule": {
                                    "id": unfinished.kind.identity,
                                    "index": indexes[unfinished.kind],
                                },
                                "locations": [_location_as_sarif(at)],
                            }
                            for unfinished, at in report.unfinished
                        ],
                    }
                ],
                "results": [
                    _result_as_sarif(each, indexes[each.finding.kind]) for each in report.placed
                ],
            }
        ],
    }


def _rule_as_sarif(kind: Kind) -> dict[str, Any]:
    return {
        "id": kind.identity,
        "shortDescription": {"text": kind.value.text},
        "help": {"text": f"{kind.value.way_out[0].upper()}{kind.value.way_out[1:]}."},
        "defaultConfiguration": {"level": kind.severity.value},
    }


def _result_as_sarif(placed: Placed, index: int) -> dict[str, Any]:
    finding = placed.finding
    text = f"{subject_text(finding.group, finding.rule)} {finding.message}"
    properties: dict[str, Any] = {}
    if finding.witness is not None and finding.direction is not None:
        text += f", such as {finding.direction.value} {packet_text(finding.witness)}"
        properties["witness"] = packet_as_json(finding.witness)
    result: dict[str, Any] = {
        "ruleId": finding.kind.identity,
        "ruleIndex": index,
        "level": placed.severity.value,
        "message": {"text": text},
        "locations": [_location_as_sarif(placed.at)],
        # What stays the same when lines move.
        "partialFingerprints": {
            "finding/v1": "/".join((finding.kind.identity, finding.group, finding.rule or ""))
        },
        "properties": properties,
    }
    if placed.others:
        result["relatedLocations"] = [
            {**_location_as_sarif(at), "id": number, "message": {"text": name}}
            for number, (name, at) in enumerate(placed.others, 1)
        ]
    return result


def _location_as_sarif(at: Located) -> dict[str, Any]:
    region: Mapping[str, Any] = {} if at.line is None else {"region": {"startLine": at.line}}
    found: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": _uri(at.document)}, **region}
    }
    if at.path:
        found["logicalLocations"] = [{"fullyQualifiedName": format_path(at.path)}]
    return found


def _uri(document: str) -> str:
    return f"file://{quote(document)}" if document.startswith("/") else quote(document)
