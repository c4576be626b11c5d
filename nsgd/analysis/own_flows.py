"""Which of an operator's own connections a new policy denies, and what settings let pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nsgd.analysis.policy import AnalysedPolicy
from nsgd.model.address import Address
from nsgd.model.decision import Decision
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Protocol
from nsgd.model.settings import DaemonSettings, Failsafe, Mode, UnmanagedTraffic
from nsgd.policy.evaluate import consulted_tables, consulted_tables_of_host, decide

_SOME_LINK = "?"  # that binds no interface: names have no such sign


@dataclass(frozen=True, slots=True)
class OwnFlow:
    """A connection; *is_at_host* where its other end is this machine, which then is its own judge
    in the role host, and else it is forwarded."""

    packet: PacketHeader
    is_at_host: bool


@dataclass(frozen=True, slots=True)
class DeniedFlow:
    """A connection that a policy denies; *is_cut* if at once, and not only when it is made anew."""

    flow: OwnFlow
    decision: Decision
    is_cut: bool


class Judge:
    """A policy as a daemon with its settings would enforce it."""

    def __init__(self, policy: AnalysedPolicy, settings: DaemonSettings) -> None:
        self.policy = policy
        self._settings = settings

    def denial(self, flow: OwnFlow) -> Decision | None:
        """The decision that denies a flow; None where it passes, or is not judged."""
        settings, packet = self._settings, flow.packet
        is_judged = settings.is_host if flow.is_at_host else settings.is_gateway
        if not is_judged or settings.mode is Mode.AUDIT:
            return None
        if any(_passes(failsafe, packet) for failsafe in settings.failsafe):
            return None
        compiled = self.policy.compiled.policy
        if flow.is_at_host:
            found = decide(compiled, packet, _SOME_LINK, None, consulted_tables_of_host)
        else:
            found = decide(compiled, packet, None, None, consulted_tables)
        if found.access is None:
            drops = settings.unmanaged_traffic is UnmanagedTraffic.DROP and not flow.is_at_host
            return found if drops else None
        return found if found.access is Access.DENY else None


def denied_flows(
    flows: Iterable[OwnFlow], before: Judge, after: Judge, *, is_reevaluated: bool
) -> list[DeniedFlow]:
    """Flows that *after* denies, where that is news or they are cut at once.

    Args:
        flows: Open connections.
        before: The policy in force.
        after: The one that is to come.
        is_reevaluated: Whether open flows are judged again then.
    """
    flushing = {
        group.name for group in after.policy.model.network_security_groups if group.flush_connection
    }
    found = []
    for flow in flows:
        decision = after.denial(flow)
        if decision is None:
            continue
        is_cut = is_reevaluated or decision.network_security_group in flushing
        if is_cut or before.denial(flow) is None:
            found.append(DeniedFlow(flow, decision, is_cut))
    return found


def read_ssh_connection(text: str) -> OwnFlow | None:
    """What sshd tells a session in SSH_CONNECTION: both addresses with their ports.

    Source:
        ssh(1), ENVIRONMENT: "four space-separated values: client IP address, client port number,
        server IP address, and server port number".
    """
    words = text.split()
    if len(words) != 4:
        return None
    try:
        client, server = Address.parse(words[0]), Address.parse(words[2])
        ports = int(words[1]), int(words[3])
    except ValueError:
        return None
    if client.version != server.version or not all(0 <= port <= 65535 for port in ports):
        return None
    packet = PacketHeader(client.version, TCP, client.value, server.value, *ports, False)
    return OwnFlow(packet, is_at_host=True)


def not_enforced(settings: DaemonSettings) -> Iterator[str]:
    """What a daemon with these settings lets pass though rules deny it, in words."""
    if settings.mode is Mode.AUDIT:
        yield "daemon.mode is audit, so what is denied here passes all the same"
    for failsafe in settings.failsafe:
        ports = ", ".join(map(str, failsafe.ports))
        sources = ", ".join(map(str, failsafe.sources)) or "anywhere"
        flows = f"{failsafe.protocol.value} {ports} from {sources}"
        yield f"daemon.failsafe lets {flows} pass, also where it is denied here"


def _passes(failsafe: Failsafe, packet: PacketHeader) -> bool:
    is_tcp = failsafe.protocol is Protocol.TCP
    source = Address(packet.version, packet.source)
    return (
        packet.protocol == (TCP if is_tcp else UDP)
        and any(port.first <= packet.destination_port <= port.last for port in failsafe.ports)
        and (not failsafe.sources or any(prefix.contains(source) for prefix in failsafe.sources))
    )
