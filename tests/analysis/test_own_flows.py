"""Which of an operator's own connections a policy denies: by role, failsafe, mode and flush."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nsgd.analysis.own_flows import DeniedFlow, Judge, OwnFlow, denied_flows, read_ssh_connection
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.model.address import PortRange
from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Protocol
from nsgd.model.settings import DaemonRole, DaemonSettings, Failsafe, Mode, UnmanagedTraffic
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    group,
    nic,
    packet,
    prefixes,
    rule,
    subnet,
)

HOST = DaemonSettings(roles=frozenset({DaemonRole.HOST}))
GATEWAY = DaemonSettings()


def model(*, allows: bool, flushes: bool = False) -> NetworkModel:
    access = ALLOW if allows else DENY
    made = group("g", rule("ssh", 100, INBOUND, access, "Tcp", ports="22"))
    return NetworkModel(
        virtual_networks=(
            VirtualNetwork("vnet", prefixes("10.0.0.0/16"), (subnet("s", "10.0.0.0/24", "g"),)),
        ),
        network_interfaces=(nic("me", "10.0.0.4", "s", None),),
        network_security_groups=(replace(made, flush_connection=flushes),),
    )


def judge(settings: DaemonSettings, *, allows: bool, flushes: bool = False) -> Judge:
    return Judge(AnalysedPolicy(model(allows=allows, flushes=flushes)), settings)


def ssh(text: str = "203.0.113.7 50000 10.0.0.4 22") -> OwnFlow:
    found = read_ssh_connection(text)
    assert found is not None
    return found


def denied(
    after: Judge, *, flow: OwnFlow | None = None, before: Judge | None = None, now: bool = False
) -> list[DeniedFlow]:
    before = before or judge(HOST, allows=True)
    return denied_flows([flow or ssh()], before, after, is_reevaluated=now)


def test_a_denial_is_told() -> None:
    """With the rule; it stays open, and is cut if flows are judged again."""
    (found,) = denied(judge(HOST, allows=False))
    assert (found.decision.rule, found.is_cut) == ("ssh", False)
    (found,) = denied(judge(HOST, allows=False), now=True)
    assert found.is_cut
    (found,) = denied(judge(HOST, allows=False, flushes=True))
    assert found.is_cut


def test_what_passes_is_not_told() -> None:
    """Nor what was denied before and stays open, unless it is cut now."""
    assert not denied(judge(HOST, allows=True), now=True)
    assert not denied(judge(HOST, allows=False), before=judge(HOST, allows=False))
    assert denied(judge(HOST, allows=False), before=judge(HOST, allows=False), now=True)


@pytest.mark.parametrize(
    ("settings", "is_told"),
    [
        (HOST, True),
        (GATEWAY, False),  # what comes to this machine itself is not forwarded
        (replace(HOST, mode=Mode.AUDIT), False),
        (replace(HOST, failsafe=(Failsafe(Protocol.TCP, (PortRange(22, 22),)),)), False),
        (replace(HOST, failsafe=(Failsafe(Protocol.UDP, (PortRange(22, 22),)),)), True),
        (
            replace(
                HOST,
                failsafe=(
                    Failsafe(Protocol.TCP, (PortRange(22, 22),), prefixes("198.51.100.0/24")),
                ),
            ),
            True,
        ),
    ],
)
def test_who_judges_it(settings: DaemonSettings, is_told: bool) -> None:
    """The role host alone, and nobody in audit mode or where a failsafe lets it pass."""
    assert bool(denied(judge(settings, allows=False))) is is_told


def test_forwarded_flows() -> None:
    """Those are the gateway's; what touches nothing declared is dropped where settings say so."""
    flow = OwnFlow(ssh().packet, is_at_host=False)
    before = judge(GATEWAY, allows=True)
    assert denied(judge(GATEWAY, allows=False), flow=flow, before=before)
    assert not denied(judge(HOST, allows=False), flow=flow, before=before)
    strange = OwnFlow(packet("203.0.113.7", "198.51.100.1", 22), is_at_host=False)
    dropping = replace(GATEWAY, unmanaged_traffic=UnmanagedTraffic.DROP)
    assert not denied(judge(GATEWAY, allows=False), flow=strange, before=before)
    (found,) = denied(judge(dropping, allows=False), flow=strange, before=before)
    assert found.decision.reported is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7 50000 10.0.0.4 22", "10.0.0.4"),
        ("fd00::7 50000 fd00::4 22", "fd00::4"),
        ("203.0.113.7 50000 10.0.0.4", None),
        ("203.0.113.7 x 10.0.0.4 22", None),
        ("203.0.113.7 50000 fd00::4 22", None),
        ("203.0.113.7 50000 10.0.0.4 70000", None),
        ("UNKNOWN 65535 UNKNOWN 65535", None),  # sshd, where a peer has no address
        ("", None),
    ],
)
def test_ssh_connection(text: str, expected: str | None) -> None:
    """Anything else than two addresses with ports is none."""
    found = read_ssh_connection(text)
    assert (found is None) is (expected is None)
    assert found is None or isinstance(found.packet, PacketHeader)
