"""The live view at a terminal, drawn with rich: what there is room for, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nsgd.observe.flow_log_state import flow_log_line
from nsgd.top.health import Level
from nsgd.top.text import by_text, bytes_text, flow_text, rate_text
from nsgd.top.view import Choice, DenialSort, RuleRow, View

_KEYS = (
    ("q", "quit"),
    ("s", "sort rules"),
    ("d", "denials"),
    ("a", "denies only"),
    ("p", "pause"),
    ("+-", "every"),
)
_ACCESS = {"Allow": "green", "Deny": "red"}
_MOST_FINDINGS = 4
_LEAST_ROWS = 3  # of a table, where there are so many lines at all


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands around the view."""

    interval_s: float
    is_paused: bool = False
    trouble: str = ""  # why the daemon does not answer
    restarted: str = ""  # when it was, ISO 8601
    note: str = ""


def draw(view: View | None, choice: Choice, shown: Shown, height: int) -> RenderableType:
    """The screen: *height* lines at most, each cut where the terminal ends."""
    top = [_title(view, shown)]
    if shown.trouble:
        top.append(_line(Text(f"NO ANSWER: {shown.trouble}; trying again", "bold red")))
    if shown.note:
        top.append(_line(Text(shown.note, "yellow")))
    if view is None:
        return Group(*top, *([] if shown.trouble else [Text("waiting for the daemon")]), _keys())
    if shown.restarted:
        said = f"the daemon was restarted at {shown.restarted}: its counts began anew"
        top.append(_line(Text(said, "yellow")))
    top += _summary(view)
    left = height - len(top) - 1
    denials = min(len(view.denials) or 1, max(_LEAST_ROWS, (left - 2) // 2))
    rules = max(0, left - 2 - denials)
    denials = max(0, min(len(view.denials) or 1, left - 2 - min(rules, len(view.rules) or 1)))
    return Group(*top, _rules(view, choice, rules), _denials(view, choice, denials), _keys())


def _title(view: View | None, shown: Shown) -> RenderableType:
    table = Table.grid(expand=True, padding=0)
    table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right")
    words = Text("nsgd top", "bold")
    right = Text(f"every {shown.interval_s:g} s", "dim")
    if view is not None:
        status = view.reading.status
        mode, roles = status["mode"], "+".join(status["roles"])
        words.append(f"  {roles}, engine {status['engine']}, mode {mode}", "not bold")
        taken = datetime.fromtimestamp(view.reading.unix_s, UTC).strftime("%H:%M:%S UTC")
        right = Text(f"{taken}  ").append_text(right)
    if shown.is_paused:
        right = Text("PAUSED  ", "bold yellow").append_text(right)
    table.add_row(words, right)
    return table


def _summary(view: View) -> list[RenderableType]:
    status = view.reading.status
    queue, worker = status["queue"], status["worker"]
    lines = [
        Text.assemble(
            ("policy   ", "dim"),
            f"{status['generation']} in force since {status['loadedAt']}, documents ",
            status["policyHash"],
            f", {status['reloads']['refused']} refused" if status["reloads"]["refused"] else "",
        ),
        Text.assemble(
            ("flows    ", "dim"),
            (f"{rate_text(view.allowed_per_s)}/s allowed", "green"),
            "  ",
            (f"{rate_text(view.denied_per_s)}/s denied", "red" if view.denied_per_s else ""),
            "   ",
            ("queue ", "dim"),
            "?" if queue is None else f"{queue['length']} of {queue['maxLength']} wait",
            "   ",
            ("worker ", "dim"),
            ("up", "green") if worker["up"] else ("DOWN", "bold red"),
        ),
    ]
    if view.outside_rules:
        words = ", ".join(
            f"{reason} {count}" + (f" ({rate_text(rate)}/s)" if rate else "")
            for reason, count, rate in view.outside_rules
        )
        lines.append(Text.assemble(("no rule  ", "dim"), f"denied: {words}"))
    if status.get("flowLog"):
        lines.append(Text.assemble(("flow log ", "dim"), flow_log_line(status["flowLog"])))
    styles = {Level.PROBLEM: "bold red", Level.NOTE: "yellow"}
    found = [
        Text.assemble(("health   ", "dim"), (each.text, styles[each.level]))
        for each in view.findings[:_MOST_FINDINGS]
    ] or [Text.assemble(("health   ", "dim"), ("nothing to report", "green"))]
    hidden = len(view.findings) - _MOST_FINDINGS
    if hidden > 0:
        found.append(Text(f"         and {hidden} more: nsgd top --once", "yellow"))
    return [_line(line) for line in (*lines, *found)]


def _rules(view: View, choice: Choice, rows: int) -> RenderableType:
    hidden = len(view.rules) - min(rows, len(view.rules))
    name = f"Rules by {choice.rule_sort.value}" + (f", {hidden} more" if hidden else "")
    has_bytes = bool(view.reading.status.get("flowLog"))
    sizes = [("Bytes", 8, True)] if has_bytes else []
    # What bytes take of 80 columns, hits have to spare.
    hits = ("Hits", 8 if has_bytes else 10, True)
    table = _table(("Per s", 8, True), hits, *sizes, ("Access", 6, False), ("Direction", 9, False))
    _add_wide(table, "Security group", 2)
    _add_wide(table, name, 3)
    for row in view.rules[:rows]:
        table.add_row(*_rule_cells(row, has_bytes=has_bytes))
    if not view.rules and rows:
        table.add_row("", "", "", "", *[""] * has_bytes, Text("no rule is meant", "dim"), "")
    return table


def _rule_cells(row: RuleRow, *, has_bytes: bool) -> Sequence[Text]:
    quiet = "" if row.per_s else "dim"
    return (
        Text(rate_text(row.per_s), quiet),
        Text(str(row.hits), quiet),
        *([Text(bytes_text(row.bytes), quiet)] if has_bytes else []),
        Text(row.access, _ACCESS.get(row.access, "")),
        Text(row.direction, quiet),
        Text(row.network_security_group or "-", quiet),
        Text(row.rule, quiet),
    )


def _denials(view: View, choice: Choice, rows: int) -> RenderableType:
    order = "newest" if choice.denial_sort is DenialSort.TIME else "most"
    hidden = len(view.denials) - min(rows, len(view.denials))
    name = f"Denials, {order} first" + (f", {hidden} more" if hidden else "")
    table = _table(("10min", 5, True), ("Last", 8, False))
    _add_wide(table, name, 5)
    _add_wide(table, "Denied by", 4)
    today = datetime.fromtimestamp(view.reading.unix_s, UTC).date().isoformat()
    for row in view.denials[:rows]:
        # Of another day that day: those of a quiet source are kept for long.
        last = row.last[11:19] if row.last[:10] == today else row.last[5:10]
        table.add_row(Text(str(row.lately)), Text(last), Text(flow_text(row)), Text(by_text(row)))
    if not view.denials and rows:
        table.add_row("", "", Text("none that was told", "dim"), "")
    return table


def _table(*columns: tuple[str, int, bool]) -> Table:
    table = Table(
        box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold reverse"
    )
    for name, width, is_right in columns:
        table.add_column(name, width=width, no_wrap=True, justify="right" if is_right else "left")
    return table


def _add_wide(table: Table, name: str, share: int) -> None:
    table.add_column(name, ratio=share, no_wrap=True, overflow="ellipsis")


def _line(text: Text) -> RenderableType:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _keys() -> RenderableType:
    text = Text(style="dim")
    for key, meaning in _KEYS:
        text.append(f" {key} ", "reverse").append(f" {meaning}  ")
    return _line(text)
