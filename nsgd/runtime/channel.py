"""The line between supervisor and worker: small messages, a policy as a descriptor.

Both ends are processes of one program joined by an anonymous socket pair.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from dataclasses import dataclass

_MESSAGE_BYTES = 4096
_DESCRIPTOR = struct.Struct("=i")


@dataclass(frozen=True, slots=True)
class Message:
    """*kind*, with a number where the kind has one and bytes where it carries a policy."""

    kind: str  # to the worker: serve, policy, changes, links; from it: ready, installed, failed
    number: int = 0
    text: str = ""
    content: bytes | None = None


class Channel:
    """One end. Message boundaries are kept; receiving never blocks."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two joined ends, none inherited unless it is passed on."""
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(left), cls(right)

    @classmethod
    def of_descriptor(cls, descriptor: int) -> Channel:
        """The end that a parent passed on."""
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send one message. Raises OSError where the other end is gone, or does not read."""
        header = json.dumps([message.kind, message.number, message.text[:1024]]).encode()
        if message.content is None:
            self._socket.send(header, socket.MSG_DONTWAIT)
            return
        descriptor = os.memfd_create("nsgd-policy", os.MFD_CLOEXEC)
        try:
            view = memoryview(message.content)
            while view:
                view = view[os.write(descriptor, view) :]
            socket.send_fds(self._socket, [header], [descriptor], socket.MSG_DONTWAIT)
        finally:
            os.close(descriptor)

    def receive(self) -> Message | None:
        """The next message, or None where none waits. Raises EOFError at the other end's death."""
        try:
            # Not socket.recv_fds: Python 3.11's ignores its flags.
            data, ancillary, _, _ = self._socket.recvmsg(
                _MESSAGE_BYTES,
                socket.CMSG_SPACE(_DESCRIPTOR.size),
                socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC,
            )
        except BlockingIOError:
            return None
        except ConnectionError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        content = None
        for _, _, payload in ancillary:
            with os.fdopen(_DESCRIPTOR.unpack_from(payload)[0], "rb") as file:
                file.seek(0)
                content = file.read()
        kind, number, text = json.loads(data)
        return Message(kind, number, text, content)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
