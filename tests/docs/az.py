"""Stands in for ``az``: what Azure would answer if the three-tier example were deployed there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

KINDS = {
    "nsg": "networkSecurityGroups",
    "vnet": "virtualNetworks",
    "nic": "networkInterfaces",
    "asg": "applicationSecurityGroups",
    "route-table": "routeTables",
}
POLICY = Path(__file__).parent.parent.parent / "docs" / "examples" / "three-tier.yaml"


def main(words: list[str]) -> int:
    """Answer ``az network KIND list -o json``. Raises ValueError for any other command."""
    network, kind, verb, *options = words
    if (network, verb, options) != ("network", "list", ["-o", "json"]):
        raise ValueError(words)
    command = [sys.executable, "-m", "nsgd", "convert", "--config", str(POLICY), "-o", "arm"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    resources = json.loads(done.stdout)["value"]
    wanted = f"microsoft.network/{KINDS[kind]}".lower()
    print(json.dumps([each for each in resources if each["type"].lower() == wanted], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
