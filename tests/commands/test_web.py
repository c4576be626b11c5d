"""nsgd web: where it listens, what it says, and that it ends when told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nsgd.cli import main


def start(directory: Path, *options: str) -> subprocess.Popen[str]:
    """The command, with no daemon."""
    return subprocess.Popen(
        [sys.executable, "-m", "nsgd", "web", "--runtime-dir", str(directory), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_serves_without_a_daemon_and_ends(tmp_path: Path) -> None:
    """It says where it is; without a daemon its pages say so."""
    with start(tmp_path, "--listen", "127.0.0.1:0") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("nsgd web at http://127.0.0.1:")
        port = int(line.rstrip().rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.0 503 ")
        assert str(tmp_path).encode() in answer
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")


def test_a_path(tmp_path: Path) -> None:
    """A socket for its user and group, which goes with the command."""
    path = tmp_path / "web.sock"
    with start(tmp_path, "--listen", str(path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"nsgd web at {path}\n"
        assert path.stat().st_uid == os.geteuid()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not path.exists()


def test_an_address_for_everybody_is_warned_of(tmp_path: Path) -> None:
    """There is no password."""
    with start(tmp_path, "--listen", "0.0.0.0:0") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=20)
        assert "warning: whoever reaches 0.0.0.0:0 sees the policy" in errors


@pytest.mark.parametrize(
    "listen",
    ["", "9481", "localhost:9481", "127.0.0.1", "127.0.0.1:x", "::1:9481", "1.2.3.4:70000"],
)
def test_what_is_no_place(listen: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Says how one is written."""
    assert main(["web", "--listen", listen]) == 2
    assert "write 127.0.0.1:9481" in capsys.readouterr().err


def test_a_place_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Says which, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["web", "--listen", place, "--runtime-dir", str(tmp_path)]) == 1
    assert f"--listen {place}: Address already in use" in capsys.readouterr().err
