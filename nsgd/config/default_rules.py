"""Default security rules in a document: they may be repeated there, and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from nsgd.config.names import fold
from nsgd.config.report import Place
from nsgd.config.rule import References, assemble_rule
from nsgd.config.wording import show
from nsgd.model.rule import DEFAULT_SECURITY_RULES, SecurityRule

_BY_NAME = {fold(rule.name): rule for rule in DEFAULT_SECURITY_RULES}
DEFAULT_NAMES = frozenset(_BY_NAME)
_WAY_OUT = "remove defaultSecurityRules: every group has the six; a rule of yours overrides them"


def check_default_rules(
    raw_rules: Sequence[Mapping[str, Any] | None],
    place: Place,
    references: References,
) -> None:
    """Report whatever differs from the six, descriptions and the case of names apart.

    Source:
        docs/azure-reference.md, Default rules and choice 14.
    """
    report = references.report
    missing = dict(_BY_NAME)
    for index, raw in enumerate(raw_rules):
        name: str | None = raw.get("name") if raw is not None else None
        if raw is None or name is None:
            continue
        at = place.at(index)
        expected = _BY_NAME.get(fold(name))
        if expected is None:
            report.add(at.at("name"), f"{show(name)} is not a default security rule", _WAY_OUT)
        elif missing.pop(fold(name), None) is None:
            report.add(at.at("name"), f"{show(name)} is given twice", _WAY_OUT)
        else:
            rule = assemble_rule(raw, at, references)
            differing = [] if rule is None else _differing(rule, expected)
            if differing:
                report.add(
                    at,
                    f"differs in {', '.join(differing)} from the default security rule",
                    _WAY_OUT,
                )
    if missing:
        names = ", ".join(rule.name for rule in missing.values())
        report.add(place, f"{names} {'is' if len(missing) == 1 else 'are'} missing", _WAY_OUT)


def _differing(rule: SecurityRule, expected: SecurityRule) -> list[str]:
    """The fields that decide and are not as expected, in words."""
    return [
        entry.name.replace("_", " ")
        for entry in fields(SecurityRule)
        if entry.name not in ("name", "description")
        and getattr(rule, entry.name) != getattr(expected, entry.name)
    ]
