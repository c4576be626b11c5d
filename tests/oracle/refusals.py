"""Compare what nsgd refuses to load with what the oracle's own check finds wrong.

As a script it spoils thousands of documents and says how often each mistake was refused::

    python -m tests.oracle.refusals --documents 20000
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nsgd.config.problem import ConfigRefused

from .agreement import BASE, load_case
from .choose import RandomChooser
from .generate import Case, random_tagged_case
from .mistakes import spoiled
from .validity import complaints

# Azure's error codes, which both sides name where section 1 of the notes quotes one.
CODE = re.compile(r"\b(?:SecurityRule|Overlapping|ResourceCannot)[A-Za-z]+")
MOST_FAILURES_KEPT = 5


@dataclass
class Refusals:
    """What a run did."""

    documents: int = 0
    disagreements: Counter[str] = field(default_factory=Counter)  # by mistake
    histogram: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"documents {self.documents}, disagreements {self.disagreements.total()}"]
        lines += [f"  {row:<42} {count:>9}" for row, count in sorted(self.histogram.items())]
        lines += [f"  disagree: {row:<32} {count:>9}" for row, count in self.disagreements.items()]
        return "\n".join(lines)


def product_problems(case: Case) -> list[str]:
    """What the product says is wrong; nothing where it takes the document."""
    try:
        load_case(case)
    except ConfigRefused as refused:
        return [str(problem) for problem in refused.problems]
    return []


def compare_refusal(seed: str, total: Refusals) -> None:
    """Spoil the document of *seed* and add to *total* what the two say of it."""
    chooser = RandomChooser(seed)
    mistake, case = spoiled(chooser, random_tagged_case(seed, 0))
    expected = complaints(case.document, case.tag_files)
    total.documents += 1
    total.histogram[f"{mistake}: {'refused' if expected else 'taken'}"] += 1
    try:
        found = product_problems(case)
    except Exception as error:
        found = [f"{type(error).__name__}: {error}"]
    codes = _codes(expected), _codes(found)
    if bool(expected) == bool(found) and codes[0] == codes[1]:
        return
    total.disagreements[mistake] += 1
    if len(total.failures) < MOST_FAILURES_KEPT or total.disagreements[mistake] == 1:
        total.failures.append(
            f"{mistake}, document {seed}:\n{json.dumps(case.document)}\n"
            f"oracle: {expected}\nnsgd:   {found}"
        )


def _codes(problems: Sequence[str]) -> set[str]:
    return {code for problem in problems for code in CODE.findall(problem)}


def run(base: str, documents: int) -> Refusals:
    """Compare the first *documents* of the series *base*."""
    total = Refusals()
    for number in range(documents):
        compare_refusal(f"{base}-refused-{number}", total)
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison and print its summary; 1 if any document was judged in two ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--base", default=BASE, help="name of the series of documents")
    options = parser.parse_args(arguments)
    total = run(options.base, options.documents)
    for failure in total.failures:
        print(f"--- disagreement\n{failure}")
    print(total)
    return 1 if total.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
