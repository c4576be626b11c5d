"""Answers as aligned text for people; long lists are wrapped inside their column."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.answers.admin_rules import as_rows as admin_rules_as_rows
from nsgd.answers.azure_names import group_name, rule_name
from nsgd.answers.diagnostics import Explanation
from nsgd.answers.effective_rules import as_rows
from nsgd.answers.ip_flow import FlowAnswer, describe
from nsgd.answers.path import PathAnswer, path_answer_as_rows, path_summary

_LIST_WIDTH = 24  # of a column of prefixes or ports
_GAP = "  "


def effective_rules_as_text(answer: Mapping[str, Any], width: int) -> str:
    """Effective rules, one table a group, and what each tag stands for.

    Args:
        answer: What effective_rules_as_json returns.
        width: Columns of the terminal, for the prefixes of tags.
    """
    admin_rules = answer.get("effectiveSecurityAdminRules", ())
    if not answer["value"] and not admin_rules:
        return "no network security group is associated: all traffic is allowed"
    parts: list[str] = []
    tags: dict[str, list[str]] = {}
    heads = (
        "Direction",
        "Priority",
        "Name",
        "Access",
        "Protocol",
        "Source",
        "Ports",
        "Destination",
        "Ports",
    )
    if admin_rules:
        parts.append("security admin rules, ahead of every group")
        parts.append(aligned(heads, admin_rules_as_rows(admin_rules), narrow={5, 6, 7, 8}))
        parts.append("")
        for rule in admin_rules:
            tags |= rule.get("tagMap", {})
    if not answer["value"]:
        parts += ["no network security group is associated: what they do not deny is allowed", ""]
    for element in answer["value"]:
        ((kind, owner),) = element["association"].items()
        words = {"networkInterface": "network interface", "scaleSet": "scale set"}
        group = element["networkSecurityGroup"]["id"]
        parts.append(f"{group} ({words.get(kind, kind)} {owner['id']})")
        parts.append(aligned(heads, as_rows(element), narrow={5, 6, 7, 8}))
        parts.append("")
        # One network interface sees the same prefixes in all its groups.
        tags |= element["tagMap"]
    parts += [
        _wrapped(f"{tag}: ", ", ".join(prefixes) or "nothing", width)
        for tag, prefixes in tags.items()
    ]
    return "\n".join(parts)


def flow_answer_as_text(answer: FlowAnswer) -> str:
    """The verdict in one line, and a line for each group that was asked."""
    rows = [
        (
            decision.direction.value,
            group_name(decision.network_security_group) or "",
            decision.access.value,
            rule_name(decision.rule),
        )
        for decision in answer.consulted
    ]
    heads = ("Direction", "Network security group", "Access", "Rule")
    return "\n".join([describe(answer), *([aligned(heads, rows)] if rows else [])])


def path_as_text(answer: PathAnswer) -> str:
    """The verdict in one line, and every group on the way."""
    heads = ("Direction", "At", "Network security group", "Access", "Rule", "")
    rows = path_answer_as_rows(answer)
    return "\n".join([path_summary(answer), *([aligned(heads, rows)] if rows else [])])


def explanation_as_text(explanation: Explanation) -> str:
    """Table by table, the rules up to and with the one that matched."""
    parts = [explanation.access.value]
    for table in explanation.tables:
        group = group_name(table.network_security_group) or "ahead of every group"
        parts.append(f"{group}, {table.direction.value}, at {table.applied_to}:")
        rows = [
            (
                rule_name(rule.name),
                rule.access.value,
                "matches" if rule.is_match else f"differs in {', '.join(rule.failed_fields)}",
            )
            for rule in table.rules
        ]
        parts.append(textwrap.indent(aligned(("Rule", "Access", ""), rows), _GAP))
    if not explanation.tables:
        parts.append("no network security group is asked")
    return "\n".join(parts)


def _wrapped(head: str, text: str, width: int) -> str:
    return "\n".join(
        textwrap.wrap(head + text, max(width, 40), subsequent_indent="    ", break_long_words=False)
    )


def aligned(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    narrow: frozenset[int] | set[int] = frozenset(),
) -> str:
    """Rows of text in aligned columns below their heads.

    Columns of *narrow* hold lists, which go on in further lines.
    """
    cells = [
        [
            textwrap.wrap(cell, _LIST_WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
            if column in narrow
            else [cell]
            for column, cell in enumerate(row)
        ]
        for row in (heads, *rows)
    ]
    widths = [
        max(len(line) for row in cells for line in row[column]) for column in range(len(heads))
    ]
    lines = [
        _GAP.join(
            (cell[line] if line < len(cell) else "").ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
        for line in range(max(map(len, row)))
    ]
    return "\n".join(lines)
