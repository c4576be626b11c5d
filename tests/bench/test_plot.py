"""The plot: refused in time, and drawn where matplotlib is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nsgd.bench import plot
from nsgd.bench.plot import PlotImpossible, check_plot, draw
from nsgd.bench.sweep import families
from tests.bench.test_sweep import RESULTS

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message says what to install."""
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    with pytest.raises(PlotImpossible, match=r"needs matplotlib.*pip install 'nsgd\[bench\]'"):
        check_plot(tmp_path / "curves.png")


@pytest.mark.parametrize(
    ("name", "message"), [("curves.svg", "name it .png"), ("no/curves.png", "no directory")]
)
def test_a_file_that_cannot_be(name: str, message: str, tmp_path: Path) -> None:
    """It is found before anything is measured."""
    with pytest.raises(PlotImpossible, match=message):
        check_plot(tmp_path / name)


def test_it_is_imported_only_when_asked_for() -> None:
    """The command without --plot does not touch matplotlib."""
    code = "import sys, nsgd.bench.sweep_run; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_drawn(tmp_path: Path) -> None:
    """A PNG of some size, of curves with gaps and without error bars."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "curves.png"
    check_plot(path)
    draw(families(RESULTS), "mixed", path)
    content = path.read_bytes()
    assert content.startswith(PNG_SIGNATURE)
    assert int.from_bytes(content[16:20], "big") > 1000
