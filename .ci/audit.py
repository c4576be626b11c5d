"""Asks for known vulnerabilities of locked packages, and says loudly where nobody could tell.

``python .ci/audit.py LOCK...``: exit code 1 where one is known. Without an answer it is 0, so that
a machine without the advisory service can still work; what was not audited is said in capitals.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_TIMEOUT_S = 60.0
_SERVICE_TIMEOUT_S = "10"


def main(locks: Sequence[str]) -> int:
    """Ask, print and return the exit code."""
    code, lines = judge(*ask(locks))
    for line in lines:
        print(line, file=sys.stderr, flush=True)
    return code


def ask(locks: Sequence[str]) -> tuple[str, str]:
    """What pip-audit answers, as JSON or empty, and what it says besides."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]
    command += ["--progress-spinner=off", "--format=json", f"--timeout={_SERVICE_TIMEOUT_S}"]
    for lock in locks:
        command += ["--requirement", lock]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {_TIMEOUT_S:g} s"
    return done.stdout, done.stderr


def judge(answer: str, said: str) -> tuple[int, list[str]]:
    """The exit code and what to print. Its own exit code tells errors from vulnerabilities not."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        return 0, _not_audited("all packages", last[0])
    lines, vulnerable = [], 0
    for package in packages:
        for found in package.get("vulns", ()):
            vulnerable += 1
            mended = ", ".join(found.get("fix_versions", ())) or "no release"
            what = f"{package['name']} {package['version']}: {found['id']}"
            lines.append(f"pip-audit: {what}; mended in {mended}")
    skipped = [package for package in packages if "skip_reason" in package]
    if skipped or not packages:
        names = ", ".join(package["name"] for package in skipped) or "all packages"
        lines += _not_audited(names, skipped[0]["skip_reason"] if skipped else "no packages")
    audited = len(packages) - len(skipped)
    lines.append(f"pip-audit: {audited} packages audited, {vulnerable} known vulnerabilities")
    return int(vulnerable > 0), lines


def _not_audited(what: str, why: str) -> list[str]:
    bar = "!" * 80
    return [bar, f"NOT AUDITED FOR KNOWN VULNERABILITIES: {what}", f"pip-audit: {why}", bar]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
