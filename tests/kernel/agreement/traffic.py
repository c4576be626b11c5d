"""A drawn policy that a gateway can run, and the numbered packets that are sent through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.model.network import NetworkModel
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.runnable import what_cannot_run
from tests.kernel.agreement.frames import FlowKey, Shape, flow_key, ip_packet, shapes_of
from tests.kernel.agreement.placement import Placement, Way
from tests.oracle.agreement import load_case
from tests.oracle.choose import RandomChooser, chance, pick
from tests.oracle.generate import Case, random_case_of_any_form

# Of a hundred packets, and of a hundred policies.
_ODD_PACKETS = 3
_AUDIT, _UNMANAGED_DROPPED = 15, 25
# Every fourth policy has groups of many rules, else trees with large nodes would be rare.
_MANY_RULES = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet on its way; no other of its policy is of the same flow."""

    number: int
    way: Way
    shape: Shape
    content: bytes  # from its IP header on


@dataclass(frozen=True, slots=True)
class Traffic:
    """One policy and its packets."""

    seed: str
    case: Case
    model: NetworkModel
    policy: CompiledPolicy
    placement: Placement
    packets: list[Sent]
    is_audit: bool  # what would be dropped passes, counted all the same
    drops_unmanaged: bool

    @property
    def settings(self) -> dict[str, str]:
        """Of the daemon section."""
        return {
            "mode": "audit" if self.is_audit else "enforce",
            "unmanagedTraffic": "drop" if self.drops_unmanaged else "accept",
        }


def drawn_traffic(
    base: str, links: frozenset[str], packets: int, first: int = 0
) -> Iterator[Traffic]:
    """Policies of the series *base* without end, each with up to *packets* packets.

    Args:
        base: Begins each seed; the policy's number in the series follows.
        links: Those that interfaces may be bound to; a policy with others is passed over.
        packets: Drawn for each policy; a little less are sent.
        first: The number to begin with.
    """
    index = first
    while True:
        traffic = traffic_of(f"{base}-{index}", index, links, packets)
        if traffic is not None:
            yield traffic
        index += 1


def traffic_of(seed: str, index: int, links: frozenset[str], packets: int) -> Traffic | None:
    """The policy of a seed and its packets; None where no gateway with these links can run it."""
    form = "many" if index % _MANY_RULES == _MANY_RULES - 1 else None
    document = random_case_of_any_form(seed, 0, form)
    model = load_case(document).model
    if what_cannot_run(model) or not {*Placement(document.document, ()).links} <= links:
        return None
    case = random_case_of_any_form(seed, packets, form)
    placement = Placement(case.document, case.packets)
    chooser = RandomChooser(f"{seed} traffic")
    is_audit, drops_unmanaged = chance(chooser, _AUDIT), chance(chooser, _UNMANAGED_DROPPED)
    sent: list[Sent] = []
    known: set[FlowKey] = set()
    for drawn in case.packets:
        way = placement.way(drawn)
        if way is None:
            continue
        number = index << 32 | len(sent)
        key = flow_key(way.packet, number)
        if key in known:
            continue
        known.add(key)
        is_odd = chance(chooser, _ODD_PACKETS)
        shape = pick(chooser, shapes_of(way.packet)) if is_odd else Shape.PLAIN
        sent.append(Sent(number, way, shape, ip_packet(way.packet, shape, number)))
    policy = compile_policy(model)
    return Traffic(seed, case, model, policy, placement, sent, is_audit, drops_unmanaged)
