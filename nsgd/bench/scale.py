"""Measures start, reload and memory of nsgd with large documents: one start, and its reloads."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from nsgd.bench.daemon_contender import ENGINES
from nsgd.bench.machine import resident_mib
from nsgd.bench.running_daemon import start_daemon
from nsgd.bench.scale_changes import CHANGES, change_rule, changes_of_turn
from nsgd.bench.scale_documents import (
    FORMATS,
    Extent,
    document_text,
    scale_documents,
    write_whole,
)
from nsgd.lab.netns import Lab

FULL_EXTENT = Extent(nics=10_000, groups=200)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run nsgd: its engine, the form of its documents, and how much they declare."""

    engine: str
    form: str
    extent: Extent

    @property
    def name(self) -> str:
        """For tables; the same at each extent."""
        return f"{self.engine}, {self.form.upper()}"


# By the keys of SCALE_COLUMNS (nsgd.bench.scale_report) and, in ms, of CHANGES.
Values = dict[str, float | None]


def variants(full: Extent, engines: Sequence[str] = ENGINES) -> list[Variant]:
    """What is measured once in each round, a tenth of it first."""
    return [
        Variant(engine, form, extent)
        for engine in engines
        for form in FORMATS
        for extent in (full.tenth, full)
    ]


def measure_scale(
    variant: Variant, turns: Sequence[int], tags: Sequence[str], tags_file: Path | None
) -> Values:
    """Start nsgd once, and reload it after each of CHANGES, as many times as there are turns.

    Args:
        variant: What to run.
        turns: Of change_rule; of each change, and of all, the median counts.
        tags: Service tags for rules to name.
        tags_file: Where they are from; None where there are none.

    Raises:
        ContenderFailed: nsgd does not start, or refuses the documents.
    """
    documents = scale_documents(variant.extent, variant.engine, tags)
    options = [] if tags_file is None else ["--service-tags", str(tags_file.resolve())]
    values: Values = {}
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as name, Lab() as lab:
        directory = Path(name)
        config = directory / "policy"
        config.mkdir()
        for stem, document in documents.items():
            (config / f"{stem}.{variant.form}").write_text(document_text(document, variant.form))
        running = start_daemon(lab.namespace("gateway"), directory, config, options)
        values["startMs"] = _milliseconds(running.apply_s)
        values["interpreterMs"] = _milliseconds(running.socket_s)
        values["readMs"] = _milliseconds(running.worker_s, running.socket_s)
        values["installMs"] = _milliseconds(running.apply_s, running.worker_s)
        for what, pid in running.processes.items():
            values[f"{what}Mib"] = resident_mib(pid)
        taken_s: dict[str, list[float]] = {change.key: [] for change in CHANGES}
        for turn in turns:
            for change in changes_of_turn(turn):
                stem = change_rule(documents, change, turn)
                path = config / f"{stem}.{variant.form}"
                # Meanwhile the daemon deletes what the last change has left over.
                text = document_text(documents[stem], variant.form)
                reload_s = running.reload_by_signal_s(partial(write_whole, path, text))
                taken_s[change.key].append(reload_s)
        for key, of_key in taken_s.items():
            values[key] = _milliseconds(statistics.median(of_key))
        values["reloadMs"] = _milliseconds(statistics.median(chain.from_iterable(taken_s.values())))
        values["supervisorAfterMib"] = resident_mib(running.processes["supervisor"])
        running.check()
    return values


def _milliseconds(end_s: float | None, start_s: float | None = 0.0) -> float | None:
    return None if end_s is None or start_s is None else (end_s - start_s) * 1000
