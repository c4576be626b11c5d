"""Probes from every host at once: what was sent, what arrived, what came back."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from nsgd.lab import agent
from nsgd.lab.topology import LabHost, Topology
from nsgd.model.address import IP_VERSIONS, Address, IPVersion
from nsgd.model.packet import ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Protocol

# Below the second after which the kernel repeats a SYN, so that a probe is one first packet.
PROBE_TIMEOUT_S = 0.8
# For each host. All hosts send at once, and an answer must not wait behind other work for long.
CONCURRENT_PROBES = 40
_ANSWER_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 10.0
_PACKAGE_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Service:
    """What a probe asks for; *families* are the IP versions that it is asked over."""

    name: str
    protocol: Protocol  # TCP, UDP or ICMP
    port: int = 0  # 0 for ICMP
    families: tuple[IPVersion, ...] = IP_VERSIONS
    source_port: int = 0  # 0: any


@dataclass(frozen=True, slots=True)
class Probe:
    """One service asked by one host of another in one family."""

    sender: LabHost
    receiver: LabHost
    service: Service
    version: IPVersion

    def packet(self, source_port: int) -> PacketHeader:
        """The first packet that the probe sends."""
        protocol = {
            Protocol.TCP: TCP,
            Protocol.UDP: UDP,
            Protocol.ICMP: ICMP if self.version == 4 else ICMPV6,
        }[self.service.protocol]
        source, destination = (host.address(self.version) for host in (self.sender, self.receiver))
        assert source is not None
        assert destination is not None
        return PacketHeader(
            self.version,
            protocol,
            source.value,
            destination.value,
            0 if self.service.protocol is Protocol.ICMP else source_port,
            self.service.port,
            is_midstream=False,
        )

    def __str__(self) -> str:
        names = f"{self.sender.name} > {self.receiver.name}"
        return f"{names} {self.service.name} IPv{self.version}"


class Observed(Enum):
    """What the wire says of a probe. Only the first is a pass, only the second a silent drop."""

    ANSWERED = "answered"
    NO_ANSWER = "no answer"
    REPLY_LOST = "delivered, reply lost"
    REFUSED = "refused"
    ICMP_ERROR = "ICMP error"
    FAILED = "not sent"


@dataclass(frozen=True, slots=True)
class Observation:
    """A probe and its outcome; *source_port* is the echo identifier for ICMP."""

    probe: Probe
    observed: Observed
    detail: str
    source_port: int


def all_probes(hosts: Sequence[LabHost], services: Iterable[Service]) -> list[Probe]:
    """Every ordered pair and service, in each family that both hosts have."""
    return [
        Probe(sender, receiver, service, version)
        for sender in hosts
        for receiver in hosts
        if sender is not receiver
        for service in services
        for version in service.families
        if sender.address(version) and receiver.address(version)
    ]


class AgentFailed(Exception):
    """An agent ended or does not answer: what it was asked has no result."""


class Traffic:
    """An agent in every host of a topology, ``agents`` by host name.

    The lab ends them, if *end* has not.
    """

    def __init__(self, topology: Topology, services: Iterable[Service] = ()) -> None:
        """Start the agents; all listen, on the ports of the services, when this returns."""
        services = tuple(services)
        self.agents: dict[str, subprocess.Popen[str]] = {}
        for name, namespace in topology.namespaces.items():
            self.agents[name] = namespace.popen(
                [sys.executable, "-m", "nsgd.lab.agent"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=module_environment(),
            )
        ports = {
            kind: sorted({s.port for s in services if s.protocol is protocol})
            for kind, protocol in (("tcp", Protocol.TCP), ("udp", Protocol.UDP))
        }
        self._ask(
            {
                host.name: {"listen": {"addresses": [str(a) for a in host.addresses], **ports}}
                for host in topology.hosts
            }
        )

    def listen(self, probes: Iterable[Probe]) -> None:
        """Listen where these probes go, and nowhere else: for agents without services."""
        asked: dict[str, set[tuple[Address, str, int]]] = {}
        for probe in probes:
            receiver = probe.receiver
            address = receiver.address(probe.version)
            assert address is not None
            kind = probe.service.protocol.value.lower()
            asked.setdefault(receiver.name, set()).add((address, kind, probe.service.port))
        for name, wanted in asked.items():
            for address in sorted({address for address, _, _ in wanted}):
                ports = {
                    kind: sorted(p for a, k, p in wanted if a == address and k == kind)
                    for kind in ("tcp", "udp")
                }
                self._ask({name: {"listen": {"addresses": [str(address)], **ports}}})

    def end(self) -> None:
        """End the agents, and wait until they have."""
        for agent_process in self.agents.values():
            assert agent_process.stdin is not None
            with contextlib.suppress(OSError):
                agent_process.stdin.close()
        for agent_process in self.agents.values():
            agent_process.wait(_END_TIMEOUT_S)

    def send(
        self, probes: Sequence[Probe], *, timeout_s: float = PROBE_TIMEOUT_S
    ) -> list[Observation]:
        """Send every probe once, all hosts at the same time. The outcomes are in their order.

        Raises AgentFailed.
        """
        by_sender: dict[str, list[int]] = {}
        for index, probe in enumerate(probes):
            by_sender.setdefault(probe.sender.name, []).append(index)
        answers = self._ask(
            {
                name: {
                    "probe": [_request(probes[index], index) for index in indexes],
                    "timeout_s": timeout_s,
                    "concurrency": CONCURRENT_PROBES,
                }
                for name, indexes in by_sender.items()
            }
        )
        arrivals = {
            tuple(arrival)
            for answer in self._ask({name: {"arrivals": True} for name in self.agents}).values()
            for arrival in answer["arrivals"]
        }
        results = {
            index: result
            for name, indexes in by_sender.items()
            for index, result in zip(indexes, answers[name]["results"], strict=True)
        }
        return [_observe(probe, results[index], arrivals) for index, probe in enumerate(probes)]

    def _ask(self, requests: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Ask all agents, then wait for all."""
        for name, request in requests.items():
            stdin = self.agents[name].stdin
            assert stdin is not None
            try:
                stdin.write(json.dumps(request) + "\n")
                stdin.flush()
            except BrokenPipeError:
                raise AgentFailed(f"the agent of {name} has ended") from None
        return {name: self._answer(name) for name in requests}

    def _answer(self, name: str) -> dict[str, Any]:
        stdout = self.agents[name].stdout
        assert stdout is not None
        if not select.select([stdout], [], [], _ANSWER_TIMEOUT_S)[0]:
            raise AgentFailed(f"the agent of {name} does not answer")
        line = stdout.readline()
        if not line:
            raise AgentFailed(f"the agent of {name} has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def module_environment() -> dict[str, str]:
    """An environment in which ``python -m nsgd`` is this nsgd, installed or not."""
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{_PACKAGE_ROOT}:{path}" if path else str(_PACKAGE_ROOT)}


def _request(probe: Probe, index: int) -> dict[str, Any]:
    return {
        "protocol": probe.service.protocol.value.lower(),
        "source": str(probe.sender.address(probe.version)),
        "destination": str(probe.receiver.address(probe.version)),
        "port": probe.service.port,
        "source_port": probe.service.source_port,
        "token": f"nsgd-lab-{index}",
    }


_OBSERVED = {
    agent.ANSWERED: Observed.ANSWERED,
    agent.NO_ANSWER: Observed.NO_ANSWER,
    agent.REFUSED: Observed.REFUSED,
    agent.ICMP_ERROR: Observed.ICMP_ERROR,
    agent.FAILED: Observed.FAILED,
}


def _observe(
    probe: Probe, result: dict[str, Any], arrivals: set[tuple[str | int, ...]]
) -> Observation:
    observed = _OBSERVED[result["state"]]
    request = _request(probe, 0)
    arrival = (
        request["protocol"],
        request["source"],
        result["source_port"],
        request["destination"],
        request["port"],
    )
    if observed is Observed.NO_ANSWER and arrival in arrivals:
        observed = Observed.REPLY_LOST
    return Observation(probe, observed, result["detail"], result["source_port"])
