"""Writes docs/faults.md from the rows: ``python -m tests.faults.table``, ``--check`` only looks."""

from __future__ import annotations

import sys

from tests.faults.fault import REPOSITORY, Fault
from tests.faults.rows import SECTIONS

PAGE = REPOSITORY / "docs" / "faults.md"
_HEAD = """\
# Faults

What nsgd does when something is wrong, and the test that shows it. This page is written by
`python -m tests.faults.table` from the rows in `tests/faults/`; a test sees to it that it is up to
date, and that each test and each line that it names is there.
[operations.md](operations.md) says the same for operators.

* *Engine* and *mode*: `daemon.engine` and `daemon.failureMode` with which the test runs; `any`
  where neither plays a part.
* *Verdict*: what becomes of packets, or of the policy.
* *Line*: a statement of the product whose removal makes the test fail, or whose change to what
  stands behind the arrow does. `python -m tests.faults.mutate` makes that run, in a copy of the
  tree, for every row or for those that it is given: {count} rows.
* Tests, or their second engine, that are marked *slow* are left out of `make test`;
  `make test-slow` runs them.
"""
_MACHINE = (
    "It changes a setting of the whole machine for a moment, and is skipped unless"
    " `NSGD_TEST_MACHINE_SETTINGS` is set; the run without the line is then made too."
)


def page() -> str:
    """The page."""
    faults = [fault for section in SECTIONS for fault in section.faults]
    count = sum(not fault.is_for_machine for fault in faults)
    parts = [_HEAD.format(count=count)]
    for section in SECTIONS:
        parts.append(f"\n## {section.heading}\n")
        parts.extend(map(_row, section.faults))
    return "\n".join(parts)


def _row(fault: Fault) -> str:
    where = fault.file + (f": {fault.function}" if fault.function else "")
    line = f"`{where}`: `{fault.line}`"
    if fault.changed:
        line += f" → `{fault.changed}`"
    slow = " (slow)" if fault.is_slow else ""
    if fault.is_for_machine:
        slow += f". {_MACHINE}"
    return "\n".join(
        (
            f"### {fault.fault}",
            "",
            "| | |",
            "|---|---|",
            f"| row | `{fault.name}` |",
            f"| engine; mode | {fault.engines}; {fault.modes} |",
            f"| verdict | {fault.verdict} |",
            f"| metric | {fault.metric} |",
            f"| log | {fault.log} |",
            f"| test | `{fault.test}`{slow} |",
            f"| line | {_escaped(line)} |",
            "",
        )
    )


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page, or say whether it is up to date."""
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
