"""How a command finds the session that it runs in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nsgd.commands.operator import ssh_connection


def process(proc: Path, pid: int, parent: int, variables: bytes, name: str = "sh") -> None:
    directory = proc / str(pid)
    directory.mkdir()
    (directory / "environ").write_bytes(variables)
    (directory / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0")


def test_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own variable comes first."""
    monkeypatch.setenv("SSH_CONNECTION", "own")
    assert ssh_connection(tmp_path) == "own"


def test_of_an_ancestor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under sudo; a name with parentheses is read past."""
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    process(tmp_path, os.getppid(), 700, b"HOME=/root\0", "sudo (x) y")
    process(tmp_path, 700, 1, b"A=B\0SSH_CONNECTION=203.0.113.7 1 10.0.0.4 22\0", "bash")
    assert ssh_connection(tmp_path) == "203.0.113.7 1 10.0.0.4 22"


def test_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the first process, or where one may not be read; circles end."""
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert ssh_connection(tmp_path) is None
    process(tmp_path, os.getppid(), os.getppid(), b"")
    assert ssh_connection(tmp_path) is None
