"""Packets that lint, diff and reach show of the lab's policies, sent through a lab.

Each is sent by the host that has its source, to the one that has its destination, under the policy
that it was shown for, and must pass or be dropped as was said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nsgd.analysis.chain_lint import MANAGEMENT_PORTS
from nsgd.analysis.difference import compare_policies
from nsgd.analysis.ends import Ends
from nsgd.analysis.findings import Kind
from nsgd.analysis.lint import lint
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.analysis.reach import Reach
from nsgd.analysis.reach_rows import rows_of_resources
from nsgd.analysis.reach_told import Asked
from nsgd.azure.native import native_document
from nsgd.config.document import Document
from nsgd.config.load import LoadedConfig, load_documents
from nsgd.lab.netns import Lab
from nsgd.lab.subject import DaemonUnderTest
from nsgd.lab.topology import LabHost, Topology, hosts_of_model
from nsgd.lab.traffic import Observed, Probe, Service, Traffic
from nsgd.model.address import Address
from nsgd.model.network import NetworkModel
from nsgd.model.packet import ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction, Protocol
from nsgd.model.settings import Engine
from nsgd.policy.evaluate import decide
from nsgd.spaces.budget import Budget

pytestmark = pytest.mark.kernel

EXAMPLES = sorted(
    path
    for path in (Path(__file__).parents[2] / "docs" / "examples").glob("*.yaml")
    if path.name.count(".") == 1
)
_SENT = {TCP: Protocol.TCP, UDP: Protocol.UDP, ICMP: Protocol.ICMP, ICMPV6: Protocol.ICMP}

# A packet with whether it passes before and after the policy is changed, where that was said.
Said = dict[PacketHeader, list[bool | None]]


def changed(model: NetworkModel) -> NetworkModel:
    """Every rule of the users' says the opposite."""
    opposite = {Access.ALLOW: Access.DENY, Access.DENY: Access.ALLOW}
    return replace(
        model,
        network_security_groups=tuple(
            replace(
                group,
                security_rules=tuple(
                    replace(rule, access=opposite[rule.access]) for rule in group.security_rules
                ),
            )
            for group in model.network_security_groups
        ),
    )


def said_of(old: AnalysedPolicy, new: AnalysedPolicy) -> Said:
    """What reach says of packets, then what lint and diff say of one end, as far as it is all."""
    said: Said = {}
    for side, policy in enumerate((old, new)):
        ends = Ends(policy)
        every = [ends.resources(), ends.internet()]
        reach = Reach(policy, every, Budget(), is_by_rule=True)
        pairs = [(one, other) for one in every for other in every]
        told = rows_of_resources(reach, Asked(pairs, reach.flows.leaf(True), True))
        for row in told.rows:
            for line in row.lines:
                said.setdefault(line.witness, [None, None])[side] = line.is_allowed
    for finding in lint(old.model, Budget()).findings:
        passes = {Kind.MANAGEMENT_PORT_OPEN: True, Kind.DENIES_PROBES: False}.get(finding.kind)
        if passes is not None and finding.witness is not None:
            said.setdefault(finding.witness, [None, None])[0] = passes
    for each in compare_policies(old, new, Budget()).differences:
        for change in each.changes:
            entry = said.setdefault(change.witness, [None, None])
            for side, (policy, verdict) in enumerate(((old, change.before), (new, change.after))):
                entry[side] = _with_other_end(
                    policy, change.witness, each.direction, verdict.access is Access.ALLOW
                )
    return said


def _with_other_end(
    policy: AnalysedPolicy, packet: PacketHeader, direction: Direction, passes: bool
) -> bool:
    """Whether a packet passes that passes one end or does not, by what the other end is asked."""
    decision = decide(policy.compiled.policy, packet, None, None)
    others = [each.access for each in decision.consulted if each.direction is not direction]
    return passes and Access.DENY not in others


