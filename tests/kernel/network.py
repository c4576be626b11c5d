"""A gateway with the real daemon and hosts around it, in namespaces, for tests with real packets.

Sockets of every host live in the test's own process: a thread enters the namespace to make one.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.runtime.control_client import ControlError, request

GATEWAY_V4 = "169.254.1.1"
GATEWAY_V6 = "fe80::1"
# Longer than any delay seen here, and shorter than TCP's first retransmission after 1 s.
PATIENCE_S = 0.6
Document = dict[str, Any]

T = TypeVar("T")


class Host:
    """A namespace on a link of its own, with /32 and /128 addresses."""

    def __init__(self, name: str, namespace: NetworkNamespace, addresses: Sequence[str]) -> None:
        self.name = name
        self.namespace = namespace
        self.addresses = tuple(addresses)
        self.gateway_mac = b""
        self._sockets: list[socket.socket] = []

    def address(self, version: int = 4) -> str:
        """The first address of a family."""
        return next(a for a in self.addresses if ipaddress.ip_address(a).version == version)

    def open_socket(self, kind: int, version: int = 4, protocol: int = 0) -> socket.socket:
        """A socket inside, closed with the network."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        made = self.namespace.call(lambda: socket.socket(family, kind, protocol))
        made.settimeout(PATIENCE_S)
        self._sockets.append(made)
        return made

    def bound(
        self, kind: int, port: int = 0, version: int = 4, address: str | None = None
    ) -> socket.socket:
        """A socket bound to one of the host's addresses."""
        made = self.open_socket(kind, version)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address or self.address(version), port))
        return made

    def listen(self, port: int, version: int = 4, address: str | None = None) -> socket.socket:
        """A listening TCP socket."""
        made = self.bound(socket.SOCK_STREAM, port, version, address)
        made.listen(64)
        return made

    def send_raw(self, packet: bytes) -> None:
        """Put an IP packet on the wire as it is, whatever its source."""
        ethertype = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
        made = self.namespace.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))
        with made:
            made.sendto(packet, ("eth0", ethertype, 0, 0, self.gateway_mac))

    def sniffer(self) -> socket.socket:
        """A socket that sees every frame of the host's link."""
        made = self.namespace.call(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        )
        made.bind(("eth0", 3))
        made.settimeout(PATIENCE_S)
        self._sockets.append(made)
        return made

    def close(self) -> None:
        """Close every socket."""
        for made in self._sockets:
            made.close()
        self._sockets.clear()


