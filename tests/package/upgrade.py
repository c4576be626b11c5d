"""The same package as its next release would be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

NEXT = "99.0"


def next_release(package: Path, directory: Path) -> Path:
    """A package with version NEXT, as dpkg and as nsgd say it, and all else the same."""
    unpacked = directory / "next"
    subprocess.run(["dpkg-deb", "--raw-extract", package, unpacked], check=True)
    control = unpacked / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {NEXT}", control.read_text()))
    (module,) = unpacked.glob("usr/lib/nsgd/lib/python3*/site-packages/nsgd/__init__.py")
    module.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{NEXT}"', module.read_text()))
    made = directory / f"nsgd_{NEXT}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", unpacked, made],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return made
