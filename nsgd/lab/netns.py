"""Network namespaces and the veth pairs between them, all removed however the block ends.

    with Lab() as lab:
        gateway = lab.namespace("gateway", forwarding=True)
        host = lab.namespace("host")
        lab.connect(gateway, "to-host", host, "eth0")
        host.add_address("eth0", "10.0.1.4/32")
        host.run(["ping", "-c1", "10.0.1.1"])

Namespaces are named nsgd-PID-NAME and are visible to ``ip netns``; those of a process that could
not clean up are found by their PID. Nothing here forks: a thread enters the namespace instead.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pyroute2 import IPRoute

from nsgd.lab.interrupts import exit_on_signal, interrupts_deferred
from nsgd.lab.names import (
    NAMESPACE_DIRECTORY,
    call_inside,
    create,
    own_namespaces,
    remove,
    remove_leftovers,
    unused_name,
)

__all__ = ["Lab", "NetworkNamespace", "own_namespaces", "remove_leftovers"]

_IFA_F_NODAD = 0x02
_SCOPE_LINK = 253
_LINK_UP_TIMEOUT_S = 5.0
_TERMINATE_TIMEOUT_S = 5.0

# Set before any link exists, so that links inherit them.
_SYSCTLS = (
    # A new IPv6 address could not be used for a second or two.
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.all.accept_ra", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    # A lab counts every ICMP error.
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
)

T = TypeVar("T")


# An interrupt inside pyroute2's event loop, or in a callback of the garbage collector where Python
# drops it, would be lost: every step that takes milliseconds defers it.
class NetworkNamespace:
    """One network namespace. Made by `Lab.namespace`; its methods serve the creating thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = NAMESPACE_DIRECTORY / name
        self._processes: list[subprocess.Popen[Any]] = []
        self._iproute: IPRoute | None = None

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs *argv* inside; the process keeps its PID."""
        return ["nsenter", f"--net={self.path}", "--", *argv]

    @interrupts_deferred()
    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start *argv* inside; the lab ends it when the lab ends.

        It has a session of its own, so that Ctrl-C at a terminal reaches the lab alone.
        """
        options.setdefault("start_new_session", True)
        self._processes.append(subprocess.Popen(self.command(argv), **options))  # noqa: S603
        return self._processes[-1]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout_s: float = 30.0,
        text_input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run *argv* inside to its end. Raises CalledProcessError, with what it said as a note.

        Raises TimeoutExpired too; the process is then killed.
        """
        completed = subprocess.run(  # noqa: S603
            self.command(argv),
            check=False,
            timeout=timeout_s,
            input=text_input,
            stdin=subprocess.DEVNULL if text_input is None else None,
            capture_output=True,
            text=True,
        )
        if check:
            try:
                completed.check_returncode()
            except subprocess.CalledProcessError as error:
                error.add_note(completed.stderr)
                raise
        return completed

    @interrupts_deferred()
    def call(self, function: Callable[[], T]) -> T:
        """Call *function* in a thread that is inside; a socket made there stays inside."""
        return call_inside(self.name, function)

    def sysctl(self, settings: Iterable[tuple[str, str]]) -> None:
        """Write settings such as ``("net.ipv4.ip_forward", "1")``."""

        def write() -> None:
            for key, value in settings:
                Path("/proc/sys", *key.split(".")).write_text(value)

        self.call(write)

    @interrupts_deferred()
    def links(self) -> dict[str, int]:
        """Index by name of every link inside."""
        return {link.get("ifname"): link["index"] for link in self.iproute.get_links()}

    @interrupts_deferred()
    def add_address(self, link: str, address: str) -> None:
        """Add an address with its prefix length; IPv6 addresses can be used at once."""
        text, _, length = address.partition("/")
        flags = {"flags": _IFA_F_NODAD} if ":" in text else {}
        self.iproute.addr(
            "add", index=self._index(link), address=text, prefixlen=int(length), **flags
        )

    @interrupts_deferred()
    def add_route(self, destination: str, link: str, via: str | None = None) -> None:
        """Add a route, ``0.0.0.0/0`` and ``::/0`` being the default ones.

        *via* is taken to be on the link, whatever addresses the link has.
        """
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        route: dict[str, Any] = {"dst": destination, "oif": self._index(link), "family": family}
        if via is not None:
            route |= {"gateway": via, "flags": ["onlink"]}
        elif family == socket.AF_INET:
            route["scope"] = _SCOPE_LINK
        self.iproute.route("add", **route)

    @interrupts_deferred()
    def set_up(self, link: str) -> None:
        """Set a link up."""
        self.iproute.link("set", index=self._index(link), state="up")

    @interrupts_deferred()
    def set_down(self, link: str) -> None:
        """Set a link down; its IPv6 addresses and its routes go."""
        self.iproute.link("set", index=self._index(link), state="down")

    @interrupts_deferred()
    def delete_link(self, link: str) -> None:
        """Delete a link, and its peer with it."""
        self.iproute.link("del", index=self._index(link))

    @property
    @interrupts_deferred()
    def iproute(self) -> IPRoute:
        """pyroute2's handle, for what the methods above do not offer."""
        if self._iproute is None:
            descriptor = self.call(
                lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 0).detach()
            )
            self._iproute = IPRoute(fileno=descriptor)
        return self._iproute

    def _index(self, link: str) -> int:
        try:
            return self.links()[link]
        except KeyError:
            raise LookupError(f"no link {link} in {self.name}") from None

    def _end_processes(self) -> None:
        running = [process for process in self._processes if process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _TERMINATE_TIMEOUT_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process in self._processes:
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    # Bytes for a process that is gone may still be buffered.
                    with contextlib.suppress(OSError):
                        stream.close()
        self._processes.clear()

    def _close_iproute(self) -> None:
        handle, self._iproute = self._iproute, None
        if handle is not None:
            handle.close()


class Lab:
    """Owns namespaces and what runs in them. Use as a context manager, in the main thread.

    At the end of the block processes are ended and namespaces removed, also after an exception,
    Ctrl-C or SIGTERM, which raises SystemExit(143) inside the block.
    """

    def __init__(self, full_name: Callable[[str], str] = unused_name) -> None:
        self._full_name = full_name
        self._namespaces: list[NetworkNamespace] = []
        self._former_sigterm: Any = None

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._former_sigterm = signal.signal(signal.SIGTERM, exit_on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if self._former_sigterm is not None:
            signal.signal(signal.SIGTERM, self._former_sigterm)

    @interrupts_deferred()
    def namespace(self, name: str, *, forwarding: bool = False) -> NetworkNamespace:
        """Create a namespace with loopback up; *forwarding* makes it a router in both families."""
        namespace = NetworkNamespace(self._full_name(name))
        # Known to close() first: any step of the creation may fail.
        self._namespaces.append(namespace)
        create(namespace.name)
        forward = str(int(forwarding))
        namespace.sysctl(
            (
                *_SYSCTLS,
                ("net.ipv4.ip_forward", forward),
                ("net.ipv6.conf.all.forwarding", forward),
            )
        )
        namespace.set_up("lo")
        return namespace

    @interrupts_deferred()
    def connect(
        self, first: NetworkNamespace, first_link: str, second: NetworkNamespace, second_link: str
    ) -> None:
        """Join two namespaces by a veth pair that carries packets when this returns."""
        descriptor = os.open(second.path, os.O_RDONLY)
        try:
            first.iproute.link(
                "add",
                ifname=first_link,
                kind="veth",
                peer={"ifname": second_link, "net_ns_fd": descriptor},
            )
        finally:
            os.close(descriptor)
        ends = ((first, first_link), (second, second_link))
        for namespace, link in ends:
            namespace.set_up(link)
        # Up is asked for, not reached: until the link is operational it drops what it is given.
        deadline = time.monotonic() + _LINK_UP_TIMEOUT_S
        for namespace, link in ends:
            index = namespace.links()[link]
            while namespace.iproute.get_links(index)[0].get("operstate") != "UP":
                if time.monotonic() > deadline:
                    raise TimeoutError(f"link {link} in {namespace.name} does not come up")
                time.sleep(0.002)

    @interrupts_deferred()
    def close(self) -> None:
        """End the processes and remove the namespaces; interrupts wait until it is done."""
        for namespace in self._namespaces:
            namespace._end_processes()
        for namespace in self._namespaces:
            namespace._close_iproute()
            remove(namespace.name)
        self._namespaces.clear()
