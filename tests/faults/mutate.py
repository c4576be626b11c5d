"""Runs each row's test without the row's line, in a copy of the tree, and expects it to fail.

    python -m tests.faults.mutate [--baseline] [ROW...]

Needs root, as the tests do. With --baseline the test must first pass with the line.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.fault import REPOSITORY, Fault, mutated
from tests.faults.rows import SECTIONS

_LEFT_OUT = (".git", ".venv", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "build")
_TIMEOUT_S = 240.0
_OUTPUT_CHARACTERS = 4000


def run_test(fault: Fault, tree: Path) -> tuple[str, str]:
    """Run a row's test in a tree; ``passed``, ``failed`` or what else became of it, and output."""
    # Children import nsgd from the tree too, whatever is installed.
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [*command, "-m", "slow or not slow", fault.test],
            cwd=tree,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            end(process)
            code = -1
        except BaseException:
            end(process)
            raise
        output.seek(0)
        text = output.read()
    if code == -1:
        return "timed out", text
    if code == 0:
        return "passed", text
    return ("failed" if code == 1 and re.search(r"\b\d+ failed\b", text) else "broken"), text


def end(process: subprocess.Popen[bytes]) -> None:
    """End a test that goes on too long, as Ctrl-C would, so that labs are removed."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def why(text: str) -> str:
    """The first line of pytest's that says what failed."""
    found = re.search(r"^E\s+(.*\S)", text, re.MULTILINE)
    return found[1][:150] if found else ""


def main() -> int:
    """0 where every row's test fails without its line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baseline", action="store_true")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    args = parser.parse_args()
    known = {fault.name: fault for section in SECTIONS for fault in section.faults}
    unknown = [name for name in args.rows if name not in known]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}")
    may_change_machine = bool(os.environ.get("NSGD_TEST_MACHINE_SETTINGS"))
    rows = args.rows or [
        name for name, fault in known.items() if may_change_machine or not fault.is_for_machine
    ]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="nsgd-mutate-") as name:
        tree = Path(name) / "tree"
        shutil.copytree(REPOSITORY, tree, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        for row in rows:
            fault = known[row]
            began_s = time.monotonic()
            if args.baseline:
                outcome, text = run_test(fault, tree)
                if outcome != "passed":
                    wrong += 1
                    print(f"WRONG {row}: {outcome} with its line\n{text[-_OUTPUT_CHARACTERS:]}")
                    continue
            path = tree / fault.file
            original = path.read_text()
            path.write_text(mutated(fault, tree))
            try:
                outcome, text = run_test(fault, tree)
            finally:
                path.write_text(original)
            seconds = time.monotonic() - began_s
            if outcome == "failed":
                print(f"ok    {row}: fails without its line, {seconds:.0f} s: {why(text)}")
            else:
                wrong += 1
                print(f"WRONG {row}: {outcome} without its line")
                if outcome != "passed":
                    print(text[-_OUTPUT_CHARACTERS:])
            sys.stdout.flush()
    print(f"{len(rows) - wrong} of {len(rows)} rows as they must be")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
