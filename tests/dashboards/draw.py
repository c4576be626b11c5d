"""Draws rows of the dashboard from what a Prometheus answers, where no Grafana is at hand.

Panels have Grafana's places, titles, units and queries; how they look is only near to its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tests.dashboards.dashboard import Panel, panels, substituted
from tests.dashboards.server import Prometheus

_INCHES_PER_COLUMN, _INCHES_PER_LINE, _DOTS_PER_INCH = 0.62, 0.4, 110
_LEGEND_ROWS, _LEGEND_INCHES = 4, 0.17
_COLORS = (
    "#3f8f3f", "#c0392b", "#d99a1c", "#2f78b5", "#8e5aa8",
    "#1f9e9e", "#7f7f7f", "#b5651d", "#d4679c", "#5566cc",
)  # fmt: skip
_NAMED = {"green": "#3f8f3f", "light-green": "#8fc98f", "red": "#c0392b", "orange": "#d9811c"}
_INK, _PALE = "#24292f", "#6b7480"
# Smallest text that is still read in a page.
_SMALL, _NORMAL = 7.5, 9.5

Series = list[dict[str, Any]]


class Times:
    """The time that is drawn."""

    def __init__(self, start_s: float, end_s: float, step_s: float, rate: str) -> None:
        """*rate* stands for $__rate_interval."""
        self.start_s, self.end_s, self.step_s, self.rate = start_s, end_s, step_s, rate

    @property
    def span(self) -> str:
        """For $__range."""
        return f"{int(self.end_s - self.start_s)}s"


def rows() -> dict[str, list[Panel]]:
    """The panels of each row, by its title."""
    found: dict[str, list[Panel]] = {}
    for panel in panels():
        if panel.kind == "row":
            found[panel.title] = []
        else:
            next(reversed(found.values())).append(panel)
    return found


def draw(titles: Sequence[str], server: Prometheus, times: Times, path: Path) -> None:
    """Write one picture of some rows, from top to bottom."""
    shown = {title: rows()[title] for title in titles}
    heights = {
        title: max(p.place[1] + p.place[3] for p in made) - min(p.place[1] for p in made)
        for title, made in shown.items()
    }
    lines = sum(heights.values()) + len(shown)
    width, height = 24 * _INCHES_PER_COLUMN, lines * _INCHES_PER_LINE
    figure = Figure(figsize=(width, height), facecolor="#f4f5f7")
    FigureCanvasAgg(figure)
    top = 0
    for title, made in shown.items():
        figure.text(
            0.006, 1 - (top + 0.55) / lines, f"▾ {title}", fontsize=11, weight="bold", color=_INK,
            va="center",
        )  # fmt: skip
        top += 1
        first = min(panel.place[1] for panel in made)
        for panel in made:
            x, y, w, h = panel.place
            box = (x / 24, 1 - (top + y - first + h) / lines, w / 24, h / lines)
            _draw_panel(figure, box, panel, server, times)
        top += heights[title]
    figure.savefig(path, dpi=_DOTS_PER_INCH, format="png", pil_kwargs={"optimize": True})


def _draw_panel(
    figure: Figure,
    box: tuple[float, float, float, float],
    panel: Panel,
    server: Prometheus,
    times: Times,
) -> None:
    left, bottom, width, height = box
    size = figure.get_size_inches()
    gap_x, gap_y = 0.05 / size[0], 0.05 / size[1]
    frame: Axes = figure.add_axes(
        (left + gap_x, bottom + gap_y, width - 2 * gap_x, height - 2 * gap_y)
    )
    frame.set_xticks([])
    frame.set_yticks([])
    for side in frame.spines.values():
        side.set_color("#d8dce1")
    title_inches = 0.24
    figure.text(
        left + 2.5 * gap_x, bottom + height - gap_y - title_inches / 2 / size[1], panel.title,
        fontsize=_NORMAL, weight="bold", color=_INK, va="center",
    )  # fmt: skip
    if panel.kind == "stat":
        _draw_stat(frame, panel, server, times)
    elif panel.kind == "table":
        _draw_table(frame, panel, server, times)
    else:
        _draw_lines(figure, box, panel, server, times)


def _draw_stat(frame: Axes, panel: Panel, server: Prometheus, times: Times) -> None:
    (query,) = panel.queries
    found = server.query(substituted(query.expression, step=times.rate, span=times.span))
    defaults = panel.raw["fieldConfig"]["defaults"]
    text, color = "no data", _INK
    if found:
        value = float(found[0]["value"][1])
        if panel.raw["options"]["textMode"] == "name":
            text = _legend(query.legend, found[0]["metric"])
        else:
            mapped = (defaults.get("mappings") or [{"options": {}}])[0]["options"]
            shown = round(value) if defaults.get("decimals") == 0 else value
            text = mapped.get(f"{value:g}", {}).get("text") or _format(panel.unit)(shown)
        steps = defaults["thresholds"]["steps"]
        name = [s["color"] for s in steps if s["value"] is None or value >= s["value"]][-1]
        color = _NAMED.get(name, _INK)
    if panel.raw["options"]["colorMode"] == "background":
        frame.set_facecolor(color)
        color = "white"
        for each in frame.figure.texts[-1:]:
            each.set_color("white")
    big = 19 if len(text) < 10 else 12 if len(text) < 15 else 9.5
    frame.text(
        0.5, 0.42, text, fontsize=big, weight="bold", color=color, ha="center", va="center",
        transform=frame.transAxes,
    )  # fmt: skip


def _draw_table(frame: Axes, panel: Panel, server: Prometheus, times: Times) -> None:
    (query,) = panel.queries
    found = server.query(substituted(query.expression, step=times.rate, span=times.span))
    names: Mapping[str, str] = panel.raw["transformations"][0]["options"]["renameByName"]
    keys = [key for key in names if key != "Value"]
    found.sort(key=lambda series: -float(series["value"][1]))
    cells = [
        [*(s["metric"].get(key, "") for key in keys), f"{float(s['value'][1]):.0f}"]
        for s in found[:10]
    ]
    # As wide as what stands in them.
    lines = [[*(names[key] for key in keys), names["Value"]], *cells]
    widths = [max(len(line[column]) for line in lines) + 2 for column in range(len(lines[0]))]
    for number, line in enumerate(lines):
        y = 0.85 - number * 0.078
        at = 0.025
        for column, text in enumerate(line):
            is_last = column == len(line) - 1
            frame.text(
                0.975 if is_last else at, y, text, fontsize=_SMALL + 0.5,
                ha="right" if is_last else "left", va="center", transform=frame.transAxes,
                color=_PALE if number == 0 else _INK, weight="bold" if number == 0 else "normal",
            )  # fmt: skip
            at += widths[column] / sum(widths) * 0.97


def _draw_lines(
    figure: Figure,
    box: tuple[float, float, float, float],
    panel: Panel,
    server: Prometheus,
    times: Times,
) -> None:
    found: list[tuple[str, Series]] = [
        (
            query.legend,
            server.query_range(
                substituted(query.expression, step=times.rate, span=times.span),
                times.start_s,
                times.end_s,
                times.step_s,
            ),
        )
        for query in panel.queries
    ]
    lines = [
        (_legend(legend, series["metric"]), _points(series["values"], times))
        for legend, answer in found
        for series in answer
    ]
    # What moved most first: the legend has no room for all that is zero.
    lines.sort(key=lambda line: -max((abs(v) for v in line[1][1] if not math.isnan(v)), default=0))
    size = figure.get_size_inches()
    left, bottom, width, height = box
    legend_rows = min(_LEGEND_ROWS, math.ceil(len(lines) / 2))
    axes: Axes = figure.add_axes(
        (
            left + 0.58 / size[0],
            bottom + (0.4 + _LEGEND_INCHES * legend_rows) / size[1],
            width - 0.85 / size[0],
            height - (0.72 + _LEGEND_INCHES * legend_rows) / size[1],
        )
    )
    custom = panel.raw["fieldConfig"]["defaults"]["custom"]
    is_stacked = custom["stacking"]["mode"] == "normal"
    is_step = custom["lineInterpolation"] == "stepAfter"
    colors = [_color(panel, name, index) for index, (name, _) in enumerate(lines)]
    below = [0.0] * len(_steps(times))
    for index, (_, (at, values)) in enumerate(lines):
        color = colors[index]
        minutes = [(time - times.start_s) / 60 for time in at]
        if is_stacked:
            above = [b + (0 if math.isnan(v) else v) for b, v in zip(below, values, strict=True)]
            axes.fill_between(minutes, below, above, color=color, alpha=0.35, linewidth=0)
            axes.plot(minutes, above, color=color, linewidth=1)
            below = above
        else:
            style = "steps-post" if is_step else "default"
            axes.plot(minutes, values, color=color, linewidth=1.3, drawstyle=style)
            if custom["fillOpacity"]:
                shape: dict[str, Any] = {"step": "post"} if is_step else {}
                axes.fill_between(minutes, values, color=color, alpha=0.08, linewidth=0, **shape)
    is_flat = all(v == 0 or math.isnan(v) for _, (_, values) in lines for v in values)
    _dress(axes, panel, times, is_flat=is_flat)
    handles = [axes.plot([], [], color=color, linewidth=2)[0] for color in colors]
    most = 2 * _LEGEND_ROWS
    names = [name if len(name) <= 34 else f"{name[:33]}…" for name, _ in lines]
    if lines:
        figure.legend(
            handles[:most], names[:most], loc="lower left", ncols=2, fontsize=_SMALL,
            bbox_to_anchor=(left + 0.08 / size[0], bottom + 0.05 / size[1]), frameon=False,
            handlelength=1.1, columnspacing=1.0, handletextpad=0.5, labelspacing=0.25,
            labelcolor=_INK, borderpad=0.1,
        )  # fmt: skip


def _dress(axes: Axes, panel: Panel, times: Times, *, is_flat: bool) -> None:
    defaults = panel.raw["fieldConfig"]["defaults"]
    axes.set_xlim(0, (times.end_s - times.start_s) / 60)
    axes.set_ylim(bottom=defaults.get("min"), top=None)
    if is_flat:
        axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: _format(panel.unit)(v)))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0f} min"))
    axes.tick_params(labelsize=_SMALL, colors=_PALE, length=0)
    axes.grid(color="#e8eaed", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _color(panel: Panel, name: str, index: int) -> str:
    """The panel's own for such a name, or the next one."""
    for override in panel.raw["fieldConfig"]["overrides"]:
        if re.match(override["matcher"]["options"].strip("/"), name):
            return _NAMED[override["properties"][0]["value"]["fixedColor"]]
    return _COLORS[index % len(_COLORS)]


