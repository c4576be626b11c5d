"""Namespaces come, carry packets and go, whatever ends the block."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pyroute2 import netns as pyroute2_netns

from nsgd.lab.interrupts import interrupts_deferred
from nsgd.lab.netns import Lab, own_namespaces, remove_leftovers

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]

ENDLESS_LAB = """
import sys, time
from nsgd.lab.interrupts import interrupts_deferred
from nsgd.lab.netns import Lab, own_namespaces
with Lab() as lab:
    sleeper = lab.namespace("endless").popen(["sleep", "300"])
    print(sleeper.pid, *own_namespaces(), flush=True)
    time.sleep(60)
"""


def is_running(pid: int) -> bool:
    """Tell whether a process is there and not only waiting to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_packets_cross_a_router_at_once() -> None:
    """Both families work as soon as connect and add_address have returned."""
    with Lab() as lab:
        router = lab.namespace("router", forwarding=True)
        for number in (1, 2):
            host = lab.namespace(f"host{number}")
            lab.connect(router, f"to-host{number}", host, "eth0")
            router.add_address(f"to-host{number}", "169.254.1.1/32")
            router.add_address(f"to-host{number}", "fe80::1/64")
            for address, gateway, default in (
                (f"192.0.2.{number}", "169.254.1.1", "0.0.0.0/0"),
                (f"2001:db8::{number}", "fe80::1", "::/0"),
            ):
                length = 128 if ":" in address else 32
                host.add_address("eth0", f"{address}/{length}")
                host.add_route(default, "eth0", via=gateway)
                router.add_route(f"{address}/{length}", f"to-host{number}")
        for address in ("192.0.2.1", "2001:db8::1"):
            host.run(["ping", "-c1", "-W1", "-n", address])


def test_a_namespace_shows_its_links_and_loses_them() -> None:
    """Links are listed by name; deleting one end deletes the other."""
    with Lab() as lab:
        first, second = lab.namespace("first"), lab.namespace("second")
        lab.connect(first, "a", second, "b")
        assert set(first.links()) == {"lo", "a"}
        assert set(second.links()) == {"lo", "b"}
        first.delete_link("a")
        assert set(second.links()) == {"lo"}
        with pytest.raises(LookupError, match="no link b in nsgd-"):
            second.set_up("b")


def test_call_makes_a_socket_inside() -> None:
    """The thread alone enters; the process stays where it was."""
    with Lab() as lab:
        inside = lab.namespace("inside")
        before = Path("/proc/self/ns/net").readlink()
        with inside.call(socket.socket) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            with socket.socket() as outside:
                assert outside.connect_ex(("127.0.0.1", port)) != 0
            with inside.call(socket.socket) as client:
                assert client.connect_ex(("127.0.0.1", port)) == 0
        assert Path("/proc/self/ns/net").readlink() == before


def test_an_error_inside_call_is_raised_outside() -> None:
    """Nothing is swallowed on the way through the thread."""
    with Lab() as lab, pytest.raises(FileNotFoundError):
        lab.namespace("inside").sysctl([("net.no.such.setting", "1")])


def test_the_same_name_twice_gives_two_namespaces() -> None:
    """Labs may be nested, as test fixtures are."""
    with Lab() as outer, Lab() as inner:
        names = {outer.namespace("same").name, inner.namespace("same").name}
        assert len(names) == 2
        assert names <= set(own_namespaces())
    assert own_namespaces() == []


def test_an_exception_cleans_up() -> None:
    """Namespaces, processes and descriptors are gone, and the exception goes on."""
    descriptors = len(os.listdir("/proc/self/fd"))

    def fail(process: subprocess.Popen[bytes]) -> None:
        raise RuntimeError(str(process.pid))

    with pytest.raises(RuntimeError) as raised, Lab() as lab:  # noqa: PT012
        namespace = lab.namespace("failing")
        namespace.add_address("lo", "192.0.2.1/32")
        fail(namespace.popen(["sleep", "300"], stdin=subprocess.PIPE))
    assert not is_running(int(str(raised.value)))
    assert own_namespaces() == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_process_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets some seconds, then the end."""
    monkeypatch.setattr("nsgd.lab.netns._TERMINATE_TIMEOUT_S", 0.1)
    with Lab() as lab:
        process = lab.namespace("stubborn").popen(
            ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("number", "return_code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)]
)
def test_a_signal_cleans_up(number: signal.Signals, return_code: int) -> None:
    """Neither a namespace nor a process outlives the interrupted lab."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS_LAB],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        sleeper, *names = process.stdout.readline().split()
        assert len(names) == 1
        assert names[0] in pyroute2_netns.listnetns()
        process.send_signal(number)
        assert process.wait(20) == return_code
    assert names[0] not in pyroute2_netns.listnetns()
    assert not is_running(int(sleeper))


def test_leftovers_of_a_dead_process_are_removed() -> None:
    """A killed lab cannot clean up; a later one does, and leaves the living alone."""
    with (
        Lab() as lab,
        subprocess.Popen(
            [sys.executable, "-c", ENDLESS_LAB], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        living = lab.namespace("living").name
        assert process.stdout is not None
        sleeper, name = process.stdout.readline().split()
        process.kill()
        process.wait()
        # Not reaped by us: the sleeper is the killed process's child, and ends by its PID.
        os.kill(int(sleeper), signal.SIGKILL)
        assert name in remove_leftovers()
        assert name not in pyroute2_netns.listnetns()
        assert living in pyroute2_netns.listnetns()


def test_an_interrupt_waits_for_a_deferring_block() -> None:
    """The block runs to its end, then the interrupt comes."""
    steps = []
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)
        steps.append("ended")
    assert steps == ["ended"]


def test_a_lab_works_outside_the_main_thread() -> None:
    """Only signals are not handled there."""
    errors: list[BaseException] = []

    def build() -> None:
        try:
            with Lab() as lab:
                lab.namespace("threaded").add_address("lo", "192.0.2.1/32")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    assert errors == []
    assert own_namespaces() == []
