"""A gateway with the real daemon, and one namespace around it that sends and receives all."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nsgd.kernel.conntrack import FlowTable
from nsgd.lab.netns import Lab
from nsgd.model.settings import DaemonSettings
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.control_client import ControlError, request
from nsgd.runtime.state import load_numbers
from nsgd.runtime.tag_store import DIRECTORY_NAME
from nsgd.wire import netlink
from tests.kernel.agreement.expected import CounterKey
from tests.kernel.agreement.flows import Flow, kept_decisions
from tests.kernel.agreement.frames import number_of
from tests.kernel.agreement.placement import INNER, OUTER
from tests.kernel.agreement.traffic import Sent, Traffic
from tests.kernel.network import Network

MOST_INTERFACES = 20
_LINKS = (INNER, OUTER, *(f"veth{number}" for number in range(MOST_INTERFACES)))
BINDABLE = frozenset(_LINKS[2:])

_NEXT_HOPS = {4: "169.254.1.1", 6: "fe80::1"}
_ETHERNET_BYTES = 14
_ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
_ALL_PROTOCOLS = 3
_SOL_PACKET, _PACKET_IGNORE_OUTGOING, _SO_RCVBUFFORCE = 263, 23, 33
_RECEIVE_BUFFER_BYTES = 256 << 20
# Sent behind packets on the same processor, it comes back after them.
_SENTINEL = b"\x88\xb5"
_SENTINEL_LINKS = "sentinel0", "sentinel1"
# Fewer than a processor's backlog holds, each packet counted at both of its links.
_AT_ONCE = 256
_PATIENCE_S = 10.0
_QUEUE_LENGTH = 16384
_NETLINK_NETFILTER, _CT_DELETE = 12, 1 << 8 | 2

Received = dict[int, tuple[str, bytes]]  # by number: the link that it left by, and it


class PolicyRefused(Exception):
    """The daemon does not bring into force what a gateway should run; the message says why."""


class Site:
    """One engine's gateway."""

    def __init__(self, lab: Lab, directory: Path, engine: str) -> None:
        """Build it; the daemon starts with the first policy."""
        self.engine = engine
        directory.mkdir(parents=True)
        self._net = Network(lab, directory)
        self._gateway = self._net.gateway
        self._world = lab.namespace("world")
        # Nothing there answers, or speaks unasked.
        self._world.sysctl(
            (f"net.ipv6.conf.{which}.disable_ipv6", "1") for which in ("all", "default")
        )
        self._gateway.sysctl(
            (f"net.ipv4.conf.{which}.send_redirects", "0") for which in ("all", "default")
        )
        self._routes: dict[str, str] = {}
        self._senders: dict[str, tuple[socket.socket, bytes]] = {}
        for index, link in enumerate(_LINKS):
            self._connect(lab, index, link)
        lab.connect(self._world, _SENTINEL_LINKS[0], self._world, _SENTINEL_LINKS[1])
        self._sentinels = self._packet_socket(_SENTINEL_LINKS[0])
        self._receiver = self._world.call(self._make_receiver)
        self._conntrack = self._gateway.call(_open_conntrack)
        defaults = {"0.0.0.0/0": OUTER, "::/0": OUTER}
        self._change_routes("add", defaults.items())

    def _connect(self, lab: Lab, index: int, link: str) -> None:
        lab.connect(self._gateway, link, self._world, link)
        own = bytes((2, 0, 0, 0, 1, index))
        handle, number = self._gateway.iproute, self._gateway.links()[link]
        handle.link("set", index=number, address=own.hex(":"))
        # Next hops need not answer for their hardware addresses.
        self._gateway.run(["ip", "link", "set", link, "arp", "off"])
        self._senders[link] = self._packet_socket(link), own + bytes((2, 0, 0, 0, 2, index))

    def _packet_socket(self, link: str) -> socket.socket:
        made = self._world.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        made.bind((link, 0))
        return made

    @staticmethod
    def _make_receiver() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        made.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        made.setblocking(False)
        return made

    # Policies

    def bring_into_force(self, traffic: Traffic) -> None:
        """Have the daemon enforce a policy, with no flow known and each address where it lives.

        Raises PolicyRefused.
        """
        wanted = traffic.placement.routes()
        gone = [each for each in self._routes.items() if each not in wanted.items()]
        new = [each for each in wanted.items() if each not in self._routes.items()]
        self._change_routes("del", gone)
        self._change_routes("add", new)
        self._routes = wanted
        tags = self._net.directory / "state" / DIRECTORY_NAME
        tags.mkdir(parents=True, exist_ok=True)
        for cloud, file in traffic.case.tag_files.items():
            _write(tags / f"{cloud}.json", file)
        daemon = {
            "engine": self.engine,
            "adoptSeconds": 0,
            "metricsListen": "127.0.0.1:0",
            "queueLength": _QUEUE_LENGTH,
            **traffic.settings,
        }
        document = {**traffic.case.document, "daemon": daemon}
        if self._net.daemon is None:
            self._net.start(document)
        else:
            _write(self._net.config, document)
            try:
                request(self._net.directory / "run" / "nsgd.sock", "reload", timeout_s=60.0)
            except ControlError as error:
                raise PolicyRefused(f"{error}: {'; '.join(error.problems)}") from error
        self._forget_flows()

    def _change_routes(self, change: str, routes: Iterable[tuple[str, str]]) -> None:
        lines = [
            f"route {change} {prefix} via {_NEXT_HOPS[6 if ':' in prefix else 4]} dev {link} onlink"
            for prefix, link in routes
        ]
        if lines:
            self._gateway.run(["ip", "-batch", "-"], text_input="\n".join(lines) + "\n")

    def _forget_flows(self) -> None:
        self._conntrack.send(netlink.message(_CT_DELETE, netlink.NLM_F_ACK, 1, 0))
        for kind, _, payload in netlink.split_messages(self._conntrack.recv(1 << 16)):
            if kind == netlink.NLMSG_ERROR and (number := netlink.error_number(payload)):
                raise OSError(number, "the connection table cannot be emptied")

    # Packets

    def send(self, packets: Sequence[Sent], awaited: set[int]) -> Received:
        """Send packets by the links that they are to take.

        Args:
            packets: No two of a flow.
            awaited: Those that have to come out before this gives up waiting for more; whatever
                else comes out is received too, if need be by the next call.
        """
        with _on_one_processor():
            return self._send(packets, awaited)

    def _send(self, packets: Sequence[Sent], awaited: set[int]) -> Received:
        received: Received = {}
        for first in range(0, len(packets), _AT_ONCE):
            for sent in packets[first : first + _AT_ONCE]:
                link = sent.way.packet.in_link
                assert link is not None
                channel, macs = self._senders[link]
                channel.send(macs + _ETHERTYPES[sent.way.packet.version] + sent.content)
            self._pass_sentinel(received)
        deadline = time.monotonic() + _PATIENCE_S
        while not awaited <= received.keys() and time.monotonic() < deadline:
            self._receive(received)
            time.sleep(0.001)
        while self.waiting() and time.monotonic() < deadline:
            time.sleep(0.001)
        # Once more for packets, behind which a sentinel has not been yet.
        self._pass_sentinel(received)
        self._pass_sentinel(received)
        return received

    def _pass_sentinel(self, received: Received) -> None:
        self._sentinels.send(bytes(12) + _SENTINEL + bytes(50))
        deadline = time.monotonic() + _PATIENCE_S
        while not self._receive(received):
            if time.monotonic() > deadline:
                raise TimeoutError("a frame does not come back from the next link")

    def _receive(self, received: Received) -> bool:
        """Take what is there; tell whether a sentinel was among it."""
        has_come_back = False
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = self._receiver.recv(2048)
                ethertype = frame[12:_ETHERNET_BYTES]
                has_come_back |= ethertype == _SENTINEL
                number = number_of(frame)
                # From elsewhere than the gateway's links nothing comes.
                if number is not None and frame[6:11] == b"\x02\0\0\0\x01":
                    received[number] = _LINKS[frame[11]], frame[_ETHERNET_BYTES:]
        return has_come_back

    def waiting(self) -> int:
        """Packets in the queue."""
        queue = self._net.status()["queue"]
        return 0 if queue is None else int(queue["length"])

    # Counters

    def counts(self) -> Counter[CounterKey]:
        """All that the daemon counts of rules, flows, packets and interfaces."""
        status: Mapping[str, Any] = self._net.status()
        counts: Counter[CounterKey] = Counter()
        for row in status["ruleHits"]:
            group = row["networkSecurityGroup"] or ""
            counts["rule", group, row["direction"], row["rule"], row["access"]] += row["hits"]
        for row in status["flows"]:
            counts["flows", row["direction"], row["access"], row["reason"]] += row["flows"]
        for name, value in status["packets"].items():
            if isinstance(value, dict):
                for reason, count in value.items():
                    counts["packets", name, reason] += count
            else:
                counts["packets", name] += value
        queue = status["queue"]
        if queue is not None:
            counts["queue", "dropped"] += queue["droppedFull"] + queue["droppedSocket"]
        counts["worker", "restarts"] += status["worker"]["restarts"]
        for nic in status["networkInterfaces"]:
            for direction in ("inbound", "outbound"):
                for access, count in nic[direction].items():
                    counts["interface", nic["name"], direction, access] += count
        return counts

    def flows(self) -> Counter[Flow]:
        """The decisions that the connection table keeps."""
        entries = self._gateway.call(lambda: FlowTable().entries())
        numbers = load_numbers(self._net.directory / "state")
        return kept_decisions(entries, numbers, MarkLayout(DaemonSettings().mark_mask))

    def close(self) -> None:
        """End the daemon; the lab removes the rest."""
        self._net.close()
        for channel, _ in self._senders.values():
            channel.close()
        for made in (self._sentinels, self._receiver, self._conntrack):
            made.close()


def _open_conntrack() -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    made.settimeout(_PATIENCE_S)
    made.bind((0, 0))
    return made


@contextlib.contextmanager
def _on_one_processor() -> Iterator[None]:
    """Keep the calling thread where it is: what it sends is handled there, in order."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _write(path: Path, content: object) -> None:
    """A file as a whole, since the daemon may look at any time."""
    beside = path.with_name(f".{path.name}")
    beside.write_text(json.dumps(content))
    os.replace(beside, path)
