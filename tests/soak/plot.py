"""Draws the samples of a soak into one PNG or SVG; needs matplotlib, of the extra ``bench``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

_SIZE_INCHES, _DOTS_PER_INCH = (9.0, 9.5), 110


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Write the plot: memory, descriptors, objects of the table, and load, over the minutes.

    Raises ImportError without matplotlib, OSError where the file cannot be written.
    """
    # Without its pyplot, which would look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    samples = [sample for sample in report["samples"] if sample["supervisor"]["descriptors"]]
    minutes = [sample["atSeconds"] / 60 for sample in samples]
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    memory, descriptors, table, load = figure.subplots(4, 1, sharex=True)

    supervisor = [sample["supervisor"] for sample in samples]
    workers = [sample["workers"][0] if sample["workers"] else None for sample in samples]
    for panel, what, scale in ((memory, "rssKiB", 1024), (descriptors, "descriptors", 1)):
        own = [each[what] / scale for each in supervisor]
        panel.plot(minutes, own, color="#0072b2", label="supervisor")
        theirs = [each[what] / scale if each and each["descriptors"] else None for each in workers]
        panel.plot(
            minutes, theirs, ".", color="#d55e00", label="a worker, another one after each kill"
        )
    memory.set_ylabel("resident (MiB)")
    descriptors.set_ylabel("descriptors")
    for engine, color in (("kernel", "#0072b2"), ("queue", "#d55e00")):
        chosen = [s for s in samples if s["engine"] == engine and s["isSettled"]]
        at = [sample["atSeconds"] / 60 for sample in chosen]
        objects = [sum(sample["table"].values()) for sample in chosen]
        if chosen:
            table.plot(at, objects, ".", color=color, label=f"engine {engine}")
    table.set_ylabel("objects in the table")
    load.plot(minutes, [sample["load"] for sample in samples], color="#555555")
    load.set_ylabel("machine's load")
    load.set_xlabel("minutes")
    for before, after in pairwise(samples):
        if before["supervisor"]["pid"] != after["supervisor"]["pid"]:
            for panel in (memory, descriptors, table, load):
                panel.axvline(after["atSeconds"] / 60, color="#999999", linestyle=":")
    for panel in (memory, descriptors, table, load):
        panel.set_ylim(bottom=0)
        panel.grid(visible=True, color="#dddddd", linewidth=0.6)
    for panel in (memory, descriptors, table):
        panel.legend(loc="lower right", fontsize="small")
    figure.suptitle(_title(report), fontsize="medium")
    figure.savefig(path, dpi=_DOTS_PER_INCH)


def _title(report: Mapping[str, Any]) -> str:
    done = report["done"]
    return (
        f"soak of {report['lastedSeconds'] / 60:.0f} minutes: {done.get('reloads', 0)} reloads,"
        f" {done.get('worker kills', 0)} worker kills; dotted: another supervisor"
    )
