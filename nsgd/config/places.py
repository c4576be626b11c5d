"""Where groups, their rules and security admin rules stand in the documents, for later reports."""

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
        self._admin_rules: dict[str, Place] = {}
        self._configurations = list_section(fields, "securityAdminConfigurations")
        for place, raw in self._configurations:
            for number, collection in enumerate(raw.get("ruleCollections") or ()):
                of_collection = place.at("ruleCollections", number)
                for index, rule in enumerate(collection.get("rules") or ()):
                    at = of_collection.at("rules", index)
                    # A report has the shortest of these names that is the rule's alone.
                    names = raw["name"], collection["name"], rule["name"]
                    for first in range(len(names)):
                        self._admin_rules.setdefault(fold("/".join(names[first:])), at)

    def admin_rule(self, name: str) -> Located:
        """Where a security admin rule is declared that reports name securityAdminRules/*name*.

        Raises KeyError where there is none.
        """
        return self._report.where(self._admin_rules[fold(name)])

    def admin_rules(self) -> Located:
        """Where the first security admin rules are declared. Raises LookupError for none."""
        return self._report.where(self._configurations[0][0])

    def group(self, name: str) -> Located:
        """Where a group is declared. Raises KeyError where there is none of the name."""
        return self._report.where(self._groups[fold(name)])

    def rule(self, group: str, name: str) -> Located:
        """Where a rule of a group is declared; a default rule stands where its group does."""
        place = self._rules.get((fold(group), fold(name)), self._groups[fold(group)])
        return self._report.where(place)
