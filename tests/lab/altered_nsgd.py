"""Stands in for ``nsgd``: the real one, on a policy of which one thing was changed behind its back.

    altered_nsgd.py CHANGE run|status OPTIONS

CHANGE is none, or RULE=FIELD=VALUE, which is written over what the lab's document says.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Become the real command."""
    change, verb, *options = sys.argv[1:]
    if verb == "run" and change != "none":
        name, key, value = change.split("=")
        path = Path(options[options.index("--config") + 1])
        document = json.loads(path.read_text())
        for group in document["networkSecurityGroups"]:
            for rule in group.get("securityRules", ()):
                if rule["name"] == name:
                    rule[key] = value
        path.write_text(json.dumps(document))
    os.execv(sys.executable, [sys.executable, "-m", "nsgd", verb, *options])


if __name__ == "__main__":
    main()
