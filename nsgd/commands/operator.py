"""The connections of whoever runs a command: by which they came, and what else they have open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsgd.runtime.control_wire import SOCKET_NAME

if TYPE_CHECKING:
    from nsgd.analysis.own_flows import OwnFlow

_VARIABLE = "SSH_CONNECTION"
_MOST_ANCESTORS = 32
_MOST_FLOWS = 200
_TIMEOUT_S = 10.0


def ssh_connection(proc: Path = Path("/proc")) -> str | None:
    """The variable of this process, or of the next ancestor that has it: sudo leaves it out."""
    found = os.environ.get(_VARIABLE)
    pid = os.getppid()
    for _ in range(_MOST_ANCESTORS):
        if found or pid <= 1:
            break
        try:
            variables = (proc / str(pid) / "environ").read_bytes().split(b"\0")
            status = (proc / str(pid) / "stat").read_bytes()
            # The name before it may have blanks and parentheses.
            pid = int(status.rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        head = f"{_VARIABLE}=".encode()
        theirs = [each for each in variables if each.startswith(head)]
        found = theirs[0][len(head) :].decode(errors="replace") if theirs else None
    return found


def own_flows(runtime_dir: Path) -> Iterator[OwnFlow]:
    """The connection of the operator's session, and what the same peer has open through here.

    Nothing where there is no session of a known peer, and no flows where the daemon tells none.
    """
    from nsgd.analysis.own_flows import read_ssh_connection
    from nsgd.model.address import Address
    from nsgd.runtime.control_client import ControlError, request_parts

    text = ssh_connection()
    own = None if text is None else read_ssh_connection(text)
    if own is None:
        return
    yield own
    peer = str(Address(own.packet.version, own.packet.source))
    try:
        path = runtime_dir / SOCKET_NAME
        for part in request_parts(path, "flows", _TIMEOUT_S, source=peer, limit=_MOST_FLOWS):
            for row in part.get("flows", ()):
                flow = _flow_of(row)
                if flow is not None:
                    yield flow
    except ControlError:
        return


def _flow_of(row: dict[str, Any]) -> OwnFlow | None:
    """A flow of the verb flows; None of those without ports, which nobody works by."""
    from nsgd.analysis.own_flows import OwnFlow
    from nsgd.model.address import Address
    from nsgd.model.packet import TCP, UDP, PacketHeader

    protocol = {"tcp": TCP, "udp": UDP}.get(str(row["protocol"]).lower())
    if protocol is None:
        return None
    source, destination = Address.parse(row["source"]), Address.parse(row["destination"])
    ports = row["sourcePort"], row["destinationPort"]
    packet = PacketHeader(source.version, protocol, source.value, destination.value, *ports, False)
    return OwnFlow(packet, is_at_host=False)
