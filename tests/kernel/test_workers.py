"""Several workers: who gets which flow, and what happens when one is stopped, dies or is taken."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable
from typing import Any

import pytest

from tests.kernel.documents import INTERNET_V4, document, nic, rule, subnet
from tests.kernel.network import Network
from tests.kernel.test_lifecycle import Session, with_hosts

ALLOW_80 = rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")
ALLOW_UDP = rule("AllowUdp", 110, "Inbound", "Allow", "Udp", "7000")


def web(*rules: dict[str, Any], **daemon: Any) -> dict[str, Any]:
    """One server, and a worker for each of three queues, which every first packet goes to."""
    made = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": list(rules)})
    return made | {"daemon": {"engine": "queue", "queues": 3, **daemon}}


def pids(net: Network) -> list[int | None]:
    """Of all workers, by queue."""
    return [worker["pid"] for worker in net.status()["workers"]]


def seen(net: Network) -> list[int]:
    """How many packets each queue has ever had."""
    return [worker["queue"]["packetsSeen"] for worker in net.status()["workers"]]


def send(net: Network, ports: Iterable[int]) -> None:
    """One datagram from each of these ports of the internet's host to the server."""
    for port in ports:
        with net["internet"].namespace.call(
            lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ) as sender:
            sender.bind((INTERNET_V4, port))
            sender.sendto(b"x", (net["server"].address(), 7000))


def flows(net: Network, rule_name: str = "AllowUdp") -> int:
    """First packets that a rule has decided."""
    return net.hits().get(("web", "Inbound", rule_name), 0)


def test_both_directions_of_a_flow_have_one_worker(net: Network) -> None:
    """Flows between two hosts are spread; an answer that is queued meets the same worker."""
    with_hosts(net).start(web(ALLOW_80, ALLOW_UDP))
    server = net["server"].bound(socket.SOCK_DGRAM, 7000)
    net["server"].bound(socket.SOCK_DGRAM, 7001)
    send(net, range(30000, 30300))
    net.wait(lambda: flows(net) == 300, "not all decided")
    spread = seen(net)
    assert sum(spread) == 300
    assert all(count > 60 for count in spread), spread
    # Judged again, by their answers, which are the first packets to come.
    assert net.nsgd("reload", "--reevaluate").returncode == 0
    for port in range(30000, 30300):
        server.sendto(b"y", (INTERNET_V4, port))
    net.wait(lambda: flows(net) == 600, "the answers are not judged")
    assert seen(net) == [2 * count for count in spread]
    listing = net.gateway.run(["nft", "list", "ruleset"]).stdout
    assert "symhash mod 3 vmap @queues.a/3" in listing
    assert "elements = { 0 : jump queue/9480, 1 : jump queue/9481, 2 : jump queue/9482 }" in listing


def test_a_stopped_worker_is_replaced_and_nobody_else(net: Network) -> None:
    """Killed and replaced, counts go on; the others decide meanwhile, and no flow is lost."""
    with_hosts(net).start(web(ALLOW_UDP))
    send(net, range(30000, 30300))
    net.wait(lambda: flows(net) == 300, "not all decided")
    before, first = pids(net), seen(net)
    victim = before[1]
    assert victim is not None
    os.kill(victim, signal.SIGSTOP)
    send(net, range(30000, 30300))  # decided flows: nobody is asked
    send(net, range(31000, 31060))
    net.wait(lambda: net.status()["workers"][1]["queue"]["length"] > 0, "none waits")
    waiting = net.status()["workers"][1]["queue"]["length"]
    net.wait(lambda: flows(net) == 360 - waiting, "the others do not decide")
    os.kill(victim, signal.SIGKILL)
    net.wait(lambda: pids(net)[1] not in (victim, None), "not replaced")
    assert [pids(net)[0], pids(net)[2]] == [before[0], before[2]]
    assert [worker["restarts"] for worker in net.status()["workers"]] == [0, 1, 0]
    assert flows(net) == 360 - waiting
    send(net, range(32000, 32300))
    net.wait(lambda: flows(net) == 660 - waiting, "not all decided by the new workers")
    assert seen(net)[0] >= first[0]
    log = net.log.read_text()
    assert f"worker {victim} of queue 9481 died, starting another" in log


