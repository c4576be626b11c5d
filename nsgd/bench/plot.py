"""Draws the curves of a sweep into one PNG; matplotlib is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nsgd.bench.sweep import BASELINES, Family

_WIDTH_INCHES, _HEIGHT_INCHES, _DOTS_PER_INCH = 11.0, 5.2, 120
# One colour and marker for each kind of contender, told apart also without colours.
_LOOKS: dict[str, dict[str, Any]] = {
    "kernel": {"color": "#0072b2", "marker": "o"},
    "queue": {"color": "#d55e00", "marker": "s"},
    "linear": {"color": "#009e73", "marker": "^"},
    "one-rule": {"color": "#555555", "marker": "v", "linestyle": "--"},
    "bare": {"color": "#999999", "marker": "D", "linestyle": ":"},
}


class PlotImpossible(Exception):
    """The plot cannot be drawn; the text says why and the way out."""


def check_plot(path: Path) -> None:
    """Raise PlotImpossible where a plot could not be drawn or written, before minutes are spent."""
    if path.suffix.lower() != ".png":
        raise PlotImpossible(f"{path}: a plot is a PNG; name it .png")
    if not path.parent.is_dir():
        raise PlotImpossible(f"{path}: there is no directory {path.parent}")
    if find_spec("matplotlib") is None:
        raise PlotImpossible("--plot needs matplotlib, which is missing: pip install 'nsgd[bench]'")


def draw(found: Sequence[Family], policy: str, path: Path) -> None:
    """Write the plot: one panel for each family, medians with least and most, both axes in logs.

    Raises OSError where the file cannot be written.
    """
    # Without its pyplot, which would look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    lines: dict[str, Any] = {}
    for panel, family in zip(panels, found, strict=True):
        for curve in family.curves:
            lines.setdefault(curve.name, _draw_curve(panel, curve.name, curve.points))
        _label(panel, family)
    panels[0].set_ylabel("processor time for each new flow (µs)")
    figure.suptitle(f"nsgd bench --sweep, policy {policy}: median, least and most of the rounds")
    # Below the panels: inside one it would hide curves.
    figure.legend(
        list(lines.values()), list(lines), loc="outside lower center", ncols=max(1, len(lines))
    )
    figure.savefig(path, dpi=_DOTS_PER_INCH, format="png")


def _draw_curve(panel: Any, name: str, points: Sequence[tuple[int, Any]]) -> Any:
    medians = [summary.median for _, summary in points]
    errors = [
        [summary.median - summary.minimum for _, summary in points],
        [summary.maximum - summary.median for _, summary in points],
    ]
    kind = name if name in BASELINES else name.partition("-")[0]
    numbers = [number for number, _ in points]
    return panel.errorbar(
        numbers, medians, yerr=errors, capsize=3, linewidth=1.6, markersize=5, **_LOOKS[kind]
    )


def _label(panel: Any, family: Family) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    panel.set_title(family.title, fontsize="medium")
    panel.set_xlabel(f"{family.axis} (logarithmic)")
    panel.set_xscale("log")
    panel.set_yscale("log", nonpositive="mask")  # noise may measure less than nothing
    numbers = sorted({number for curve in family.curves for number, _ in curve.points})
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}".replace(",", " "))
    if numbers:
        panel.xaxis.set_major_locator(FixedLocator(numbers))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(plain)
    panel.yaxis.set_major_formatter(plain)
    panel.grid(visible=True, color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
