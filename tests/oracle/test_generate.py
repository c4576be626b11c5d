"""The drawn cases can tell every choice apart that they are meant to test.

Each mutant is an oracle with one mistake. If no drawn packet exposes it, agreement
with nsgd would say nothing about that choice.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings

from . import oracle as text
from .generate import Written, cases, random_case
from .oracle import Oracle, Packet

DOCUMENTS = 600
PACKETS = 50


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Written, list[Packet]]]:
    return [random_case(f"mutants-{number}", PACKETS) for number in range(DOCUMENTS)]


def one_sided_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peering counts when this side declares it."""
    peerings = text._peerings
    monkeypatch.setattr(
        Oracle, "_mutual_peers", lambda self, name: {*peerings(self._networks[name])}
    )
    # The peer may not name this network: no flags then.
    monkeypatch.setattr(text, "_peerings", lambda network: defaultdict(dict, peerings(network)))


def flags_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """On-premises prefixes reach every peer."""
    peerings = text._peerings
    both = {"useRemoteGateways": True, "allowGatewayTransit": True}
    monkeypatch.setattr(text, "_peerings", lambda network: dict.fromkeys(peerings(network), both))


def one_flag(field: str) -> Callable[[pytest.MonkeyPatch], None]:
    """One of the two flags is taken as set."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        peerings = text._peerings
        monkeypatch.setattr(
            text,
            "_peerings",
            lambda network: {
                name: {**settings, field: True} for name, settings in peerings(network).items()
            },
        )

    mutate.__name__ = f"without_{field}"
    return mutate


def routes_leave_virtual_network(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = text._entries
    monkeypatch.setattr(
        text, "_entries", lambda owner, name: [] if name == "routes" else entries(owner, name)
    )


def host_not_in_virtual_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "HOST_ADDRESS", ipaddress.ip_network("255.255.255.255/32"))


def no_link_local_balancer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LOAD_BALANCER", (text.HOST_ADDRESS,))


def internet_keeps_own_space(monkeypatch: pytest.MonkeyPatch) -> None:
    covers = Oracle._covers

    def mutant(self: Oracle, name: str, address: text.Address, network: str) -> bool:
        if name.lower() == "internet":
            return text._is_public(address)
        return covers(self, name, address, network)

    monkeypatch.setattr(Oracle, "_covers", mutant)


def without_block(block: str) -> Callable[[pytest.MonkeyPatch], None]:
    """One special-purpose block is forgotten."""

    def mutate(monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("NOT_PUBLIC_IPV4", "NOT_PUBLIC_IPV6", "PUBLIC_AGAIN_IPV6"):
            kept = tuple(p for p in getattr(text, name) if str(p) != block)
            monkeypatch.setattr(text, name, kept)

    mutate.__name__ = f"without_{block}"
    return mutate


def groups_reach_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Oracle,
        "_is_member",
        lambda self, group, address, network: any(
            group in interface.application_groups and address in interface.addresses
            for interface in self._interfaces
        ),
    )


def groups_stay_in_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Oracle,
        "_is_member",
        lambda self, group, address, network: any(
            group in interface.application_groups
            and interface.subnet.network == network
            and address in interface.addresses
            for interface in self._interfaces
        ),
    )


def icmp_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {**text.PROTOCOL_NUMBERS, "icmp": {4: 1, 6: 1}}
    monkeypatch.setattr(text, "PROTOCOL_NUMBERS", numbers)


def portless_ignore_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_covers_every_port", lambda ranges: True)


def portless_need_one_whole_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_covers_every_port", lambda ranges: (0, 65535) in ranges)


def no_preferred_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Oracle, "_prefer_network_of", lambda self, others, candidates: candidates)


def no_preferred_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    prefer = Oracle._prefer_network_of

    def mutant(
        self: Oracle, others: list[text._Endpoint], candidates: list[text._Endpoint]
    ) -> list[text._Endpoint]:
        chosen = prefer(self, others, candidates)
        same = others and chosen[:1] and chosen[0].subnet.network == others[0].subnet.network
        return chosen if same else candidates

    monkeypatch.setattr(Oracle, "_prefer_network_of", mutant)


def links_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = Oracle._candidates
    monkeypatch.setattr(
        Oracle, "_candidates", lambda self, link, address: candidates(self, None, address)
    )


def no_order_of_consultation(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Oracle.judge

    def mutant(self: Oracle, packet: Packet) -> text.Answer:
        answer = judge(self, packet)
        return answer._replace(consulted=tuple(sorted(answer.consulted)))

    monkeypatch.setattr(Oracle, "judge", mutant)


MUTANTS = [
    one_sided_peers,
    flags_ignored,
    one_flag("useRemoteGateways"),
    one_flag("allowGatewayTransit"),
    routes_leave_virtual_network,
    host_not_in_virtual_network,
    no_link_local_balancer,
    internet_keeps_own_space,
    *(
        without_block(str(block))
        for block in (*text.NOT_PUBLIC_IPV4, *text.NOT_PUBLIC_IPV6, *text.PUBLIC_AGAIN_IPV6)
    ),
    groups_reach_every_network,
    groups_stay_in_one_network,
    icmp_is_one,
    portless_ignore_ports,
    portless_need_one_whole_range,
    no_preferred_network,
    no_preferred_peer,
    links_ignored,
    no_order_of_consultation,
]


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_a_mistake_is_exposed(
    mutate: Callable[[pytest.MonkeyPatch], None],
    drawn: list[tuple[Written, list[Packet]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some drawn packet is judged otherwise by an oracle with one mistake."""
    truth = Oracle.judge
    for document, packets in drawn:
        right = Oracle(document)
        expected = [truth(right, packet) for packet in packets]
        with monkeypatch.context() as patch:
            mutate(patch)
            wrong = Oracle(document)
            if [wrong.judge(packet) for packet in packets] != expected:
                return
    pytest.fail("no drawn packet tells the mistake from the truth")


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(cases())
def test_drawn_cases_have_answers(case: tuple[Written, list[Packet]]) -> None:
    """Hypothesis draws documents the oracle reads, and packets it decides."""
    document, packets = case
    oracle = Oracle(document)
    assert {oracle.judge(packet).access for packet in packets} <= {"Allow", "Deny", "Unmanaged"}
