"""The examples of docs/python-api.md are run, in their order, and give what is shown."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
PAGE = REPOSITORY / "docs" / "python-api.md"
TEXT = PAGE.read_text()


def test_examples_give_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one session; every example is in a block of its language."""
    monkeypatch.chdir(REPOSITORY)
    session = "\n".join(re.findall(r"^```pycon\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(session, {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) == TEXT.count("\n>>> ") > 20
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=said.append).failed == 0, "".join(said)


def test_public_modules_are_there() -> None:
    """With docstrings, and marked as typed."""
    modules = re.findall(r"^\| `(nsgd[\w.]+)` \|", TEXT, re.MULTILINE)
    assert len(modules) > 5
    assert all(importlib.import_module(module).__doc__ for module in modules)
    assert (REPOSITORY / "nsgd" / "py.typed").is_file()
