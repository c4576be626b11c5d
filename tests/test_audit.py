"""The audit of locked packages: what is known fails, and no answer is never called clean."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parent.parent
CLEAN = {"name": "pyyaml", "version": "6.0.4", "vulns": []}
KNOWN = {
    "name": "pyroute2",
    "version": "0.9.7",
    "vulns": [{"id": "PYSEC-2030-1", "fix_versions": ["0.9.8"], "aliases": []}],
}
SKIPPED = {"name": "netfilterqueue", "skip_reason": "Dependency not found"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """The program, which is no part of a package."""
    spec = spec_from_file_location("audit", REPOSITORY / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "code", "is_loud"),
    [
        ([CLEAN], 0, False),
        ([CLEAN, KNOWN], 1, False),
        # pip-audit itself calls this "no known vulnerabilities".
        ([CLEAN, SKIPPED], 0, True),
        ([KNOWN, SKIPPED], 1, True),
        ([], 0, True),
    ],
)
def test_answers(
    audit: ModuleType, packages: list[dict[str, object]], code: int, is_loud: bool
) -> None:
    """What is known fails; what was skipped is named."""
    judged, lines = audit.judge(json.dumps({"dependencies": packages, "fixes": []}), "")
    text = "\n".join(lines)
    assert judged == code
    assert ("NOT AUDITED" in text) == is_loud
    assert ("PYSEC-2030-1; mended in 0.9.8" in text) == (KNOWN in packages)
    assert ("netfilterqueue" in text) == (SKIPPED in packages)


@pytest.mark.parametrize("answer", ["", "<html>", "{}", "[]", "null"])
def test_no_answer_is_said_loudly(audit: ModuleType, answer: str) -> None:
    """And does not fail, since the service may not be there."""
    code, lines = audit.judge(answer, "ERROR:pip_audit:\nConnectionError: unreachable\n")
    assert code == 0
    assert "NOT AUDITED FOR KNOWN VULNERABILITIES: all packages" in lines
    assert "pip-audit: ConnectionError: unreachable" in lines
