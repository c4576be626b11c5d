"""Whether memory, descriptors or objects of the kernel grow, told from samples."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

# What is filled once has been filled by then.
WARM_S = 300.0
# What the median of a last third may be above that of a first one: pages of an allocator.
_NOISE_SHARE, _NOISE_KIB = 0.03, 1024
_FEWEST = 9  # samples that thirds can be made of
_FEWEST_TABLES = 6


def growth(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Each series' begin and end, and the names of those that grew.

    Args:
        samples: As the soak takes them. Those of the first five minutes are left out, and of a
            supervisor those of its first five minutes.

    Returns:
        ``series`` by name: first, last and whether it ``grew``; ``grown``: the names of those.
    """
    warm = [sample for sample in samples if sample["atSeconds"] >= WARM_S]
    series: dict[str, dict[str, Any]] = {}
    owners = {"workers": [each for sample in warm for each in sample["workers"]]}
    for sample in _longest_life(samples):
        # The kernel engine needs a descriptor more, for the denials that it logs.
        owner = f"supervisor, engine {sample['engine']}:"
        owners.setdefault(owner, []).append(sample["supervisor"])
    for owner, processes in sorted(owners.items()):
        for what in ("rssKiB", "anonymousKiB", "descriptors", "threads"):
            values = [process[what] for process in processes if process["descriptors"]]
            if len(values) >= _FEWEST:
                series[f"{owner} {what}"] = _compare(values, is_memory=what.endswith("KiB"))
    for key, counted in _tables(warm).items():
        if len(counted) < _FEWEST_TABLES:
            continue
        for kind in sorted({kind for objects in counted for kind in objects}):
            values = [objects.get(kind, 0) for objects in counted]
            # The least: for a moment after a change there is also what it has left over.
            first, last = min(values[: len(values) // 2]), min(values[len(values) // 2 :])
            series[f"{key} {kind}"] = {"first": first, "last": last, "grew": last > first}
    return {
        "series": series,
        "grown": [name for name, told in series.items() if told["grew"]],
    }


def _longest_life(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of the supervisor that has most samples, those after its first five minutes."""
    lives: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for sample in samples:
        lives[sample["supervisor"]["pid"]].append(sample)
    longest = max(lives.values(), key=len, default=[])
    begun_s = longest[0]["atSeconds"] if longest else 0.0
    return [sample for sample in longest if sample["atSeconds"] - begun_s >= WARM_S]


def _tables(samples: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, int]]]:
    """Objects in the table, under one policy and engine each."""
    found: dict[str, list[Mapping[str, int]]] = defaultdict(list)
    for sample in samples:
        if sample["isSettled"]:
            key = f"table, policy {sample['policy']} by {sample['engine']}:"
            found[key].append(sample["table"])
    return found


def _compare(values: Sequence[int], *, is_memory: bool) -> dict[str, Any]:
    third = len(values) // 3
    first, last = statistics.median(values[:third]), statistics.median(values[-third:])
    allowed = max(_NOISE_SHARE * first, _NOISE_KIB) if is_memory else 0
    return {"first": first, "last": last, "grew": last > first + allowed}
