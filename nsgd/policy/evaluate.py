"""Decide a flow's first packet: the tables of its two ends, in Azure's order."""

from __future__ import annotations

from collections.abc import Callable

from nsgd.model.decision import Decision, Reason, TableDecision
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED

Consulted = Callable[
    [CompiledPolicy, PacketHeader, str | None, str | None], tuple[int, ...] | Decision
]
UNMANAGED = Decision(None, Reason.UNMANAGED)
DENIED_AS_AMBIGUOUS = Decision(Access.DENY, Reason.AMBIGUOUS_NETWORK)
ALLOWED_WITHOUT_GROUP = Decision(Access.ALLOW, Reason.NO_NSG)


def consulted_tables(
    policy: CompiledPolicy, packet: PacketHeader, in_link: str | None, out_link: str | None
) -> tuple[int, ...] | Decision:
    """The tables to consult, in order, or the decision where there is nothing to consult.

    Source:
        Azure, Network security groups overview: inbound, "Azure processes the rules in a network
        security group associated to a subnet first, if there is one, and then the rules in a
        network security group associated to the network interface"; outbound the other way round.
        Security admin rules "are evaluated before NSG rules".
    """
    endpoint_map = policy.endpoint_map
    sender, receiver = endpoint_map.find(
        packet.version, packet.source, packet.destination, in_link, out_link
    )
    if sender == AMBIGUOUS or receiver == AMBIGUOUS:
        return DENIED_AS_AMBIGUOUS
    if sender == receiver == NOT_DECLARED:
        return UNMANAGED
    endpoints = endpoint_map.endpoints
    tables = () if sender == NOT_DECLARED else endpoints[sender].outbound
    if receiver != NOT_DECLARED:
        tables += endpoints[receiver].inbound
    return tables or ALLOWED_WITHOUT_GROUP


def consulted_tables_of_host(
    policy: CompiledPolicy, packet: PacketHeader, in_link: str | None, out_link: str | None
) -> tuple[int, ...] | Decision:
    """The same on a machine that guards its own interfaces only.

    One end of a packet is the machine's: the receiver of what comes in, the sender of what goes
    out. It alone is asked, and a link that binds an interface is the machine's own. Where the
    links do not tell which end that is, both are asked.
    """
    if (in_link is None) == (out_link is None):
        return consulted_tables(policy, packet, None, None)
    endpoint_map = policy.endpoint_map
    is_inbound = out_link is None
    own = endpoint_map.by_link.get(in_link or out_link or "", NOT_DECLARED)
    if own == NOT_DECLARED:
        address = packet.destination if is_inbound else packet.source
        own = endpoint_map.by_address(packet.version, address)
    if own == NOT_DECLARED:
        return UNMANAGED
    if own <= AMBIGUOUS:
        return DENIED_AS_AMBIGUOUS
    endpoint = endpoint_map.endpoints[own]
    return (endpoint.inbound if is_inbound else endpoint.outbound) or ALLOWED_WITHOUT_GROUP


def decide(
    policy: CompiledPolicy,
    packet: PacketHeader,
    in_link: str | None,
    out_link: str | None,
    consulted_tables: Consulted = consulted_tables,
) -> Decision:
    """Decide the first packet of a flow. Never raises on a parsed packet.

    Args:
        policy: The compiled policy.
        packet: The flow's original direction, after destination and before source translation.
        in_link: Name of the link by which the packet comes in, where known.
        out_link: Name of the link by which it will leave, where known.
        consulted_tables: consulted_tables, or consulted_tables_of_host.
    """
    tables = consulted_tables(policy, packet, in_link, out_link)
    if isinstance(tables, Decision):
        return tables
    consulted: list[TableDecision] = []
    settled: Direction | None = None
    for index in tables:
        table = policy.tables[index]
        if table.direction is settled:
            continue
        rule = table.match(
            packet.version,
            packet.protocol,
            packet.source,
            packet.destination,
            packet.source_port,
            packet.destination_port,
        )
        if table.is_silent(rule):
            continue
        consulted.append(table.decision(rule))
        if not table.is_allowed(rule):
            return Decision(Access.DENY, table.reason(rule), tuple(consulted))
        if table.is_final(rule):
            settled = table.direction
    if not consulted:
        return ALLOWED_WITHOUT_GROUP
    return Decision(Access.ALLOW, Reason.RULE, tuple(consulted))
