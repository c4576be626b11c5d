"""Reads the commands of a page, and runs them in a shell of its own.

A page's ``console`` blocks are one session of a shell: files, variables and daemons of one block
are there in the next. A ``yaml`` or ``json`` block after a line that ends with a file's name in
backquotes and a colon is that file, written before the commands that follow it.

The shell has network, mounts and processes of its own: /run and /etc are not the machine's, nothing
reaches its network, and whatever was started ends with the shell.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_BLOCK = re.compile(r"^( *)```([\w-]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"`([\w./-]+)`:\n\n$")
_PROMPT = re.compile(r"^[#$] ")
# What a run takes and how the kernel numbers is never the same twice.
_VARIABLE = (
    (re.compile(r"\b\d+(\.\d+)? ?(ns|us|ms|s)\b"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d(\.\d+)?Z?\b"), "CLOCK"),
    (re.compile(r"\s+"), " "),
)
_START = """
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/etc /run/etc.work /run/nsgd
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc.work /etc
mkdir -p /etc/nsgd
ip link set lo up
"""
_LIMIT_S = 120.0
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class File:
    """A block that is a file of the reader's."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command as the page has it, without its prompt, and the lines that it prints."""

    line: str
    output: tuple[str, ...]

    @property
    def words(self) -> str:
        """The command without a remark behind it."""
        return re.sub(r"\s+#.*$", "", self.line, flags=re.MULTILINE).strip()


def steps(page: str) -> Iterator[File | Command]:
    """What a reader does who follows the page from its beginning."""
    for block in _BLOCK.finditer(page):
        indent, language, text = block.groups()
        lines = [line.removeprefix(indent) for line in text.splitlines()]
        if language == "console":
            yield from _commands(lines)
        elif named := _NAMED.search(page[: block.start()]):
            yield File(named.group(1), "\n".join((*lines, "")))


def _commands(lines: list[str]) -> Iterator[Command]:
    command: list[str] = []
    output: list[str] = []
    for line in lines:
        if command and command[-1].endswith("\\") and not output:
            command.append(line)
        elif _PROMPT.match(line):
            if command:
                yield Command("\n".join(command), tuple(output))
            command, output = [line[2:]], []
        else:
            output.append(line)
    if command:
        yield Command("\n".join(command), tuple(output))


def not_printed(shown: tuple[str, ...], printed: str) -> list[str]:
    """Lines that a page shows and the command did not print, or not in this order.

    A page may leave lines out, and with ``...`` a part of one; times and widths of columns differ.
    """
    left = iter([_comparable(line) for line in printed.splitlines()])
    missing = []
    for line in shown:
        wanted = _comparable(line)
        if wanted in ("", "..."):
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("...")))
        if not any(pattern.fullmatch(each) for each in left):
            missing.append(line)
    return missing


def _comparable(line: str) -> str:
    for pattern, word in _VARIABLE:
        line = pattern.sub(word if word == " " else f" {word} ", line)
    return " ".join(line.split())


class Shell:
    """A shell of root's, apart from the machine, that ends with all that it started."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._number = 0
        self._log = (directory.parent / "shell.log").open("wb")
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            cwd=directory,
            env={**os.environ, **environment},
        )

    def __enter__(self) -> Self:
        status, printed = self.run(f"set -e\n{_START}\nset +e")
        assert status == 0, printed
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._log.close()

    def run(self, command: str) -> tuple[int, str]:
        """Exit status of a command, and what it printed to standard output and error."""
        self._number += 1
        here = self._directory.parent / f"command-{self._number}"
        script = here.with_suffix(".sh")
        script.write_text(f"{command}\n")
        out, status = here.with_suffix(".out"), here.with_suffix(".status")
        assert self._process.stdin is not None
        self._process.stdin.write(
            f". {script} > {out} 2>&1 < /dev/null; echo $? > {status}.new;"
            f" mv {status}.new {status}\n".encode()
        )
        self._process.stdin.flush()
        deadline = time.monotonic() + _LIMIT_S
        while not status.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = out.read_text(errors="replace") if out.exists() else ""
                raise AssertionError(f"does not end: {command}\n{said}")
            time.sleep(_LOOK_S)
        return int(status.read_text()), out.read_text(errors="replace")
