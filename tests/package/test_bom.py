"""The bill of materials: what is locked and here, with hashes, licences and who needs whom."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nsgd import __version__

REPOSITORY = Path(__file__).parents[2]
LOCK = (REPOSITORY / "requirements" / "runtime.txt").read_text()
HASH = "0" * 64


@pytest.fixture(scope="module")
def bom() -> ModuleType:
    """The program, which is no part of a package."""
    spec = spec_from_file_location("bom", REPOSITORY / "debian" / "bom.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_needed_is_there(bom: ModuleType) -> None:
    """Each package of the lock file for this platform, with every hash that it may have."""
    made: dict[str, Any] = bom.bill(LOCK)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.5")
    components = {each["name"]: each for each in made["components"]}
    assert components.keys() == {"netfilterqueue", "prometheus-client", "pyroute2", "pyyaml"}
    for name, each in components.items():
        assert each["purl"] == f"pkg:pypi/{name}@{each['version']}"
        assert each["licenses"]
        assert all(f"--hash=sha256:{one['value']}" in LOCK for one in each["properties"])
    assert sum(len(each["properties"]) for each in components.values()) > 10


def test_the_root_needs_them_all(bom: ModuleType) -> None:
    """The graph begins at nsgd; references lead to components."""
    made: dict[str, Any] = bom.bill(LOCK)
    root = f"pkg:pypi/nsgd@{__version__}"
    assert made["metadata"]["component"]["bom-ref"] == root
    graph = {each["ref"]: each["dependsOn"] for each in made["dependencies"]}
    assert graph[root] == sorted(each["purl"] for each in made["components"])
    assert graph.keys() == {root, *graph[root]}


def test_another_version_is_refused(bom: ModuleType) -> None:
    """A bill that named what is not there would be worse than none."""
    with pytest.raises(LookupError, match=r"pyroute2 0\.0\.1 is locked, and .* installed"):
        bom.bill(f"pyroute2==0.0.1 \\\n    --hash=sha256:{HASH}\n")
    with pytest.raises(LookupError, match="is locked and not installed"):
        bom.bill(f"no-such-package-here==1 \\\n    --hash=sha256:{HASH}\n")


def test_the_same_input_gives_the_same_bytes() -> None:
    """So that a package can be built again and compared."""
    command = [sys.executable, "debian/bom.py", "requirements/runtime.txt"]
    environment = {"SOURCE_DATE_EPOCH": "1767225600"}
    one, two = (
        subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, check=True)
        for _ in range(2)
    )
    assert one.stdout == two.stdout
    assert b'"timestamp": "2026-01-01T00:00:00+00:00"' in one.stdout