def test_a_spare_takes_the_place_of_the_dead(net: Network) -> None:
    """It has started long ago; another one waits afterwards, and one that is killed is told."""
    with_hosts(net).start(web(ALLOW_UDP))
    for place in (1, 2):
        net.wait(lambda: len(net.spares()) == 1, "no spare")
        (spare,) = net.spares()
        before = pids(net)
        victim = before[place]
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        net.wait(lambda: pids(net)[place] not in (victim, None), "not replaced")  # noqa: B023
        assert pids(net) == [spare if pid == victim else pid for pid in before]
        send(net, range(30000 + place * 500, 30300 + place * 500))
        net.wait(lambda: flows(net) == place * 300, "not all decided")  # noqa: B023
    net.wait(lambda: len(net.spares()) == 1, "no spare")
    (spare,) = net.spares()
    os.kill(spare, signal.SIGKILL)
    net.wait(lambda: f"no spare worker: process {spare} has ended" in net.log.read_text(), "untold")
    assert [worker["restarts"] for worker in net.status()["workers"]] == [0, 1, 1]
    # Without a spare, by one that is started then.
    before = pids(net)
    assert before[0] is not None
    os.kill(before[0], signal.SIGKILL)
    net.wait(lambda: pids(net)[0] not in (before[0], None), "not replaced")


def test_a_worker_that_hangs_is_killed_and_replaced(net: Network) -> None:
    """Its heart does not beat; what waited in its queue follows the failure mode."""
    with_hosts(net).start(web(ALLOW_UDP))
    before = pids(net)
    victim = before[2]
    assert victim is not None
    os.kill(victim, signal.SIGSTOP)
    net.wait(lambda: pids(net)[2] not in (victim, None), "not replaced", 10.0)
    assert pids(net)[:2] == before[:2]
    assert f"worker {victim} of queue 9482 hangs, replacing it" in net.log.read_text()
    send(net, range(30000, 30100))
    net.wait(lambda: flows(net) == 100, "not all decided")


@pytest.mark.parametrize("mode", ["closed", "open"])
def test_a_missing_worker_s_share_follows_the_failure_mode(net: Network, mode: str) -> None:
    """While no worker can be started for one queue, and for that queue only."""
    with_hosts(net).start(web(ALLOW_UDP, failureMode=mode))
    server = net["server"].bound(socket.SOCK_DGRAM, 7000)
    victim = pids(net)[0]
    assert victim is not None
    # The daemon cannot start another one while it stands still.
    os.kill(net.daemon_pid, signal.SIGSTOP)
    try:
        os.kill(victim, signal.SIGKILL)
        net.wait(lambda: _is_gone(victim), "it lives on")
        send(net, range(30000, 30200))  # as many as fit into the server's socket
        arrived: set[int] = set()
        server.settimeout(1.0)
        while len(arrived) < 200:
            try:
                arrived.add(server.recvfrom(100)[1][1])
            except TimeoutError:
                break
    finally:
        os.kill(net.daemon_pid, signal.SIGCONT)
    net.wait(lambda: pids(net)[0] not in (victim, None), "not replaced")
    decided = flows(net)
    assert 70 < decided < 180
    assert len(arrived) == (200 if mode == "open" else decided)


