"""Run inside a machine in a unit's place: tries what its directives forbid, and prints what came.

A line of JSON: for each attempt "done", or the name of the error. Each is named for the directive
that ought to forbid it. Needs nothing but Python's own library.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_S_ISUID = 0o4000
_SCHED_FIFO = 1
_SYS_BPF, _SYS_INIT_MODULE, _SYS_SYSLOG = 321, 175, 103  # of x86-64


def _call(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def _write(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_text("x")


def _seen(path: str) -> Callable[[], object]:
    """Look into a directory, which shows nothing where it is hidden."""

    def look() -> None:
        if not os.listdir(path):
            raise OSError(errno.ENOENT, "")

    return look


def _others() -> None:
    """Find process 1, which is another user's."""
    Path("/proc/1/status").read_text()


def _writable_code() -> None:
    made = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    made.close()


def _state() -> None:
    directory = os.environ.get("STATE_DIRECTORY")
    if directory is None:
        raise OSError(errno.ENOENT, "")
    _write(f"{directory.split(':')[0]}/probe")()


def _set_user_id() -> None:
    directory = os.environ.get("RUNTIME_DIRECTORY") or os.environ["STATE_DIRECTORY"].split(":")[0]
    path = Path(directory) / "probe"
    path.touch()
    try:
        path.chmod(0o755 | _S_ISUID)
    finally:
        path.unlink()


def _socket(family: int, kind: int = socket.SOCK_DGRAM, protocol: int = 0) -> Callable[[], object]:
    return lambda: socket.socket(family, kind, protocol).close()


ATTEMPTS: dict[str, Callable[[], object]] = {
    "ProtectSystem": _write("/usr/probe"),
    "ProtectSystem of /etc": _write("/etc/probe"),
    "ProtectSystem of /var": _write("/var/probe"),
    "ProtectHome": _seen("/root"),
    "PrivateTmp": _seen("/tmp"),
    "PrivateDevices": lambda: os.open("/dev/fuse", os.O_RDWR),
    "ProtectProc": _others,
    "ProtectKernelTunables": _write("/proc/sys/kernel/domainname"),
    "ProtectControlGroups": lambda: os.mkdir("/sys/fs/cgroup/probe"),
    "ProtectHostname": lambda: socket.sethostname("probe"),
    "ProtectClock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "ProtectKernelModules": lambda: _call(_LIBC.syscall(_SYS_INIT_MODULE, 0, 0, b"")),
    "ProtectKernelLogs": lambda: _call(_LIBC.syscall(_SYS_SYSLOG, 3, 0, 0)),
    "RestrictNamespaces": lambda: _call(_LIBC.unshare(_CLONE_NEWUSER)),
    "RestrictNamespaces of networks": lambda: _call(_LIBC.unshare(_CLONE_NEWNET)),
    "RestrictRealtime": lambda: os.sched_setscheduler(0, _SCHED_FIFO, os.sched_param(1)),
    "RestrictSUIDSGID": _set_user_id,
    "MemoryDenyWriteExecute": _writable_code,
    "SystemCallFilter of mount": lambda: _call(_LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
    "SystemCallFilter of bpf": lambda: _call(_LIBC.syscall(_SYS_BPF, 0, 0, 0)),
    "SystemCallFilter of setuid": lambda: os.setuid(0),
    "LockPersonality": lambda: _call(_LIBC.personality(0x0008)),
    "CapabilityBoundingSet of raw": _socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "RestrictAddressFamilies of packets": _socket(socket.AF_PACKET),
    "AF_NETLINK": _socket(socket.AF_NETLINK, socket.SOCK_RAW, 12),
    "AF_UNIX": _socket(socket.AF_UNIX),
    "AF_INET": _socket(socket.AF_INET),
    "its state": _state,
    "the documents": lambda: Path("/etc/nsgd/nsgd.yaml").read_text(),
}


def main() -> None:
    """Try everything, whatever each comes to."""
    came = {}
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
            came[name] = "done"
        except OSError as error:
            came[name] = errno.errorcode.get(error.errno or 0, str(error))
    sys.stdout.write(json.dumps(came) + "\n")


if __name__ == "__main__":
    main()
