"""The program that writes the files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nsgd.manual.__main__ import main


def test_it_writes_pages_and_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the day that is given, and whatever the caller's environment says the same."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert main([str(tmp_path / "one")]) == 0
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/elsewhere")
    monkeypatch.setenv("COLUMNS", "40")
    assert main([str(tmp_path / "two")]) == 0
    written = {path.name: path.read_text() for path in (tmp_path / "one").iterdir()}
    assert written.keys() == {"nsgd.8", "nsgd.yaml.5", "nsgd.bash", "_nsgd"}
    assert written == {path.name: path.read_text() for path in (tmp_path / "two").iterdir()}
    assert '"2026-01-01"' in written["nsgd.8"]


def test_pages_alone(tmp_path: Path) -> None:
    """Without shtab."""
    assert main(["--pages-only", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"nsgd.8", "nsgd.yaml.5"}


def test_man_has_no_complaint(tmp_path: Path) -> None:
    """No unknown request, no line that cannot be set."""
    if shutil.which("man") is None or shutil.which("groff") is None:
        pytest.skip("man or groff is missing")
    main(["--pages-only", str(tmp_path)])
    for page in ("nsgd.8", "nsgd.yaml.5"):
        shown = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", tmp_path / page],
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "NAME" in shown.stdout