class Network:
    """A gateway namespace, its hosts and its daemon."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        self.directory = directory
        self.gateway = lab.namespace("gateway", forwarding=True)
        self.hosts: dict[str, Host] = {}
        self.daemon: subprocess.Popen[Any] | None = None
        self.engine = os.environ.get("NSGD_TEST_ENGINE", "")
        self.config = directory / "policy.json"
        self.log = directory / "daemon.log"
        self._ports = 20000

    @property
    def decides_alone(self) -> bool:
        """Tell whether the kernel decides new flows while no daemon runs."""
        return self.engine == "kernel"

    def host(self, name: str, *addresses: str, link: str | None = None) -> Host:
        """Add a host on a link of its own."""
        namespace = self.lab.namespace(name)
        link = link or f"veth-{name}"
        self.lab.connect(self.gateway, link, namespace, "eth0")
        for family, gateway in ((4, GATEWAY_V4), (6, GATEWAY_V6)):
            self.gateway.add_address(link, f"{gateway}/{32 if family == 4 else 64}")
        for text in addresses:
            full = f"{text}/{ipaddress.ip_address(text).max_prefixlen}"
            namespace.add_address("eth0", full)
            self.gateway.add_route(full, link)
        namespace.add_route("0.0.0.0/0", "eth0", via=GATEWAY_V4)
        namespace.add_route("::/0", "eth0", via=GATEWAY_V6)
        made = Host(name, namespace, addresses)
        attributes = self.gateway.iproute.get_links(self.gateway.links()[link])[0]
        made.gateway_mac = bytes.fromhex(attributes.get("address").replace(":", ""))
        self.hosts[name] = made
        return made

    def own(self, link: str, *addresses: str, name: str = "own") -> Host:
        """Give the gateway itself addresses, on a link that it has; it is then a host as well."""
        for text in addresses:
            self.gateway.add_address(link, f"{text}/{ipaddress.ip_address(text).max_prefixlen}")
        self.hosts[name] = Host(name, self.gateway, addresses)
        return self.hosts[name]

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def write(self, document: Document) -> None:
        """Write the policy document; the daemon's section gets test settings."""
        # Each start is a first start, and adoption would let mid-stream TCP pass.
        defaults = {"metricsListen": "127.0.0.1:0", "adoptSeconds": 0}
        if self.engine:
            defaults["engine"] = self.engine
        daemon = {**defaults, **document.get("daemon", {})}
        self.config.write_text(json.dumps({**document, "daemon": daemon}))

    def start(self, document: Document) -> None:
        """Start the daemon and wait until it serves."""
        self.write(document)
        self.restart()

    def restart(self) -> None:
        """Start the daemon on the document that is there, and wait until it serves."""
        self.start_daemon()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the daemon serves."""
        self.wait(self._is_ready, "the daemon does not serve", 15.0)

    def start_daemon(self) -> None:
        """Start the daemon on the document that is there."""
        with self.log.open("a") as log:
            self.daemon = self.gateway.popen(
                self._nsgd("run", "--config", str(self.config), *self._directories(state=True)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _is_ready(self) -> bool:
        assert self.daemon is not None
        if self.daemon.poll() is not None:
            raise AssertionError(f"the daemon ended:\n{self.log.read_text()}")
        socket_path = self.directory / "run" / "nsgd.sock"
        return socket_path.exists() and self.nsgd("status", "-o", "json").returncode == 0

    @property
    def daemon_pid(self) -> int:
        """Process id of the supervisor."""
        assert self.daemon is not None
        return self.daemon.pid

    def spares(self) -> list[int]:
        """Worker processes that read no queue."""
        workers = {worker["pid"] for worker in self.status()["workers"]}
        found = []
        for children in Path(f"/proc/{self.daemon_pid}/task").glob("*/children"):
            for pid in map(int, children.read_text().split()):
                command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if "nsgd.runtime.worker" in command and pid not in workers:
                    found.append(pid)
        return found

    def kill(self) -> None:
        """Kill the supervisor, and wait until its worker has gone too.

        What is queued to a worker that is about to die is lost in every mode.
        """
        assert self.daemon is not None
        worker = self.status()["worker"]["pid"]
        self.daemon.kill()
        self.daemon.wait(10)
        self.wait(lambda: not Path(f"/proc/{worker}").exists(), "the worker lives on")

    def stop(self, *, remove_rules: bool = False) -> None:
        """Stop the daemon by its command and wait for its end."""
        assert self.daemon is not None
        self.nsgd("stop", *(("--remove-rules",) if remove_rules else ()))
        assert self.daemon.wait(10) == 0, self.log.read_text()

    def reload(self, document: Document) -> None:
        """Bring another document into force, by SIGHUP as an administrator would."""
        assert self.daemon is not None
        before = self.status()["generation"]
        self.write(document)
        self.daemon.send_signal(signal.SIGHUP)
        self.wait(lambda: self.status()["generation"] > before, "no new generation", 10.0)

    def nsgd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a verb inside the gateway."""
        verb, *rest = arguments
        return self.gateway.run(self._nsgd(verb, *self._directories(), *rest), check=False)

    def tags_update(self, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Install a service tags file for this daemon, by the command."""
        state = str(self.directory / "state")
        command = self._nsgd("tags", "update", str(file), "--state-dir", state, *options)
        return self.gateway.run(command, check=False)

    def status(self) -> dict[str, Any]:
        """The status, as ``nsgd status -o json`` prints it, without a process each time."""
        try:
            return request(self.directory / "run" / "nsgd.sock", "status")
        except ControlError as error:
            raise AssertionError(f"no status: {error}") from error

    def hits(self) -> Mapping[tuple[str, str, str], int]:
        """Non-zero rule hits by (group, direction, rule); no group is an empty one."""
        return {
            (row["networkSecurityGroup"] or "", row["direction"], row["rule"]): row["hits"]
            for row in self.status()["ruleHits"]
            if row["hits"]
        }

    def decided_by(self, probe: Callable[[], T]) -> tuple[T, list[tuple[str, str]]]:
        """The outcome of a probe and the (group, rule) whose counters it moved, in no order."""
        before = dict(self.hits())
        outcome = probe()
        moved = [
            (group, rule)
            for (group, direction, rule), count in self.hits().items()
            for _ in range(count - before.get((group, direction, rule), 0))
        ]
        return outcome, sorted(moved)

    def denied(self, reason: str) -> int:
        """Packets denied for a reason."""
        return int(self.status()["packets"]["denied"].get(reason, 0))

    def conntrack(self) -> str:
        """The gateway's connection table."""
        return (
            self.gateway.run(["conntrack", "-L"]).stdout
            + self.gateway.run(["conntrack", "-L", "-f", "ipv6"]).stdout
        )

    def _nsgd(self, verb: str, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "nsgd", verb, *arguments]

    def _directories(self, *, state: bool = False) -> tuple[str, ...]:
        runtime = ("--runtime-dir", str(self.directory / "run"))
        return (*runtime, "--state-dir", str(self.directory / "state")) if state else runtime

    @staticmethod
    def wait(fact: Callable[[], bool], complaint: str, timeout_s: float = 15.0) -> None:
        """Wait for a fact."""
        deadline = time.monotonic() + timeout_s
        while not fact():
            if time.monotonic() > deadline:
                raise AssertionError(complaint)
            time.sleep(0.02)

    # Probes: each sends exactly one first packet.

    def tcp(
        self,
        source: str,
        destination: str,
        port: int,
        version: int = 4,
        source_port: int = 0,
        to: str | None = None,
    ) -> bool:
        """Whether a TCP connection comes about and carries a byte each way.

        It goes to the first address of a family, or to the one that *to* names.
        """
        to = to or self[destination].address(version)
        with contextlib.closing(self[destination].listen(port, version, to)) as server:
            client = self[source].bound(socket.SOCK_STREAM, source_port, version)
            try:
                client.connect((to, port))
            except TimeoutError:
                # Left open, it would send another SYN after a second.
                client.close()
                return False
            accepted, _ = server.accept()
            with accepted, client:
                accepted.settimeout(PATIENCE_S)
                client.sendall(b"a")
                assert accepted.recv(1) == b"a"
                accepted.sendall(b"b")
                assert client.recv(1) == b"b"
            return True

    def udp(
        self, source: str, destination: str, port: int, version: int = 4, to: str | None = None
    ) -> bool:
        """Whether one datagram arrives and its answer comes back."""
        to = to or self[destination].address(version)
        with (
            contextlib.closing(
                self[destination].bound(socket.SOCK_DGRAM, port, version, to)
            ) as server,
            contextlib.closing(self[source].bound(socket.SOCK_DGRAM, 0, version)) as client,
        ):
            client.sendto(b"ask", (to, port))
            try:
                data, sender = server.recvfrom(100)
            except TimeoutError:
                return False
            assert data == b"ask"
            server.sendto(b"answer", sender)
            assert client.recv(100) == b"answer", "the reply was lost"
            return True

    def ping(self, source: str, destination: str, version: int = 4, to: str | None = None) -> bool:
        """Whether one echo request is answered."""
        host = self[source]
        protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        with contextlib.closing(host.open_socket(socket.SOCK_RAW, version, protocol)) as raw:
            raw.bind((host.address(version), 0))
            self._ports += 1
            body = struct.pack(
                "!BBHHH", 8 if version == 4 else 128, 0, 0, self._ports & 0xFFFF, 1
            ) + bytes(8)
            if version == 4:
                body = body[:2] + struct.pack("!H", internet_checksum(body)) + body[4:]
            raw.sendto(body, (to or self[destination].address(version), 0))
            expected = 0 if version == 4 else 129
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                try:
                    data = raw.recv(2000)
                except TimeoutError:
                    return False
                message = data[(data[0] & 15) * 4 :] if version == 4 else data
                if message[0] == expected and message[4:6] == body[4:6]:
                    return True
            return False

    def close(self) -> None:
        """Close sockets and end the daemon."""
        for host in self.hosts.values():
            host.close()
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(10)


def internet_checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


@contextlib.contextmanager
def network(directory: Path) -> Iterator[Network]:
    """A network that is gone afterwards; a failing test shows the daemon's log."""
    with Lab() as lab:
        made = Network(lab, directory)
        try:
            yield made
        except BaseException:
            if made.log.exists():
                sys.stderr.write(f"daemon log (pid {os.getpid()}):\n{made.log.read_text()}\n")
            raise
        finally:
            made.close()
