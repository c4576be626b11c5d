"""Which flows a question of reach is about: protocol and ports, from a user's words."""

from __future__ import annotations

from collections.abc import Sequence

from nsgd.answers.question import read_protocol
from nsgd.answers.refused import QuestionRefused
from nsgd.config.wording import show
from nsgd.model.address import PortRange
from nsgd.policy.address_set import merge_ranges
from nsgd.spaces.flow_sets import EVERY, WITH_PORTS, FlowBox
from nsgd.spaces.ranges import Ranges

ANY = "*"


def read_flows(
    protocol: str | None, ports: Sequence[str | int], source_ports: Sequence[str | int]
) -> FlowBox:
    """The flows of a protocol with these ports; of several, any combination of them.

    Args:
        protocol: A name as rules have it, a number, or ``*``. None is every protocol, and TCP
            and UDP where there are ports.
        ports: Numbers and ranges ``a-b`` of destination ports; every one if there are none.
        source_ports: The same of source ports.

    Returns:
        Icmp has the number of IPv4 there, and means either version.

    Raises:
        QuestionRefused: The first thing that is wrong.
    """
    has_ports = bool(ports or source_ports)
    if protocol in (None, ANY):
        protocols = WITH_PORTS if has_ports else EVERY[0]
    else:
        assert protocol is not None
        if protocol in ("1", "58"):
            raise QuestionRefused(f"protocol: write Icmp, which is {protocol} in one IP version")
        number = read_protocol(protocol, 4)
        protocols = ((number, number),)
        if has_ports and protocols[0] not in WITH_PORTS:
            raise QuestionRefused(f"{show(protocol)} has no ports; leave them out")
    return FlowBox(protocols, _ports("port", ports), _ports("source port", source_ports))


def _ports(what: str, texts: Sequence[str | int]) -> Ranges:
    if not texts or ANY in texts:
        return EVERY[1]
    found = []
    for text in texts:
        first, mark, last = str(text).partition("-")
        try:
            if not (first.isascii() and first.isdigit()) or (mark and not last.isdigit()):
                raise ValueError
            read = PortRange(int(first), int(last or first))
        except ValueError:
            raise QuestionRefused(
                f"{what}: {show(text)} is no port; write a number of 0-65535 or a range a-b"
            ) from None
        found.append((read.first, read.last))
    return merge_ranges(found)
