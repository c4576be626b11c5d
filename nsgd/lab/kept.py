"""Labs that stay up: one directory for each, with all that it takes to use and to remove it.

What is going to be made is written down first, so that a lab whose maker was killed is removed as
well as any other; after a reboot nothing is left of it but its directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsgd.lab.candidates import GATEWAY
from nsgd.lab.identity import ProcessIdentity, boot_id
from nsgd.lab.names import NAMESPACE_DIRECTORY, remove
from nsgd.lab.netns import Lab

DEFAULT_STATE = Path("/run/nsgd-lab")
DEFAULT_NAME = "lab"
DAEMON = "daemon"  # the file of its identity, among those of other processes
_PREFIX = "nsgd-lab"
# No dot: it ends the lab's name in a namespace's.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_RECORD = "lab.json"
_PROCESSES = "processes"
_ENTRIES = (_PROCESSES, "policy.json", "nsgd.log", "run", "state", "lock")
_END_TIMEOUT_S = 10.0
_CHILDREN_END_S = 1.0


class LabRefused(Exception):
    """What was asked cannot be done with this lab; the text has the way out."""


@dataclass(slots=True)
class Record:
    """What a lab is; *namespaces* has the inode of each by full name, None until it is made."""

    name: str
    documents: list[str]
    hosts: dict[str, list[str]]  # addresses by host
    namespaces: dict[str, int | None]
    is_up: bool = False
    boot: str = field(default_factory=boot_id)


class NamedLab(Lab):
    """A lab whose namespaces have its name, and stay where *keep* is called."""

    def __init__(self, name: str) -> None:
        super().__init__(lambda host: namespace_name(name, host))

    def keep(self) -> None:
        """Leave everything as it is."""
        self._namespaces.clear()


def namespace_name(lab: str, host: str) -> str:
    """The name under which ``ip netns`` knows a host of a lab."""
    return f"{_PREFIX}.{lab}.{host}"


class LabDirectory:
    """One lab's directory."""

    def __init__(self, state: Path, name: str) -> None:
        """Raises LabRefused for a name that is none."""
        if not _NAME.fullmatch(name):
            raise LabRefused(
                f"{name!r} is no name for a lab; use 1-32 letters, digits, '_' and '-',"
                " the first a letter or digit"
            )
        self.state = state.absolute()
        self.name = name
        self.path = self.state / name

    def create(self, documents: Sequence[str], hosts: Mapping[str, Iterable[object]]) -> Record:
        """Make the directory and write down what is going to be made. Raises LabRefused."""
        record = Record(
            self.name,
            list(documents),
            {host: [str(address) for address in addresses] for host, addresses in hosts.items()},
            {namespace_name(self.name, host): None for host in (GATEWAY, *hosts)},
        )
        way_out = f"nsgd lab down{self.options}, or choose another --name"
        if self.path.exists():
            raise LabRefused(f"there is a lab {self.name} already; {way_out}")
        if found := [n for n in record.namespaces if (NAMESPACE_DIRECTORY / n).exists()]:
            raise LabRefused(
                f"network namespace {found[0]} is there, and no lab in {self.state} has made it;"
                " choose another --name"
            )
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never without its record, whenever this process is killed.
        unfinished = Path(tempfile.mkdtemp(prefix=f".{self.name}.", dir=self.state))
        self.write(record, unfinished)
        try:
            unfinished.rename(self.path)
        except OSError:
            shutil.rmtree(unfinished)
            raise LabRefused(f"there is a lab {self.name} already; {way_out}") from None
        return record

    @property
    def options(self) -> str:
        """The options that lead a command to this lab, where it is not the default one."""
        name = "" if self.name == DEFAULT_NAME else f" --name {self.name}"
        return name if self.state == DEFAULT_STATE else f"{name} --state {self.state}"

    def write(self, record: Record, path: Path | None = None) -> None:
        """Write the record, whole or not at all, with the inodes of what is there by now."""
        for name in record.namespaces:
            with contextlib.suppress(FileNotFoundError):
                record.namespaces[name] = (NAMESPACE_DIRECTORY / name).stat().st_ino
        path = path or self.path
        unfinished = path / f".{_RECORD}"
        fields = {key: getattr(record, key) for key in Record.__slots__}
        unfinished.write_text(json.dumps(fields, indent=1))
        unfinished.rename(path / _RECORD)

    def read(self) -> Record:
        """The record. Raises LabRefused where there is none."""
        try:
            fields: dict[str, Any] = json.loads((self.path / _RECORD).read_text())
            return Record(**fields)
        except (FileNotFoundError, NotADirectoryError):
            raise LabRefused(
                f"there is no lab {self.name} in {self.state}; nsgd lab list shows those that are"
            ) from None
        except (ValueError, TypeError):
            raise LabRefused(f"{self.path / _RECORD} is damaged; remove the lab by hand") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from the lab while it is made or removed. Raises LabRefused."""
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LabRefused(
                    f"lab {self.name} is being made or removed; wait for it, or interrupt it"
                ) from None
            yield

    def process_file(self, name: str) -> Path:
        """Where a process of the lab writes down what it is."""
        return self.path / _PROCESSES / name

    def processes(self) -> dict[Path, ProcessIdentity | None]:
        """What is written there."""
        files = sorted(self.process_file("").glob("[!.]*"))
        return {path: ProcessIdentity.parse(path.read_text()) for path in files}

    @property
    def is_daemon_running(self) -> bool:
        """Tell whether the daemon of the lab runs."""
        identity = self.processes().get(self.process_file(DAEMON))
        return identity is not None and identity.is_running

    def down(self) -> list[str]:
        """End the recorded processes, remove the namespaces and the directory.

        Returns what was let alone, and why. Raises LabRefused.
        """
        record = self.read()
        left = []
        with self.locked():
            for identity in self.processes().values():
                if identity is not None:
                    identity.end(_END_TIMEOUT_S)
            if record.boot == boot_id():
                left += _remove_namespaces(record)
            for name in _ENTRIES:
                path = self.path / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            # Last: as long as it is there, the command can be given again.
            (self.path / _RECORD).unlink()
        try:
            self.path.rmdir()
        except OSError:
            left.append(f"{self.path}: there are files in it that are not the lab's")
        return left


def _remove_namespaces(record: Record) -> list[str]:
    left = []
    for name, inode in record.namespaces.items():
        try:
            present = (NAMESPACE_DIRECTORY / name).stat().st_ino
        except FileNotFoundError:
            continue
        if inode not in (None, present):
            left.append(f"network namespace {name}: it is another one than the lab had")
            continue
        users = _processes_staying_in(present)
        remove(name)
        if users:
            pids = ", ".join(map(str, users))
            left.append(f"processes {pids}: not started by nsgd lab, and still in {name}")
    return left


def _processes_staying_in(inode: int) -> list[int]:
    """Children of what has been ended may take a moment to end too."""
    deadline = time.monotonic() + _CHILDREN_END_S
    while (found := _processes_in(inode)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _processes_in(inode: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):
            if os.stat(path).st_ino == inode:
                found.append(int(path.parts[2]))
    return sorted(found)


def kept_labs(state: Path) -> list[LabDirectory]:
    """The labs of a state directory, by name. Raises PermissionError."""
    if not state.exists():
        return []
    return [
        LabDirectory(state, path.name)
        for path in sorted(state.iterdir())
        if _NAME.fullmatch(path.name) and (path / _RECORD).exists()
    ]
