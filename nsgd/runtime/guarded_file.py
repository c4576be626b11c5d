"""What the policy in force guards, on disk: for a boot at which the documents are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nsgd.model.address import PortRange, Prefix
from nsgd.model.rule import Protocol
from nsgd.model.settings import DaemonRole, Failsafe
from nsgd.ruleset.guarded import Guarded
from nsgd.runtime.atomic_file import replace_file
from nsgd.runtime.state import StateError

_FILE = "guarded.json"
_MODE = 0o640


def load_guarded(directory: Path) -> Guarded:
    """What was guarded last. Where nobody has noted it: what is forwarded, nothing apart.

    Raises:
        StateError: The file cannot be read, or is damaged.
    """
    path = directory / _FILE
    try:
        return _read(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Guarded()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(f"{path} cannot be read ({error}); restore or remove it") from error


def save_guarded(directory: Path, guarded: Guarded) -> None:
    """Replace the file, unless it says so already. Raises StateError."""
    path = directory / _FILE
    content = json.dumps(_plain(guarded), indent=0).encode()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            replace_file(path, content, _MODE)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error}") from error


def _plain(guarded: Guarded) -> dict[str, Any]:
    return {
        "roles": sorted(role.value for role in guarded.roles),
        "failsafe": [
            {
                "protocol": each.protocol.value,
                "ports": [[ports.first, ports.last] for ports in each.ports],
                "sources": [str(prefix) for prefix in each.sources],
            }
            for each in guarded.failsafe
        ],
        "prefixes": [str(prefix) for prefix in guarded.prefixes],
        "links": list(guarded.links),
    }


def _read(document: Any) -> Guarded:
    return Guarded(
        frozenset(DaemonRole(role) for role in document["roles"]),
        tuple(
            Failsafe(
                Protocol(each["protocol"]),
                tuple(PortRange(first, last) for first, last in each["ports"]),
                tuple(Prefix.parse(text) for text in each["sources"]),
            )
            for each in document["failsafe"]
        ),
        tuple(Prefix.parse(text) for text in document["prefixes"]),
        tuple(str(link) for link in document["links"]),
    )
