"""Many datagrams of a netlink socket with one system call, where they come by thousands."""

from __future__ import annotations

import ctypes
import os
import socket
from array import array

_NAME_BYTES = 12  # struct sockaddr_nl
_NAME_WORDS, _NAME_PORT = 3, 1
# struct mmsghdr in 64-bit words: name, its length, vectors, their number, control, its length,
# flags, and how long the datagram is.
_HEADER_WORDS = 8
_FLAGS, _LENGTH = 6, 7
_LOW_HALF = 0xFFFFFFFF
_MSG_DONTWAIT, _MSG_TRUNC = socket.MSG_DONTWAIT, socket.MSG_TRUNC


class Datagrams:
    """Room for datagrams, which receive() fills anew each time."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """Make room for *most* datagrams of up to *most_bytes* each; what is longer is cut."""
        self._most, self._most_bytes = most, most_bytes
        room = bytearray(most * most_bytes)
        first = ctypes.addressof(ctypes.c_char.from_buffer(room))
        self._room = memoryview(room)
        self._names = array("I", bytes(_NAME_BYTES * most))
        first_name, _ = self._names.buffer_info()
        self._vectors = array("Q", bytes(16 * most))
        self._vectors[0::2] = array("Q", range(first, first + most * most_bytes, most_bytes))
        self._vectors[1::2] = array("Q", [most_bytes]) * most
        first_vector, _ = self._vectors.buffer_info()
        self._headers = array("Q", bytes(8 * _HEADER_WORDS * most))
        self._headers[0::_HEADER_WORDS] = array(
            "Q", range(first_name, first_name + _NAME_BYTES * most, _NAME_BYTES)
        )
        self._headers[2::_HEADER_WORDS] = array(
            "Q", range(first_vector, first_vector + 16 * most, 16)
        )
        self._headers[3::_HEADER_WORDS] = array("Q", [1]) * most
        self._name_lengths = array("Q", [_NAME_BYTES]) * most
        self._first_header, _ = self._headers.buffer_info()
        self._recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._recvmmsg.argtypes = [
            *(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
        ]

    def receive(self, source: socket.socket, most: int) -> tuple[list[bytes], int]:
        """The datagrams that have come from the kernel, without waiting.

        Args:
            source: A netlink socket.
            most: Datagrams at most; there may be more even if fewer come.

        Returns:
            Them, none where none has come, and how many others were too long for their room. Those
            of other senders are left out: any process with CAP_NET_ADMIN may write to the socket,
            and the kernel is port 0.

        Raises:
            OSError: ENOBUFS where some were lost before.
        """
        self._headers[1::_HEADER_WORDS] = self._name_lengths
        wanted = min(most, self._most)
        count = self._recvmmsg(source.fileno(), self._first_header, wanted, _MSG_DONTWAIT, None)
        if count < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        room, size = self._room, self._most_bytes
        lengths = self._headers[_LENGTH::_HEADER_WORDS][:count]
        flags = self._headers[_FLAGS::_HEADER_WORDS][:count]
        ports = self._names[_NAME_PORT::_NAME_WORDS][:count]
        if not any(ports) and not any(flags):
            return [
                room[at : at + (length & _LOW_HALF)].tobytes()
                for at, length in zip(range(0, count * size, size), lengths, strict=True)
            ], 0
        ours = [index for index in range(count) if not ports[index]]
        whole = [index for index in ours if not flags[index] & _MSG_TRUNC]
        made = (room[at * size : at * size + (lengths[at] & _LOW_HALF)].tobytes() for at in whole)
        return list(made), len(ours) - len(whole)
