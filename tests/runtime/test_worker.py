"""What the worker's process is made of."""

from __future__ import annotations

import json
import subprocess
import sys

_LAYERS = (
    "import json, sys, nsgd.runtime.worker;"
    "print(json.dumps(sorted({name.split('.')[1] for name in sys.modules"
    " if name.startswith('nsgd.')})))"
)


def test_no_parser_of_documents_is_loaded() -> None:
    """It reads packets from anybody: what it has no use for it does not hold, nor waits for."""
    answer = subprocess.run(
        [sys.executable, "-P", "-c", _LAYERS], check=True, capture_output=True, text=True
    )
    assert json.loads(answer.stdout) == ["kernel", "model", "policy", "ruleset", "runtime", "wire"]
