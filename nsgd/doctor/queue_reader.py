"""Finds the process that reads a queue: from its number to a socket, and to who has it open."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nsgd.doctor.facts import QueueReader

_NETLINK_NETFILTER = "12"
_NET = Path("/proc/thread-self/net")


def read_queue_readers(numbers: Iterable[int]) -> Mapping[int, QueueReader | None] | None:
    """Who reads each queue; None where the kernel does not show its queues to this user."""
    try:
        lines = (_NET / "netfilter/nfnetlink_queue").read_text().splitlines()
    except OSError:
        return None
    port_ids = {int(queue): port_id for queue, port_id, *_ in (line.split() for line in lines)}
    return {number: _reader(port_ids[number]) if number in port_ids else None for number in numbers}


def _reader(port_id: str) -> QueueReader:
    pid = next(_holders(_inodes(port_id)), None)
    if pid is None:
        return QueueReader(None)
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return QueueReader(pid)
    command = b" ".join(words).decode(errors="replace").strip()
    return QueueReader(pid, "".join(c if c.isprintable() else "?" for c in command))


def _inodes(port_id: str) -> frozenset[str]:
    """Socket files of netfilter's netlink sockets that have the port id."""
    try:
        lines = (_NET / "netlink").read_text().splitlines()[1:]
    except OSError:
        return frozenset()
    rows = (line.split() for line in lines)
    # The columns are: address, protocol, port id, ..., inode.
    return frozenset(
        f"socket:[{row[-1]}]"
        for row in rows
        if len(row) > 3 and row[1] == _NETLINK_NETFILTER and row[2] == port_id
    )


def _holders(sockets: frozenset[str]) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        descriptors = process / "fd"
        try:
            names = os.listdir(descriptors)
        except OSError:
            continue  # another user's, or gone
        if any(_target(descriptors / name) in sockets for name in names):
            yield int(process.name)


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""  # closed meanwhile
