"""Run inside a machine: hosts around it that send and receive while the package changes.

Needs nothing but Python's own library, as the machine has nothing else.
"""

from __future__ import annotations

import socket
import sys
import time

PORT = 80
_STEP_S = 0.02


def serve() -> None:
    """Send back whatever comes, over as many connections as are made."""
    import threading

    listening = socket.create_server(("", PORT))
    print("listening", flush=True)

    def echo(connection: socket.socket) -> None:
        with connection:
            while content := connection.recv(65536):
                connection.sendall(content)

    while True:
        connection, _ = listening.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def stream(address: str, progress: str) -> None:
    """One connection, number after number; each must come back, and then stands in a file."""
    with (
        socket.create_connection((address, PORT), timeout=30) as connection,
        open(progress, "w") as counted,
    ):
        number = 0
        while True:
            number += 1
            content = number.to_bytes(8, "big")
            connection.sendall(content)
            back = b""
            while len(back) < len(content):
                received = connection.recv(len(content) - len(back))
                if not received:
                    raise SystemExit("the connection was closed")
                back += received
            if back != content:
                raise SystemExit(f"{back!r} came back instead of {content!r}")
            counted.seek(0)
            counted.write(f"{number}\n")
            counted.flush()
            time.sleep(_STEP_S)


def connect(address: str, port: str) -> None:
    """Exit 0 where a new connection is made, 1 where none is."""
    try:
        socket.create_connection((address, int(port)), timeout=0.9).close()
    except ConnectionRefusedError:
        print("refused")
    except OSError:
        raise SystemExit(1) from None


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["stream", to, file]:
            stream(to, file)
        case ["connect", to, number]:
            connect(to, number)
