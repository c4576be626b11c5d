"""Writes a CycloneDX bill of materials of what a lock file names and this environment has.

``python debian/bom.py LOCK > nsgd.cdx.json``, where nsgd and the packages of the lock file are
installed; a package for another platform is not, and is left out. With SOURCE_DATE_EPOCH the same
input gives the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)([^\n]*(?:\n[ \t]+--hash=[^\n]*)*)", re.M)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# The name at the beginning of a requirement, and whether it is for an extra that nobody asked for.
_REQUIRED = re.compile(r"^([A-Za-z0-9._-]+)")
_ROOT = "nsgd"


def bill(lock: str) -> dict[str, Any]:
    """The document. Raises LookupError where an installed version is not the locked one."""
    found = {_ROOT: distribution(_ROOT)} | {name: dist for name, dist, _ in locked(lock)}
    components = [_component(name, dist, hashes) for name, dist, hashes in locked(lock)]
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    described = _component(_ROOT, found[_ROOT], ()) | {"type": "application"}
    content = json.dumps([described, components], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).isoformat(),
            "component": described,
        },
        "components": components,
        "dependencies": [
            {"ref": _purl(name, dist), "dependsOn": sorted(_depends_on(dist, found))}
            for name, dist in found.items()
        ],
    }


def locked(lock: str) -> Iterator[tuple[str, Distribution, tuple[str, ...]]]:
    """Name, installed distribution and hashes of each package of the lock file that is here."""
    for name, version, rest in _LOCKED.findall(lock):
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            if ";" in rest:
                continue  # for another platform
            raise LookupError(f"{name} {version} is locked and not installed") from None
        if dist.version != version:
            raise LookupError(f"{name} {version} is locked, and {dist.version} installed")
        yield name, dist, tuple(_HASH.findall(rest))


def _component(name: str, dist: Distribution, hashes: tuple[str, ...]) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(name, dist),
        "name": name,
        "version": dist.version,
        "purl": _purl(name, dist),
    }
    metadata = dist.metadata
    licence = metadata.get("License-Expression") or metadata.get("License")
    if licence:
        component["licenses"] = [{"license": {"name": licence}}]
    # An index has several files of a release; which one was taken, the hash of what is here says.
    if hashes:
        component["properties"] = [
            {"name": "nsgd:locked:sha256", "value": digest} for digest in hashes
        ]
    return component


def _purl(name: str, dist: Distribution) -> str:
    return f"pkg:pypi/{name.lower()}@{dist.version}"


def _depends_on(dist: Distribution, found: dict[str, Distribution]) -> Iterator[str]:
    for requirement in dist.requires or ():
        name = _REQUIRED.match(requirement)
        key = name[1].lower() if name else ""
        if key in found and "extra ==" not in requirement:
            yield _purl(key, found[key])


if __name__ == "__main__":
    json.dump(bill(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.stdout, indent=2)
    sys.stdout.write("\n")
