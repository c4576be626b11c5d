"""What conntrack counts, read from the XML that its own program prints."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.kernel.account.capture import End
from tests.kernel.network import Network

Counts = tuple[int, int, int, int]  # packets and bytes sent, packets and bytes answered


def listed(net: Network) -> dict[End, Counts]:
    """Entries of the gateway's table now."""
    found: dict[End, Counts] = {}
    for family in ("ipv4", "ipv6"):
        command = ["conntrack", "-L", "-f", family, "-o", "xml,id"]
        text = net.gateway.run(command).stdout
        if text.strip():
            found.update(_flow(each) for each in _flows(text))
    return found


class Ends:
    """Entries that end, as its events tell them."""

    def __init__(self, net: Network, path: Path) -> None:
        """Listen from now on; what is heard is in a file."""
        self._path = path
        with path.open("w") as file:
            self._process = net.gateway.popen(
                ["conntrack", "-E", "-e", "DESTROY", "-b", "8388608", "-o", "xml,id"],
                stdout=file,
                stderr=subprocess.PIPE,
            )

    def heard(self) -> dict[End, Counts]:
        """So far."""
        text = self._path.read_text()
        # The list has no end while it is listened to.
        whole = text[: text.rfind("</flow>") + len("</flow>")]
        return dict(_flow(each) for each in _flows(f"{whole}</conntrack>")) if whole else {}

    def close(self) -> None:
        """Listen no more."""
        self._process.terminate()
        self._process.communicate(timeout=10)


def end_all(net: Network) -> None:
    """Have every entry end."""
    for family in ("ipv4", "ipv6"):
        net.gateway.run(["conntrack", "-D", "-f", family], check=False)


def of_lab(flows: dict[End, Counts], known: Iterable[End]) -> dict[End, Counts]:
    """Those that are known; all others must be the gateway's own, over loopback."""
    ends = set(known)
    others = {end for end in flows if end not in ends}
    assert all(end.source == end.destination == "127.0.0.1" for end in others), others
    return {end: flows[end] for end in flows if end in ends}


def _flows(text: str) -> Iterator[ElementTree.Element]:
    return ElementTree.fromstring(text).iter("flow")


def _flow(flow: ElementTree.Element) -> tuple[End, Counts]:
    ways = {meta.get("direction"): meta for meta in flow.iter("meta")}
    original, reply = ways["original"], ways["reply"]
    layer4 = original.find("layer4")
    assert layer4 is not None
    # Of an echo there is neither port nor identifier.
    has_ports = layer4.find("sport") is not None
    ports = [_number(original, f"layer4/{name}") if has_ports else 0 for name in ("sport", "dport")]
    end = End(
        int(layer4.get("protonum", "0")),
        _text(original, "layer3/src"),
        ports[0],
        _text(original, "layer3/dst"),
        ports[1],
    )
    sent, answered = (
        (_number(way, "counters/packets"), _number(way, "counters/bytes"))
        for way in (original, reply)
    )
    return end, (*sent, *answered)


def _text(element: ElementTree.Element, path: str) -> str:
    found = element.findtext(path)
    assert found is not None, (path, ElementTree.tostring(element))
    return found


def _number(element: ElementTree.Element, path: str) -> int:
    return int(_text(element, path))