def _steps(times: Times) -> list[float]:
    count = int((times.end_s - times.start_s) / times.step_s) + 1
    return [times.start_s + index * times.step_s for index in range(count)]


def _points(values: Sequence[tuple[float, str]], times: Times) -> tuple[list[float], list[float]]:
    """At each step; not a number where there is no value."""
    known = {round((time - times.start_s) / times.step_s): float(text) for time, text in values}
    at = _steps(times)
    return at, [known.get(index, math.nan) for index in range(len(at))]


def _legend(template: str, labels: Mapping[str, str]) -> str:
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template)
    return " ".join(text.split()) or "-"


def _format(unit: str) -> Callable[[float], str]:
    """A number as Grafana writes it."""

    def scaled(value: float, suffix: str) -> str:
        for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= factor:
                return f"{value / factor:.3g}{letter}{suffix}"
        return f"{value:.3g}{suffix}"

    def seconds(value: float) -> str:
        if not value:
            return "0 s"
        if abs(value) >= 60:
            return f"{value / 60:.3g} min"
        for factor, name in ((1, "s"), (1e-3, "ms")):
            if abs(value) >= factor:
                return f"{value / factor:.3g} {name}"
        return f"{value / 1e-6:.3g} µs"

    if unit == "s":
        return seconds
    if unit == "percentunit":
        return lambda value: f"{value * 100:.3g}%"
    suffix = {"cps": "/s", "pps": "/s", "Bps": "B/s"}.get(unit, "")
    return lambda value: scaled(value, suffix)
