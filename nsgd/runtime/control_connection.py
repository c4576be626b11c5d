"""One client of the control socket, and what it may be answered: at once, in parts, or for ever."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol

from nsgd.runtime.control_wire import Peer, to_frame

# A long answer comes in parts, each made when the one before has been sent: the loop goes on in
# between, and no more than one is held.
Parts = Generator[dict[str, Any], None, dict[str, Any]]


class Stream(Protocol):
    """An answer that goes on until the client leaves: what comes is asked for at feed()."""

    def take(self) -> dict[str, Any] | None:
        """The next part; None where there is nothing to say yet."""

    def close(self) -> None:
        """The client has left."""


Handler = Callable[[dict[str, Any]], dict[str, Any] | Parts | Stream]


class Connection:
    """One client: first bytes of a request come in, then bytes of the answer go out."""

    def __init__(self, end: socket.socket, peer: Peer, deadline_s: float) -> None:
        self.socket = end
        self.peer = peer
        self.deadline_s = deadline_s  # for the whole request, then for each part of the answer
        self.received = bytearray()
        self.unsent: memoryview | None = None  # None until there is an answer
        self.verb = ""
        self.parts: Parts | None = None  # of the answer, those that are still to be made
        self.stream: Stream | None = None  # a part of which waits to be sent, or none has come
        self.longest = 0  # part of the answer, in bytes

    def to_send(self, answer: Mapping[str, Any]) -> None:
        """Let this go out next."""
        frame = to_frame(answer)
        self.longest = max(self.longest, len(frame))
        self.unsent = memoryview(frame)
