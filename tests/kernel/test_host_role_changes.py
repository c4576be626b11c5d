"""The host role over time: roles changed by reload, open flows, modes, failsafe, boot and stop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kernel.documents import rule
from tests.kernel.network import PATIENCE_S, Network
from tests.kernel.test_host_role import ENGINES, alone, beside, denied, gateway, machine
from tests.kernel.test_lifecycle import Session
from tests.kernel.test_open_flows import TRACKING

BOTH_ENGINES = pytest.mark.parametrize("engine", ENGINES)


@contextlib.contextmanager
def session(net: Network, source: str, destination: str, port: int) -> Iterator[Session]:
    """An open connection, closed in the end."""
    made = Session(net, source, destination, port)
    # Long enough to see that it is cut.
    for end in (made._client, made._accepted):
        end.settimeout(PATIENCE_S)
    try:
        yield made
    finally:
        made.close()


def base_chains(net: Network) -> list[str]:
    """Handles of the table's base chains, as a deletion would change them."""
    listing = net.gateway.run(["nft", "-a", "list", "table", "inet", "nsgd"]).stdout
    return [line.strip() for line in listing.splitlines() if "chain hook_" in line]


@BOTH_ENGINES
def test_roles_change_by_reload(net: Network, engine: str) -> None:
    """What a new role guards was open before: adopted, as at a first start. Nothing is lost."""
    gateway(net).start(beside(engine=engine, roles=["gateway"]))
    chains = base_chains(net)
    with (
        session(net, "internet", "own", 22) as open_before,
        session(net, "internet", "web", 443) as forwarded,
    ):
        net.reload(beside(engine=engine))
        assert open_before.works()
        assert forwarded.works()
        assert net.status()["openFlows"]["adopted"] == 1
        assert not net.tcp("internet", "own", 23)
        assert net.tcp("internet", "own", 80)
        net.reload(beside(engine=engine, roles=["host"]))
        assert open_before.works()
        assert forwarded.works()
        assert not net.tcp("internet", "own", 23)
        assert net.tcp("internet", "web", 444)
        with session(net, "internet", "web", 445) as unguarded:
            net.reload(beside(engine=engine, roles=["gateway"]))
            assert open_before.works()
            assert forwarded.works()
            assert unguarded.works()
        assert net.tcp("internet", "own", 23)
        assert not net.tcp("internet", "web", 446)
    assert base_chains(net) == chains


def test_a_role_that_is_new_at_a_start(net: Network) -> None:
    """The state directory knows what was guarded before; existingFlows: judge adopts nothing."""
    gateway(net).start(beside(roles=["gateway"]))
    with session(net, "internet", "own", 22) as open_before:
        net.stop()
        net.write(beside())
        net.restart()
        assert open_before.works()
        assert net.status()["openFlows"]["adopted"] == 1
        net.reload(beside(roles=["gateway"]))
    with session(net, "internet", "own", 22) as judged:
        net.reload(beside(existingFlows="judge"))
        with pytest.raises(TimeoutError):
            judged.works()


@BOTH_ENGINES
def test_open_flows_of_the_machine(net: Network, engine: str) -> None:
    """A first start adopts them, a kill does not end them, a reevaluation does."""
    machine(net)
    net.gateway.run(["nft", "-f", "-"], text_input=TRACKING)
    with session(net, "peer", "own", 22) as inbound, session(net, "own", "peer", 22) as outbound:
        net.start(alone(engine=engine, adoptSeconds=30))
        assert net.status()["openFlows"]["adopted"] == 2
        assert inbound.works()
        assert outbound.works()
        with session(net, "peer", "own", 80) as decided:
            net.kill()
            for each in (inbound, outbound, decided):
                assert each.works()
            assert net.tcp("peer", "own", 80) is (engine == "kernel")
            net.restart()
            assert net.nsgd("reload", "--reevaluate").returncode == 0
            assert decided.works()
            with pytest.raises(TimeoutError):
                inbound.works()
    net.stop(remove_rules=True)
    assert net.tcp("peer", "own", 22)


