"""Where network security groups and their rules stand in the documents, for what is said later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.names import fold
from nsgd.config.report import Located, Place, Report
from nsgd.config.sections import list_section


class Places:
    """The way back from the groups of a model to the text; of documents without a mistake."""

    def __init__(self, report: Report, fields: Sequence[Mapping[str, Any]]) -> None:
        self._report = report
        self._groups: dict[str, Place] = {}
        self._rules: dict[tuple[str, str], Place] = {}
        for place, raw in list_section(fields, "networkSecurityGroups"):
            group = fold(raw["name"])
            self._groups[group] = place
            for index, rule in enumerate(raw.get("securityRules") or ()):
                name = fold(rule["name"])
                self._rules[group, name] = place.at("securityRules", index)

    def group(self, name: str) -> Located:
        """Where a group is declared. Raises KeyError where there is none of the name."""
        return self._report.where(self._groups[fold(name)])

    def rule(self, group: str, name: str) -> Located:
        """Where a rule of a group is declared; a default rule stands where its group does."""
        place = self._rules.get((fold(group), fold(name)), self._groups[fold(group)])
        return self._report.where(place)
