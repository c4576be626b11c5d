"""Programs of other packages that tests run."""

from __future__ import annotations

import os
import shutil

import pytest


def program(package: str, *names: str) -> str:
    """The first of these that is installed; the test fails without it in a CI that runs as root.

    Elsewhere it is skipped.
    """
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(f"{names[-1]} is missing: run make system, or install the package {package}")
    pytest.skip(f"{names[-1]} is missing (make system, package {package})")
