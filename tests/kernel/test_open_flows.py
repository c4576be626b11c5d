"""Flows that are open when something changes: adopted, kept, judged again, audited."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

import pytest

from tests.kernel.documents import rule
from tests.kernel.network import Network
from tests.kernel.test_lifecycle import ALLOW_80, Session, web, with_hosts

TRACKING = (
    "table inet tracking {\n chain pre {\n type filter hook prerouting priority 0;\n"
    " ct state invalid counter\n }\n}\n"
)


@pytest.mark.parametrize("opener", ["internet", "server"])
def test_flows_open_before_the_first_start_are_adopted(net: Network, opener: str) -> None:
    """Tracked already: marked, whoever opened them, though the rules would deny them."""
    with_hosts(net)
    net.gateway.run(["nft", "-f", "-"], text_input=TRACKING)
    other = "server" if opener == "internet" else "internet"
    session = Session(net, opener, other, 7000)
    deny = rule("DenyOut", 100, "Outbound", "Deny")
    net.start(web(deny, adoptSeconds=30))
    assert session.works()
    assert not net.tcp(opener, other, 7001)
    assert net.status()["openFlows"]["adopted"] == 1
    session.close()


def test_existing_flows_can_be_judged(net: Network) -> None:
    """existingFlows: judge takes the original direction, whoever speaks first."""
    with_hosts(net)
    net.gateway.run(["nft", "-f", "-"], text_input=TRACKING)
    allowed = Session(net, "internet", "server", 80)
    denied = Session(net, "internet", "server", 81)
    net.start(web(ALLOW_80, existingFlows="judge"))
    assert allowed.works()
    with pytest.raises(TimeoutError):
        denied.works()
    assert net.status()["openFlows"]["adopted"] == 0
    allowed.close()
    denied.close()


def test_mid_stream_tcp_is_adopted_where_nothing_was_tracked(net: Network) -> None:
    """For the learning window only, and only at the first start; a SYN is judged in it."""
    with_hosts(net)
    session = Session(net, "internet", "server", 7000)
    late = Session(net, "internet", "server", 7001)
    net.start(web(adoptSeconds=2))
    assert session.works()
    assert not net.tcp("internet", "server", 7002)
    assert net.status()["openFlows"]["adopted"] >= 1
    net.wait(lambda: "adoption has ended" in net.log.read_text(), "it never ends", 6)
    with pytest.raises(TimeoutError):
        late.works()
    assert session.works()
    for made in (session, late):
        made.close()


def test_a_later_start_adopts_nothing(net: Network) -> None:
    """What was not decided while the daemon was away is judged when it is back."""
    with_hosts(net).start(web(ALLOW_80, failureMode="open"))
    net.stop()
    session = Session(net, "internet", "server", 7000)
    net.write(web(ALLOW_80, adoptSeconds=30, failureMode="open"))
    net.restart()
    with pytest.raises(TimeoutError):
        session.works()
    assert net.status()["openFlows"]["adopted"] == 0
    session.close()


def test_failure_mode_open_lets_new_flows_pass_undecided(net: Network) -> None:
    """Without a daemon everything passes; with it back, by its original direction judged."""
    with_hosts(net).start(web(ALLOW_80, failureMode="open"))
    assert not net.tcp("internet", "server", 81)
    net.kill()
    allowed = Session(net, "internet", "server", 80)
    denied = Session(net, "internet", "server", 81)
    assert net.udp("internet", "server", 9)
    net.restart()
    assert net.status()["packets"]["passedUndecided"] > 0
    assert allowed.works()
    with pytest.raises(TimeoutError):
        denied.works()
    allowed.close()
    denied.close()


def test_a_full_queue_follows_the_failure_mode(net: Network) -> None:
    """A worker that stands still with room for two: closed loses the rest, open lets it pass."""
    with_hosts(net)
    for mode, arrived, first in (("open", True, 3000), ("closed", False, 4000)):
        net.start(web(rule("AllowUdp", 100, "Inbound", "Allow"), failureMode=mode, queueLength=2))
        worker = net.status()["worker"]["pid"]
        os.kill(worker, signal.SIGSTOP)
        server = net["server"].bound(socket.SOCK_DGRAM, 9)
        for port in range(first, first + 6):
            client = net["internet"].bound(socket.SOCK_DGRAM, port)
            client.sendto(b"%d" % port, (net["server"].address(), 9))
            client.close()
        received = set()
        try:
            while True:
                received.add(server.recv(10))
        except TimeoutError:
            pass
        assert (b"%d" % (first + 5) in received) is arrived, mode
        assert len(received) == (4 if arrived else 0), mode
        os.kill(worker, signal.SIGCONT)
        server.close()
        net.stop(remove_rules=True)


def test_failsafe_ports_stay_open(net: Network) -> None:
    """Ahead of every rule, with the daemon or without, from the named sources only."""
    with_hosts(net)
    net.host("admin", "198.51.100.7", "2600:1f00::77")
    failsafe = [
        {
            "protocol": "Tcp",
            "destinationPortRange": "22",
            "sourceAddressPrefixes": ["198.51.100.0/24", "2600:1f00::77"],
        }
    ]
    net.start(web(rule("DenyAll", 100, "Inbound", "Deny"), failsafe=failsafe))
    session = Session(net, "admin", "server", 22)
    for version in (4, 6):
        assert net.tcp("admin", "server", 22, version)
        assert not net.tcp("admin", "server", 23, version)
        assert not net.tcp("internet", "server", 22, version)
        assert not net.tcp("server", "admin", 22, version) or version
    net.stop()
    assert net.tcp("admin", "server", 22)
    assert not net.tcp("internet", "server", 22)
    assert session.works()
    session.close()


def test_reload_with_reevaluation_cuts_what_is_denied_now(net: Network) -> None:
    """Without it the session goes on (Azure's rule); with it only what is still allowed does."""
    allow_81 = rule("Allow81", 110, "Inbound", "Allow", "Tcp", "81")
    with_hosts(net).start(web(ALLOW_80, allow_81))
    kept = Session(net, "internet", "server", 80)
    cut = Session(net, "internet", "server", 81)
    net.reload(web(ALLOW_80))
    assert cut.works()
    answer = net.nsgd("reload", "--reevaluate")
    assert answer.returncode == 0, answer.stderr
    assert kept.works()
    with pytest.raises(TimeoutError):
        cut.works()
    assert net.status()["openFlows"]["judgedAgain"] >= 2
    kept.close()
    cut.close()


def test_flush_connection_judges_a_groups_flows_again(net: Network) -> None:
    """On a change of its rules, and at once when it is turned on."""
    allow_81 = rule("Allow81", 110, "Inbound", "Allow", "Tcp", "81")

    def policy(*rules: dict[str, Any], flush: bool) -> dict[str, Any]:
        made = web(ALLOW_80, *rules)
        made["networkSecurityGroups"][0]["flushConnection"] = flush
        return made

    with_hosts(net).start(policy(allow_81, flush=True))
    kept = Session(net, "internet", "server", 80)
    cut = Session(net, "internet", "server", 81)
    net.reload(policy(flush=True))
    assert kept.works()
    with pytest.raises(TimeoutError):
        cut.works()
    cut.close()
    net.reload(policy(allow_81, flush=False))
    other = Session(net, "internet", "server", 81)
    net.reload(policy(flush=False))
    assert other.works()
    net.reload(policy(flush=True))
    with pytest.raises(TimeoutError):
        other.works()
    other.close()
    kept.close()


def test_audit_mode_drops_nothing_and_tells_what_it_would(net: Network) -> None:
    """Counted and logged as denials; cut when audit is switched off."""
    with_hosts(net).start(web(ALLOW_80, mode="audit"))
    allowed = Session(net, "internet", "server", 80)
    would_deny = Session(net, "internet", "server", 81)
    hits = net.hits()
    assert hits[("web", "Inbound", "AllowHttp")] == 1
    assert hits[("web", "Inbound", "DenyAllInBound")] == 1
    assert net.denied("rule") == 1
    expected = f"> {net['server'].address()}:81 by web Inbound DenyAllInBound"
    net.wait(lambda: expected in net.log.read_text(), "not logged")
    assert "audit: would deny Tcp 203.0.113.10:" in net.log.read_text()
    assert would_deny.works()
    net.reload(web(ALLOW_80))
    assert allowed.works()
    with pytest.raises(TimeoutError):
        would_deny.works()
    assert not net.tcp("internet", "server", 81)
    allowed.close()
    would_deny.close()


def test_audit_ends_at_a_restart_too(net: Network) -> None:
    """The numbers say which flows audit let through, whichever daemon reads them."""
    with_hosts(net).start(web(ALLOW_80, mode="audit"))
    allowed = Session(net, "internet", "server", 80)
    would_deny = Session(net, "internet", "server", 81)
    net.stop()
    net.write(web(ALLOW_80))
    net.restart()
    assert allowed.works()
    with pytest.raises(TimeoutError):
        would_deny.works()
    allowed.close()
    would_deny.close()


def test_on_stop_remove(net: Network) -> None:
    """A stop in good order takes the rules along, and says so; a kill does not."""
    with_hosts(net).start(web(ALLOW_80, onStop="remove"))
    net.kill()
    assert not net.tcp("internet", "server", 81)
    net.restart()
    answer = net.nsgd("stop")
    assert "rules are removed" in answer.stdout
    assert net.daemon is not None
    assert net.daemon.wait(10) == 0
    assert net.tcp("internet", "server", 81)


def test_boot_loads_the_rules_without_a_daemon(net: Network) -> None:
    """New flows wait for the daemon, which takes the table over; bad documents close the gate."""
    with_hosts(net)
    net.host("other", "192.0.2.50", "2001:db8::50")
    net.write(web(ALLOW_80))
    boot = net.gateway.run(net._nsgd("boot", "--config", str(net.config)), check=False)
    assert boot.returncode == 0, boot.stderr
    assert not net.tcp("internet", "server", 80)
    assert net.udp("internet", "other", 9)
    net.restart()
    assert net.tcp("internet", "server", 80)
    net.stop(remove_rules=True)
    net.config.write_text("{")
    boot = net.gateway.run(net._nsgd("boot", "--config", str(net.config)), check=False)
    assert boot.returncode == 3
    assert "nothing is forwarded" in boot.stderr
    assert not net.udp("internet", "other", 9)
    net.write(web(ALLOW_80))
    net.restart()
    assert net.tcp("internet", "server", 80)
    assert net.udp("internet", "other", 9)


def test_a_directory_of_documents(net: Network) -> None:
    """Its files are one policy; a file that is added counts from the next reload on."""
    with_hosts(net)
    directory = net.directory / "policy.d"
    directory.mkdir()
    net.write(web())
    net.config.rename(directory / "10-network.json")
    net.config = directory
    net.restart()
    assert not net.tcp("internet", "server", 80)
    (directory / "20-more.yaml").write_text(
        "networkSecurityGroups: [{name: unused, securityRules: []}]\n"
    )
    (directory / ".hidden.yaml").write_text("{")
    (directory / "notes.txt").write_text("{")
    assert net.nsgd("reload").returncode == 0
    assert net.status()["generation"] == 2


def test_a_flow_does_not_outlive_its_machine(net: Network) -> None:
    """Another NIC at the old address: what the first one's rules allowed is judged again."""
    with_hosts(net).start(web(ALLOW_80))
    session = Session(net, "internet", "server", 80)
    other = web()
    other["networkInterfaces"][0]["name"] = "other"
    net.reload(other)
    with pytest.raises(TimeoutError):
        session.works()
    session.close()


def test_audit_mode_drops_nothing_without_a_daemon_either(net: Network) -> None:
    """A first week of audit must not end in an outage."""
    with_hosts(net).start(web(ALLOW_80, mode="audit"))
    net.kill()
    assert net.tcp("internet", "server", 80)
    assert net.tcp("internet", "server", 81)


def test_adoption_ends_with_the_daemon(net: Network) -> None:
    """What is open at a stop is not adopted for ever after."""
    with_hosts(net)
    session = Session(net, "internet", "server", 7000)
    net.start(web(adoptSeconds=600))
    net.stop()
    with pytest.raises(TimeoutError):
        session.works()
    assert "first start" not in net.gateway.run(["nft", "list", "table", "inet", "nsgd"]).stdout
    session.close()


def test_a_failed_first_start_does_not_use_up_adoption(net: Network) -> None:
    """The table is another's: nothing came into force, so the next start is the first."""
    with_hosts(net)
    net.gateway.run(["nft", "-f", "-"], text_input=TRACKING)
    session = Session(net, "internet", "server", 7000)
    net.write(web(adoptSeconds=30, queueNumber=7))
    from nsgd.kernel.table import NftTable
    from nsgd.ruleset.gateway import fail_closed_ruleset

    def hold() -> NftTable:
        table = NftTable()
        table.apply(fail_closed_ruleset())
        return table

    holder = net.gateway.call(hold)
    ended = net.gateway.run(
        net._nsgd("run", "--config", str(net.config), *net._directories(state=True)), check=False
    )
    assert ended.returncode == 1, ended.stderr
    holder.remove()
    holder.close()
    net.restart()
    assert session.works()
    session.close()