def hosts_for(model: NetworkModel, packets: Said) -> Iterator[LabHost]:
    """The network interfaces, and a host for every other address."""
    known = hosts_of_model(model)
    yield from known
    taken = {address for host in known for address in host.addresses}
    for packet in packets:
        for value in (packet.source, packet.destination):
            address = Address(packet.version, value)
            if address not in taken:
                taken.add(address)
                yield LabHost(f"other{len(taken)}", (address,))


def probes_of(packets: Said, hosts: tuple[LabHost, ...]) -> list[Probe]:
    """One for each packet."""
    by_address = {address: host for host in hosts for address in host.addresses}
    found = []
    for packet in packets:
        sender, receiver = (
            by_address[Address(packet.version, value)]
            for value in (packet.source, packet.destination)
        )
        protocol = _SENT[packet.protocol]
        service = Service("shown", protocol, packet.destination_port)
        found.append(Probe(sender, receiver, service, packet.version))
    return found


def can_be_sent(packet: PacketHeader) -> bool:
    """Hosts send three protocols, to ports that can be listened on, and no link-local addresses."""
    has_port = packet.protocol not in (TCP, UDP) or packet.destination_port > 0
    is_routed = packet.version == 4 or packet.source >> 118 != 0x3FA
    return packet.protocol in _SENT and has_port and is_routed


@pytest.mark.parametrize("engine", list(Engine), ids=lambda engine: engine.value)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_packets_do_as_was_said(path: Path, engine: Engine, tmp_path: Path) -> None:
    """Under both policies, of which the second follows the first in the same gateway."""
    loaded = load_documents([Document(path.name, path.read_bytes())])
    old = AnalysedPolicy(loaded.model)
    new = AnalysedPolicy(changed(loaded.model))
    said = {packet: sides for packet, sides in said_of(old, new).items() if can_be_sent(packet)}
    shown = {side for sides in said.values() for side in enumerate(sides)}
    assert shown >= {(0, True), (0, False), (1, True), (1, False)}
    with Lab() as lab:
        topology = Topology(lab, hosts_for(loaded.model, said))
        traffic = Traffic(topology)
        probes = probes_of(said, topology.hosts)
        traffic.listen(probes)
        for side, policy in enumerate((old, new)):
            daemon = _start(topology, loaded, policy.model, engine, tmp_path / str(side))
            wrong = _wrong(traffic, probes, [sides[side] for sides in said.values()])
            daemon.stop()
            assert not wrong, "\n".join([f"policy {side}", *wrong])
        traffic.end()


def _start(
    topology: Topology, loaded: LoadedConfig, model: NetworkModel, engine: Engine, directory: Path
) -> DaemonUnderTest:
    directory.mkdir()
    settings = replace(loaded.settings, engine=engine)
    document = directory / "policy.json"
    document.write_text(json.dumps(native_document(model, settings, loaded.reading)))
    daemon = DaemonUnderTest(topology.gateway, [document], directory)
    daemon.wait_until_ready()
    return daemon


def _wrong(traffic: Traffic, probes: list[Probe], expected: list[bool | None]) -> list[str]:
    asked = [each for each in zip(probes, expected, strict=True) if each[1] is not None]
    # What is late on a busy machine is on time when it is asked again.
    for _ in range(3):
        observed = traffic.send([probe for probe, _ in asked])
        asked = [
            (probe, passes)
            for (probe, passes), seen in zip(asked, observed, strict=True)
            if seen.observed is not (Observed.ANSWERED if passes else Observed.NO_ANSWER)
        ]
        if not asked:
            return []
    return [
        f"{probe.packet(0)} from {probe.sender.name} to {probe.receiver.name}: passes {passes}"
        for probe, passes in asked
    ]


def test_there_are_policies() -> None:
    """And the ports that lint looks for are those that the first one opens."""
    assert len(EXAMPLES) == 2
    assert 22 in MANAGEMENT_PORTS
