"""What contenders cost beside each other: ratios within a round, which meet the same machine."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Protocol

NONE = "none"


class Measured(Protocol):
    """One contender, once."""

    @property
    def values(self) -> MutableMapping[str, float | None]:
        """By the keys of nsgd.bench.report.COLUMNS."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One quantity of a contender divided by that of another in the same round.

    *baseline* is the other's name; ending in a hyphen it takes the contender's policy, and the
    other's quantity is divided by the contender's.
    """

    key: str
    quantity: str
    baseline: str

    def of_round(self, name: str, rounds: Mapping[str, Measured]) -> float | None:
        """The ratio of contender *name*; None where one of both was not measured or is nothing."""
        baseline = self._baseline_of(name)
        if baseline is None or baseline == name or baseline not in rounds:
            return None
        own = rounds[name].values.get(self.quantity)
        other = rounds[baseline].values.get(self.quantity)
        if not own or not other or own < 0 or other < 0:
            return None  # net processor time of next to nothing may come out negative
        return other / own if self._is_inverted else own / other

    @property
    def _is_inverted(self) -> bool:
        return self.baseline.endswith("-")

    def _baseline_of(self, name: str) -> str | None:
        if not self._is_inverted:
            return self.baseline
        _, hyphen, policy = name.partition("-")
        return f"{self.baseline}{policy}" if hyphen else None


RATIOS = (
    Ratio("cpuByOneRule", "cpuUsPerFlow", "one-rule"),
    Ratio("cpuNetByOneRule", "cpuNetUsPerFlow", "one-rule"),
    Ratio("cpuByBare", "cpuUsPerFlow", "bare"),
    Ratio("cpuNetByBare", "cpuNetUsPerFlow", "bare"),
    Ratio("linearByCpu", "cpuUsPerFlow", "linear-"),
    Ratio("linearNetByCpu", "cpuNetUsPerFlow", "linear-"),
    Ratio("gbitByConntrack", "gbitPerS", "conntrack"),
)


def add_ratios(results: Mapping[str, Sequence[Measured]], without: Sequence[str] = ()) -> None:
    """Fill in the ratios of every round, but for *without*, which are no contenders."""
    for number in range(max(map(len, results.values()), default=0)):
        rounds = {name: ms[number] for name, ms in results.items() if number < len(ms)}
        for name, measured in rounds.items():
            for ratio in RATIOS:
                measured.values[ratio.key] = (
                    None if name in without else ratio.of_round(name, rounds)
                )
