"""What has been said of open flows, kept over a stop in good order for the next start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nsgd.flowlog.following import Counts, OpenFlow
from nsgd.model.packet import PacketHeader
from nsgd.runtime.atomic_file import replace_file

_FILE = "flow-log-open-flows.json"
_VERSION = 1
# For a restart. After longer, most that was open has ended, and nobody knows when.
_MOST_AGE_MS = 600_000
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class SavedFlows:
    """Flows that were followed, and when that ended, in unix time."""

    until_ms: int
    flows: dict[bytes, OpenFlow]


def save_flows(directory: Path, saved: SavedFlows) -> None:
    """Write the file. Raises OSError."""
    document = {
        "version": _VERSION,
        "boot": _boot_id(),
        "untilMs": saved.until_ms,
        "flows": list(_plain(saved.flows)),
    }
    content = json.dumps(document, separators=(",", ":")).encode()
    replace_file(directory / _FILE, content, 0o600)


def take_flows(directory: Path, now_ms: int) -> SavedFlows | None:
    """The saved flows, once: the file is removed, as it tells of one moment.

    None where there is no file, where it is damaged, or not of the last minutes of this boot.
    """
    path = directory / _FILE
    try:
        content = path.read_bytes()
        path.unlink()
    except OSError:
        return None
    try:
        document = json.loads(content)
        if document["version"] != _VERSION or document["boot"] != _boot_id():
            return None
        until_ms = int(document["untilMs"])
        if not now_ms - _MOST_AGE_MS <= until_ms <= now_ms:
            return None
        return SavedFlows(until_ms, dict(_flows(document["flows"])))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _plain(flows: dict[bytes, OpenFlow]) -> Iterator[list[object]]:
    for key, flow in flows.items():
        yield [
            key.hex(),
            flow.ident,
            flow.start_ms,
            flow.header,
            flow.mark,
            flow.said,
            flow.said_ms,
            flow.is_undecided,
        ]


def _flows(plain: list[list[object]]) -> Iterator[tuple[bytes, OpenFlow]]:
    for key, ident, start_ms, header, mark, said, said_ms, is_undecided in plain:
        if not isinstance(key, str) or not isinstance(header, list) or not isinstance(said, list):
            raise TypeError("not a saved flow")
        numbers = [ident, start_ms, mark, said_ms, *header[:6], *said]
        is_right = all(type(number) is int and number >= 0 for number in numbers)
        if not is_right or len(numbers) != 14:
            raise TypeError("not a saved flow")
        counts: Counts = (said[0], said[1], said[2], said[3])
        yield (
            bytes.fromhex(key),
            OpenFlow(
                int(str(ident)),
                int(str(start_ms)),
                PacketHeader(*header),
                int(str(mark)),
                counts,
                None,
                int(str(said_ms)),
                0,
                True,
                bool(is_undecided),
            ),
        )
