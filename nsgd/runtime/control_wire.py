"""What client and server of the control socket agree on: frames, verbs and their arguments.

A frame is a length of four bytes and one JSON object. A connection carries one request and its
answer, or the parts of an answer: each but the last says that there is more.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

SOCKET_NAME = "nsgd.sock"  # in the runtime directory
LENGTH = struct.Struct("!I")
MAXIMUM_REQUEST_BYTES = 64 << 10
# Of those who may write: documents, compressed.
MAXIMUM_WRITE_BYTES = 96 << 20
MAXIMUM_ANSWER_BYTES = 256 << 20
_LARGEST_NUMBER = (1 << 63) - 1
_CREDENTIALS = struct.Struct("=iII")

_FLOW_FILTER: Mapping[str, type] = {
    "nsg": str,
    "rule": str,
    "direction": str,
    "nic": str,
    "source": str,
    "destination": str,
    "port": int,
    "protocol": str,
}
# Each verb with the type of each argument that it may have.
VERB_ARGUMENTS: Mapping[str, Mapping[str, type]] = {
    "status": {},
    "policy": {},
    "reload": {"reevaluate": bool},
    "stop": {"removeRules": bool},
    "apply": {"documents": list, "confirmSeconds": int, "reevaluate": bool},
    "confirm": {"revert": bool},
    "flows": {**_FLOW_FILTER, "limit": int},
    "denials": {**_FLOW_FILTER, "after": int, "limit": int},
    "monitor": {**_FLOW_FILTER, "access": str},
    "cutFlows": {**_FLOW_FILTER, "all": bool},
}


class UsageRefused(Exception):
    """A request that is not one; the text says why."""


class Peer(NamedTuple):
    """Who connected, or who listens; *pid* is 0 where it is of another pid namespace."""

    pid: int
    uid: int
    gid: int

    @classmethod
    def of(cls, connection: socket.socket) -> Peer:
        """The other end, as the kernel knows it."""
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return cls(*_CREDENTIALS.unpack(data))


def listener_of(path: Path) -> Peer | None:
    """Who listens at a control socket; None where nobody does.

    Raises OSError, such as PermissionError, where that cannot be found out.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        try:
            connection.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        return Peer.of(connection)


def to_frame(value: Mapping[str, Any]) -> bytes:
    """A JSON object as it goes over the wire."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return LENGTH.pack(len(body)) + body


def parse_object(body: bytes | bytearray) -> dict[str, Any]:
    """The JSON object in a frame. Raises UsageRefused."""
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageRefused(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageRefused("not a JSON object")
    return value


def check_request(
    request: dict[str, Any], verbs: Mapping[str, Mapping[str, type]]
) -> tuple[str, dict[str, Any]]:
    """Verb and arguments of a request. Raises UsageRefused for anything unknown."""
    arguments = dict(request)
    verb = arguments.pop("verb", None)
    if not isinstance(verb, str) or verb not in verbs:
        raise UsageRefused(f"the verb is none of {', '.join(verbs)}")
    known = verbs[verb]
    for name, value in arguments.items():
        if name not in known:
            raise UsageRefused(f"{verb} has no argument {name[:60]!r}")
        # Not isinstance: true would pass for a number.
        if type(value) is not known[name]:
            raise UsageRefused(f"{verb}: {name} is not of type {known[name].__name__}")
        # JSON knows numbers of any length, and whoever asks for one expects to be able to use it.
        if type(value) is int and abs(value) > _LARGEST_NUMBER:
            raise UsageRefused(f"{verb}: {name} is too large a number")
    return verb, arguments