@BOTH_ENGINES
def test_audit_and_failsafe(net: Network, engine: str) -> None:
    """Audit counts and passes, and enforcing cuts what it let through; failsafe comes first."""
    machine(net)
    failsafe = {"protocol": "Tcp", "destinationPortRange": 22, "sourceAddressPrefix": "*"}
    net.start(alone(engine=engine, mode="audit", failsafe=[failsafe]))
    _, rules = net.decided_by(lambda: net.tcp("peer", "own", 81))
    assert rules == [("one", "DenyIn")]
    with session(net, "peer", "own", 81) as inbound, session(net, "own", "peer", 81) as outbound:
        net.reload(alone(engine=engine, failsafe=[failsafe]))
        for each in (inbound, outbound):
            with pytest.raises(TimeoutError):
                each.works()
    assert denied(lambda: net.tcp("peer", "own", 81))
    assert net.decided_by(lambda: net.tcp("peer", "own", 22)) == (True, [])
    assert net.status()["packets"]["failsafe"] > 0


def test_a_default_route_only(net: Network) -> None:
    """A machine need not have another route to its own network than the default one."""
    machine(net)
    for family, address in (("-4", "10.0.1.5/32"), ("-6", "fd00:10:0:1::5/128")):
        for change in (["del", address], ["add", "default"]):
            net.gateway.run(["ip", family, "route", *change, "dev", "veth-peer"])
    net.start(alone())
    for version in (4, 6):
        assert net.tcp("peer", "own", 80, version)
        assert net.tcp("own", "peer", 443, version)
    assert net.denied("spoofed") == 0


def boot(net: Network) -> str:
    """What nsgd boot says; its documents are refused."""
    state = ("--state-dir", str(net.directory / "state"))
    done = net.gateway.run(net._nsgd("boot", "--config", str(net.config), *state), check=False)
    assert done.returncode == 3
    return done.stderr


def test_boot(net: Network) -> None:
    """Without a policy what was guarded last is closed: not loopback, failsafe and all the rest."""
    machine(net)
    failsafe = {"protocol": "Tcp", "destinationPortRange": 22, "sourceAddressPrefix": "10.0.1.5"}
    document: dict[str, Any] = alone(failsafe=[failsafe])
    net.start(document)
    net.stop(remove_rules=True)
    net.config.write_text("{")
    assert "declared addresses of this machine are closed but for failsafe" in boot(net)
    assert net.tcp("peer", "own", 22)
    assert not net.tcp("internet", "own", 22)
    assert not net.tcp("peer", "own", 80)
    assert denied(lambda: net.tcp("own", "peer", 443))
    assert net.tcp("own", "own", 80)
    assert net.tcp("internet", "plain", 80)
    assert net.tcp("internet", "peer", 80)
    net.gateway.run(["ip", "-6", "neigh", "flush", "all"])
    assert net.tcp("peer", "plain", 80, 6)
    net.write(document)
    net.restart()
    assert net.tcp("peer", "own", 80)
    assert net.tcp("own", "peer", 443)


def test_rules_that_wait_for_the_daemon(net: Network) -> None:
    """Rules without a daemon drop new flows that a worker decides, and leave the rest usable."""
    machine(net)
    failsafe = {"protocol": "Tcp", "destinationPortRange": 22, "sourceAddressPrefix": "*"}
    net.start(alone(failsafe=[failsafe]))
    net.stop()
    assert net.tcp("peer", "own", 80) == net.decides_alone
    assert net.tcp("peer", "own", 22)
    assert net.tcp("own", "own", 80)
    assert net.tcp("internet", "plain", 80)


def test_flush_connection(net: Network) -> None:
    """A changed group of the machine's own interface has its flows judged again."""
    machine(net)
    document = alone()
    for group in document["networkSecurityGroups"]:
        group["flushConnection"] = True
    net.start(document)
    with session(net, "own", "peer", 443) as cut:
        (own,) = (g for g in document["networkSecurityGroups"] if g["name"] == "own")
        own["securityRules"] = [rule("DenyOut", 200, "Outbound", "Deny")]
        net.reload(document)
        with pytest.raises((TimeoutError, PermissionError)):
            cut.works()
