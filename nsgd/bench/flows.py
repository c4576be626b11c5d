"""The flows that every contender gets, as values.

Each flow differs from every other in addresses or ports; every second one is TCP. Sources,
destinations and destination ports are drawn in turn from shuffled rounds, for either protocol, so
that each occurs about equally often, alone and in combination: whatever fields a policy decides
by, its rules are hit evenly.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from nsgd.model.packet import TCP, UDP

CLIENT_NETWORK = "10.64.0.0/12"
SERVER_NETWORK = "10.128.0.0/12"
CLIENT_BASE = int(ipaddress.IPv4Address("10.72.0.0"))
SERVER_BASE = int(ipaddress.IPv4Address("10.136.0.0"))

# An address is made of digits. A digit of five lies in four bits, at the first numbers that the
# nested prefixes of 4, 3, 2, 1 and 0 of these bits have ahead of the next longer one; a digit of
# two is a bit. So a prefix can end at any digit, and each step outwards adds as many addresses.
FIVE = (0, 1, 2, 4, 8)
TWO = (0, 1)
# Values of each digit and the bit that it begins at, the most significant one first.
DIGITS = ((FIVE, 15), (TWO, 14), (FIVE, 10), (TWO, 9), (FIVE, 5), (TWO, 4), (FIVE, 0))
# How many addresses a side may have, and so many digits tell them apart.
ADDRESSES = {5: 1, 50: 3, 500: 5, 5000: 7}
MOST_ADDRESSES = max(ADDRESSES)

PROTOCOLS = (UDP, TCP)  # of the flows, in turn
FIRST_PORT = 1024
PORTS = 60_000
_PORT_PLACES = 5000


def offsets(first: int, last: int) -> Iterator[int]:
    """What the digits *first* to *last*, not included, add to the base, in ascending order."""
    for values in product(*(values for values, _ in DIGITS[first:last])):
        yield sum(
            value << shift for value, (_, shift) in zip(values, DIGITS[first:last], strict=True)
        )


def addresses(base: int, count: int = MOST_ADDRESSES) -> list[int]:
    """The addresses of one side, in ascending order; *count* is a key of ADDRESSES."""
    return [base + offset for offset in offsets(0, ADDRESSES[count])]


@dataclass(frozen=True, slots=True)
class Flow:
    """The first packet of a UDP or TCP flow over IPv4."""

    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int


def make_flows(count: int, of_side: int = MOST_ADDRESSES, seed: int = 1) -> list[Flow]:
    """Different flows, the same ones for the same seed, of PROTOCOLS in turn.

    Args:
        count: How many.
        of_side: Addresses that they come from and go to, a key of ADDRESSES.
        seed: For the order of addresses and ports.
    """
    generator = random.Random(seed)
    drawn = [
        _draw(generator, len(range(place, count, len(PROTOCOLS))), of_side)
        for place in range(len(PROTOCOLS))
    ]
    return [
        Flow(
            PROTOCOLS[index % len(PROTOCOLS)],
            source,
            destination,
            FIRST_PORT + index % PORTS,
            port,
        )
        for index in range(count)
        for source, destination, port in (drawn[index % len(PROTOCOLS)][index // len(PROTOCOLS)],)
    ]


def _draw(generator: random.Random, count: int, of_side: int) -> list[tuple[int, int, int]]:
    """Source, destination and destination port of the flows of one protocol."""

    def rounds(values: list[int]) -> list[int]:
        drawn: list[int] = []
        while len(drawn) < count:
            generator.shuffle(values)
            drawn += values
        return drawn[:count]

    step = PORTS // _PORT_PLACES
    return list(
        zip(
            rounds(addresses(CLIENT_BASE, of_side)),
            rounds(addresses(SERVER_BASE, of_side)),
            (
                FIRST_PORT + step * place + generator.randrange(step)
                for place in rounds(list(range(_PORT_PLACES)))
            ),
            strict=True,
        )
    )