def _is_gone(pid: int) -> bool:
    """Whether it has ended, though its parent has not looked."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_reload_is_done_when_every_worker_has_it(net: Network) -> None:
    """Also one that is being replaced, and one that stands still and is replaced."""
    with_hosts(net).start(web(ALLOW_UDP))
    for number in (1, 2):
        victim = pids(net)[1]
        assert victim is not None
        os.kill(victim, signal.SIGKILL if number == 1 else signal.SIGSTOP)
        net.write(web())  # denies
        assert net.nsgd("reload").returncode == 0
        before = flows(net, "DenyAllInBound")
        net.wait(lambda: None not in pids(net), "not replaced")
        send(net, range(30000, 30100))
        net.wait(
            lambda before=before: flows(net, "DenyAllInBound") == before + 100,  # type: ignore[misc]
            "not all denied",
        )
        net.write(web(ALLOW_UDP))
        assert net.nsgd("reload").returncode == 0
        before = flows(net)
        send(net, range(30000 + 1000 * number, 30100 + 1000 * number))
        net.wait(lambda before=before: flows(net) == before + 100, "not all allowed")  # type: ignore[misc]
    assert net.status()["generation"] == 5


def test_counts_survive_kills_under_load(net: Network) -> None:
    """Every packet that got a verdict is counted, and only what waited at a kill is lost."""
    with_hosts(net).start(web(ALLOW_UDP))
    for round_number in range(6):
        victim = pids(net)[round_number % 3]
        send(net, range(30000 + 500 * round_number, 30000 + 500 * round_number + 250))
        if victim is not None:
            os.kill(victim, signal.SIGKILL)
        send(net, range(30250 + 500 * round_number, 30250 + 500 * round_number + 250))
        net.wait(lambda: None not in pids(net), "not replaced")

    def is_read() -> bool:
        # A worker that has just come has a process, and its queue a moment later.
        queue = net.status()["queue"]
        return queue is not None and queue["length"] == 0

    net.wait(is_read, "packets wait")
    status = net.status()
    verdicts = status["packets"]["verdicts"]
    assert verdicts["drop"] == 0
    # A worker counts before its verdict goes out: one that is killed between has counted it too.
    marked = sum("dport=7000" in line and "mark=" in line for line in net.conntrack().splitlines())
    decided = flows(net)
    assert decided == verdicts["accept"]
    assert decided - 8 * 6 <= marked <= decided
    assert status["worker"]["restarts"] == 6
    assert status["packets"]["queued"] == 3000


def test_a_second_daemon_on_any_of_the_numbers_is_refused(net: Network) -> None:
    """And names the owner; nothing changes for the first."""
    with_hosts(net).start(web(ALLOW_80))
    other = net.directory / "other.json"
    net.write(web(ALLOW_80, queueNumber=9482, queues=2))
    other.write_text(net.config.read_text())
    net.write(web(ALLOW_80))
    again = net.gateway.run(
        net._nsgd(
            "run",
            *("--config", str(other)),
            *("--state-dir", str(net.directory / "s2")),
            *("--runtime-dir", str(net.directory / "run2")),
        ),
        check=False,
    )
    assert again.returncode == 1
    assert "not started: worker did not start: queue 9482 cannot be bound" in again.stderr
    assert f"process {pids(net)[2]}" in again.stderr
    assert net.tcp("internet", "server", 80)


def test_another_number_of_workers_needs_a_restart(net: Network) -> None:
    """A reload says so and changes nothing; a restart has them, and open flows go on."""
    with_hosts(net).start(web(ALLOW_80))
    net.write(web(ALLOW_80, queues=2))
    answer = net.nsgd("reload")
    assert answer.returncode == 3
    assert "daemon.queues: cannot change while the daemon runs; restart the daemon" in answer.stderr
    assert len(pids(net)) == 3
    net.stop()
    net.restart()
    assert len(pids(net)) == 2
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)


def test_the_kernel_engine_s_rest_is_spread_too(net: Network) -> None:
    """Segments from the middle of connections that conntrack has forgotten."""
    with_hosts(net).start(web(ALLOW_80, engine="kernel"))
    sessions = [Session(net, "internet", "server", 80) for _ in range(30)]
    assert net.status()["packets"]["queued"] == 0
    net.gateway.run(["conntrack", "-F"])
    assert all(session.works() for session in sessions)
    spread = seen(net)
    assert all(spread), spread
    assert sum(spread) == net.status()["packets"]["queued"]
    for session in sessions:
        session.close()
