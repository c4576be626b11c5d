"""The policies that a soak goes through, and what the oracle says of a probe under each."""

from __future__ import annotations

import functools
import random
from typing import Any, NamedTuple

from tests.kernel.documents import INTERNET_V4, INTERNET_V6, document, nic, nic_addresses, rule
from tests.kernel.documents import subnet as subnet_of
from tests.oracle.oracle import Oracle, Packet

# Seven policies, and an engine for two of them at a time: after 28 reloads all pairs were there.
POLICIES = 7
RELOADS_OF_AN_ENGINE = 2
KERNEL, QUEUE = "kernel", "queue"
ENGINES = {"kernel": (KERNEL,), "queue": (QUEUE,), "both": (QUEUE, KERNEL)}

ADDRESSES: dict[str, tuple[str, str]] = {
    "client": nic_addresses(1, 4),
    "server": nic_addresses(2, 4),
    "bulk": nic_addresses(3, 4),
    "internet": (INTERNET_V4, INTERNET_V6),
}
LINKS = {name: f"veth-{name}" for name in ADDRESSES}
# (sender, receiver) of probes.
WAYS = (("internet", "server"), ("client", "server"), ("server", "internet"))
PORTS = tuple(range(5000, 5012))
# Where the long flows go: every other policy denies new ones.
LONG_PORT = 7000
LONG_PORTS = "7000-7002"
ALWAYS_ALLOWED_PORT = 6000  # to the server, for what must not arrive because of its form alone
CONNECT_PORTS = (5100, 5101, 5102)
_PROTOCOLS = ("Tcp", "Udp", "*")


class InForce(NamedTuple):
    """Which policy decides, and who carries it out."""

    number: int
    engine: str


def at_reload(count: int, engines: tuple[str, ...]) -> InForce:
    """What the reload of this number, the start being 0, brings into force."""
    return InForce(count % POLICIES, engines[count // RELOADS_OF_AN_ENGINE % len(engines)])


@functools.cache
def policy(number: int) -> dict[str, Any]:
    """The policy of a number; names of rules recur, since their counters stay for good."""
    return document(
        [
            subnet_of("front", 1, "front"),
            subnet_of("back", 2, "back"),
            subnet_of("bulk", 3, "bulk"),
        ],
        [
            nic("client", "front", 4, 1),
            nic("server", "back", 4, 2, networkSecurityGroup="server"),
            nic("bulk", "bulk", 4, 3),
        ],
        {
            "front": _drawn(number, "front", "Outbound"),
            "back": [
                *_drawn(number, "back", "Inbound"),
                rule("Otherwise", 4000, "Inbound", "Allow" if number % 3 else "Deny"),
                *_drawn(number, "back", "Outbound"),
            ],
            "server": [
                *_drawn(number, "server", "Inbound"),
                rule("Otherwise", 4000, "Inbound", "Allow"),
            ],
            "bulk": [
                rule("Long", 100, "Inbound", "Deny" if number % 2 else "Allow", "*", LONG_PORTS)
            ],
        },
    )


def _drawn(number: int, group: str, direction: str) -> list[dict[str, Any]]:
    """Rules about drawn ports, protocols and sources, with answers that differ by policy."""
    drawn = random.Random(f"{number} {group} {direction}")
    rules = []
    if direction == "Inbound":
        rules.append(rule("Always", 100, direction, "Allow", "*", str(ALWAYS_ALLOWED_PORT)))
    for place in range(8):
        ports = sorted(drawn.sample((*PORTS, *CONNECT_PORTS), 4))
        # Every port has some Allow somewhere; the last rules let most of what is left pass.
        access = drawn.choice(("Allow", "Deny"))
        sources = ("*", "Internet", "VirtualNetwork", ADDRESSES["client"][0])
        rules.append(
            rule(
                f"{direction}{place}",
                200 + place,
                direction,
                access,
                drawn.choice(_PROTOCOLS),
                [str(port) for port in ports],
                drawn.choice(sources) if direction == "Inbound" else "*",
            )
        )
    icmp = drawn.choice(("Allow", "Deny"))
    rules.append(rule(f"Ping{direction}", 300, direction, icmp, "Icmp"))
    return rules


@functools.cache
def _oracle(number: int) -> Oracle:
    return Oracle(policy(number))


@functools.cache
def is_allowed(
    number: int, sender: str, receiver: str, version: int, protocol: int, port: int
) -> bool:
    """What the oracle, which shares no code with nsgd, makes of a probe; source ports are free."""
    packet = Packet(
        version,
        protocol,
        ADDRESSES[sender][version == 6],
        ADDRESSES[receiver][version == 6],
        40000 if port else 0,
        port,
        LINKS[sender],
        LINKS[receiver],
    )
    return _oracle(number).judge(packet).access == "Allow"
