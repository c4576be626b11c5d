"""``nsgd bench --scale``: nsgd with large documents, by both engines and in both forms."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import ContenderFailed
from nsgd.bench.daemon_contender import ENGINES
from nsgd.bench.machine import describe
from nsgd.bench.options import Options, WrongUsage
from nsgd.bench.says import heading, say
from nsgd.bench.scale import FULL_EXTENT, Values, Variant, measure_scale, variants
from nsgd.bench.scale_changes import CHANGES, turns_of_round
from nsgd.bench.scale_documents import choose_tags
from nsgd.bench.scale_report import format_scale, scale_as_json
from nsgd.config.tag_catalogue import TagFileRefused, read_tag_file
from nsgd.lab.netns import remove_leftovers
from nsgd.lab.progress import progress

_RELOADS = 1  # after each start, for each kind of change


def run_scale(args: argparse.Namespace, options: Options) -> int:
    """Measure and report; the exit code. Raises WrongUsage before anything is measured."""
    tags = [] if args.tags_file is None else _tags_of(args.tags_file)
    strange = [word for word in options.words if word not in ENGINES]
    if strange:
        raise WrongUsage(f"--scale has the engines {' and '.join(ENGINES)} only")
    full = FULL_EXTENT.tenth if args.quick else FULL_EXTENT
    chosen = variants(full, [e for e in ENGINES if e in options.words or not options.words])
    remove_leftovers()
    started = time.perf_counter()
    failures: list[str] = []
    measured: dict[Variant, list[Values]] = {variant: [] for variant in chosen}
    for number in range(1, options.rounds + 1):
        turns = turns_of_round(number, _RELOADS)
        for variant in chosen:
            what = f"{variant.name}, {variant.extent.nics} NICs"
            progress(f"round {number} of {options.rounds}: {what}")
            try:
                measured[variant].append(measure_scale(variant, turns, tags, args.tags_file))
            except ContenderFailed as failed:
                measured[variant].append({})
                failures.append(f"{what}, round {number}: {failed}")
    progress("")
    context: dict[str, Any] = {
        "machine": describe(),
        "plan": {
            "repeat": options.rounds,
            "reloads": _RELOADS * len(CHANGES),
            "serviceTags": len(tags),
        },
        "durationS": round(time.perf_counter() - started, 1),
        "failures": failures,
    }
    for failure in failures:
        say(failure)
    if args.output == "json":
        print(json.dumps({**context, **scale_as_json(measured)}, indent=2))
    else:
        about = (
            f"reloads after each start: {_RELOADS} for each of {len(CHANGES)} kinds of change;"
            f" rules name {len(tags)} service tags"
        )
        print(f"{heading(context)}\n{about}\n\n{format_scale(measured)}")
    return 1 if failures else 0


def _tags_of(path: Path) -> list[str]:
    """The service tags that rules will name. Raises WrongUsage."""
    try:
        return choose_tags(read_tag_file(path.read_bytes()).names())
    except (OSError, TagFileRefused, ValueError) as error:
        raise WrongUsage(f"--tags-file {path}: {error}") from error
