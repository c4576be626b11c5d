"""The daemon with what the unit leaves it: an ordinary user, CAP_NET_ADMIN, no writable code."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import nsgd
from nsgd.lab.netns import Lab
from tests.kernel.documents import INTERNET_V4, INTERNET_V6, document, nic, nic_addresses, rule
from tests.kernel.documents import subnet as make_subnet
from tests.kernel.network import Network

pytestmark = pytest.mark.kernel

# No account has it.
USER = 64999
CAP_NET_ADMIN = 0x1000
SETPRIV = (
    "setpriv",
    *(f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"),
    *("--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin"),
    "--bounding-set=-all,+net_admin",
)
# PR_SET_MDWE is the kernel's own MemoryDenyWriteExecute; older kernels refuse it (before 6.3).
DENY_WRITE_EXECUTE = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.umask(0o077);"
    " os.execv(sys.argv[1], sys.argv[1:])",
)


class UnprivilegedNetwork(Network):
    """A network whose daemon has an ordinary user's rights and one capability."""

    def _nsgd(self, verb: str, *arguments: str) -> list[str]:
        command = super()._nsgd(verb, *arguments)
        if verb not in ("run", "boot"):
            return command
        needed = [Path(sys.prefix), Path(sys.base_prefix), Path(nsgd.__file__).parent]
        return [*opened(needed, self.directory / "copies"), *SETPRIV, *DENY_WRITE_EXECUTE, *command]


def opened(paths: Iterable[Path], copies: Path) -> list[str]:
    """A command before others, for which no directory above the paths is closed to other users.

    Python and the project may be below /root: in a mount namespace of its own, an empty directory
    with nothing but them stands in its place. *copies* is an empty directory for the way there.
    """
    needed = {path.resolve() for path in paths}
    steps: list[str] = []
    for closed in {first for path in needed if (first := closed_directory(path))}:
        inside = [path for path in needed if closed in path.parents]
        copy_of = {path: copies / str(len(steps) + number) for number, path in enumerate(inside)}
        steps += [f"mkdir {copy} && mount --bind {path} {copy}" for path, copy in copy_of.items()]
        steps += [f"mount -t tmpfs -o mode=755 none {closed}"]
        steps += [
            f"mkdir -p {path} && mount --bind {copy} {path}" for path, copy in copy_of.items()
        ]
    if not steps:
        return []
    steps = [f"mount -t tmpfs none {copies}", *steps, 'exec "$@"']
    return ["unshare", "--mount", "--", "sh", "-ec", "umask 022\n" + "\n".join(steps), "sh"]


def closed_directory(path: Path) -> Path | None:
    """The first directory on the way to *path* that other users cannot enter."""
    parents = reversed(path.parents)
    return next((each for each in parents if not each.stat().st_mode & stat.S_IXOTH), None)


@pytest.fixture
def net() -> Iterator[UnprivilegedNetwork]:
    """A gateway in a directory that the user can enter; pytest's own are closed to it."""
    directory = Path(tempfile.mkdtemp(prefix="nsgd-test-"))
    directory.chmod(0o755)
    for name in ("run", "state", "copies"):
        (directory / name).mkdir(mode=0o750)
        os.chown(directory / name, USER, USER)
    with Lab() as lab:
        made = UnprivilegedNetwork(lab, directory)
        try:
            yield made
        finally:
            made.close()
            if made.log.exists():
                sys.stderr.write(made.log.read_text())
            shutil.rmtree(directory)


def process_status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_first_packets_are_decided_with_one_capability(net: UnprivilegedNetwork) -> None:
    """Both processes; also a reload, and a new worker in place of a killed one."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    allow = rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")

    def policy(*rules: dict[str, object]) -> dict[str, object]:
        groups = {"web": list(rules)}
        return document([make_subnet("one", 1, "web")], [nic("server", "one", 4, 1)], groups)

    net.start(policy(allow))
    worker = net.status()["worker"]["pid"]
    assert net.daemon is not None
    for pid in (net.daemon.pid, worker):
        status = process_status(pid)
        for held in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"):
            assert int(status[held], 16) == CAP_NET_ADMIN, held
        assert status["Uid"].split() == [str(USER)] * 4
        assert status["Groups"] == ""
        assert status["NoNewPrivs"] == "1"
    for version in (4, 6):
        assert net.tcp("internet", "server", 80, version)
        assert not net.tcp("internet", "server", 81, version)
    net.reload(policy())
    assert not net.tcp("internet", "server", 80)
    os.kill(worker, 9)
    net.wait(lambda: net.status()["worker"]["pid"] not in (worker, None), "no new worker")
    net.reload(policy(allow))
    assert net.tcp("internet", "server", 80)


def test_boot_closes_with_one_capability(net: UnprivilegedNetwork) -> None:
    """The boot unit's rights suffice: new flows are dropped, and the daemon takes over."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    groups = {"web": [rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")]}
    net.write(document([make_subnet("one", 1, "web")], [nic("server", "one", 4, 1)], groups))
    net.gateway.run(net._nsgd("boot", "--config", str(net.config)))
    assert not net.tcp("internet", "server", 80)
    net.restart()
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)


def test_queue_counters_need_the_group_of_their_file(net: UnprivilegedNetwork) -> None:
    """The kernel's file is root's; the unit's chgrp makes it readable, and nothing else does."""
    net.host("server", *nic_addresses(1, 4))
    groups = {"web": [rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")]}
    net.start(document([make_subnet("one", 1, "web")], [nic("server", "one", 4, 1)], groups))
    assert net.status()["queue"] is None
    counters = "/proc/net/netfilter/nfnetlink_queue"
    net.gateway.run(["chgrp", str(USER), counters])
    assert net.status()["queue"]["number"] == 9480
    other = ["setpriv", f"--reuid={USER}", f"--regid={USER - 1}", "--clear-groups", "cat", counters]
    assert net.gateway.run(other, check=False).returncode != 0
