"""The three tiers of docs/examples with the real daemon, and an unprivileged nsgd web beside it."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml

import nsgd
from nsgd.lab.netns import Lab
from tests.kernel.documents import INTERNET_V4, INTERNET_V6
from tests.kernel.network import Network
from tests.systemd.test_privileges import opened

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "three-tier.yaml"
URL = "http://127.0.0.1:9481"
# No account has it. The socket's group in these tests is the daemon's, root's.
USER, GROUP = 64998, 0
SETPRIV = (
    "setpriv",
    *(f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", "--no-new-privs"),
    *("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"),
)


class WithPage(Network):
    """A gateway with the page of its daemon."""

    web: Any = None

    def serve(self) -> None:
        """Start nsgd web in the gateway, and wait until it answers."""
        needed = [Path(sys.prefix), Path(sys.base_prefix), Path(nsgd.__file__).parent]
        before = [*opened(needed, self.directory / "copies"), *SETPRIV]
        with (self.directory / "web.log").open("a") as log:
            self.web = self.gateway.popen(
                [*before, *self._nsgd("web", *self._directories())], stdout=log, stderr=log
            )
        self.wait(lambda: "nsgd web at" in self.web_log(), "nsgd web does not start", 15.0)

    def web_log(self) -> str:
        """What nsgd web has said."""
        assert self.web is not None
        text = (self.directory / "web.log").read_text()
        if self.web.poll() is not None:
            raise AssertionError(f"nsgd web ended: {text}")
        return text

    def get(self, path: str) -> str:
        """A page, without a browser."""

        def read() -> str:
            with urllib.request.urlopen(URL + path, timeout=10) as answer:
                text: str = answer.read().decode()
                return text

        return self.gateway.call(read)


class ThreeTiers(WithPage):
    """The example's gateway and hosts."""

    def example(self, **daemon: Any) -> dict[str, Any]:
        """The example's document."""
        document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
        del document["daemon"]
        return document | ({"daemon": daemon} if daemon else {})

    def traffic(self) -> None:
        """Some of what the rules allow, and some of what they deny."""
        for _ in range(3):
            assert self.tcp("internet", "web1", 80)
            assert self.tcp("internet", "web2", 443, version=6)
            assert self.tcp("web1", "app1", 8080)
            assert self.tcp("app1", "data1", 1433)
        assert self.ping("internet", "web1")
        for source, target, ports in (
            ("internet", "web1", (23, 3389, 5900)),
            ("internet", "app1", (22, 8080)),
            ("web1", "data1", (1433,)),
            ("data2", "internet", (443,)),
        ):
            for port in ports:
                self.knock(source, target, port)
        for _ in range(5):
            self.knock("internet", "web2", 80)
            self.knock("web1", "web2", 22)

    def knock(self, source: str, target: str, port: int) -> None:
        """One SYN that nobody answers, without waiting for that."""
        client = self[source].bound(1)
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect((self[target].address(4), port))


_Made = TypeVar("_Made", bound=WithPage)


@contextlib.contextmanager
def with_page(made: Callable[[Lab, Path], _Made]) -> Iterator[_Made]:
    """A gateway without hosts, in a directory that other users may look into."""
    directory = Path(tempfile.mkdtemp(prefix="nsgd-web-test-"))
    directory.chmod(0o755)
    for name in ("run", "state", "copies"):
        (directory / name).mkdir(mode=0o755)
    with Lab() as lab:
        net = made(lab, directory)
        try:
            yield net
        finally:
            net.close()
            shutil.rmtree(directory)


@contextlib.contextmanager
def three_tiers() -> Iterator[ThreeTiers]:
    """The hosts and the gateway; the daemon is not started yet."""
    with with_page(ThreeTiers) as net:
        example = net.example()
        for nic in example["networkInterfaces"]:
            net.host(nic["name"], *nic["privateIPAddresses"])
        net.host("internet", INTERNET_V4, INTERNET_V6)
        yield net
