"""The bench's policies as nft rulesets that a person would write: every rule in turn, no classes.

Each network security group is one chain with its rules in order, of which the first that matches
returns: the packet goes on to the next group, and behind the last one its flow gets a mark, by
which later packets pass. NICs are found by one verdict map in each direction.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from nsgd.bench.flows import CLIENT_NETWORK, SERVER_NETWORK
from nsgd.bench.policies import Rule, Size, asg_addresses, group_rules, nic_addresses

_SIDES = ("client", "server")
_NETWORKS = f"{{ {CLIENT_NETWORK}, {SERVER_NETWORK} }}"
_PORTS_OF = {"Tcp": "tcp", "Udp": "udp", "*": "th"}
# Azure's default rules, as far as any of these flows could meet them.
_DEFAULTS = (f"ip saddr {_NETWORKS} ip daddr {_NETWORKS} return", "drop")


def linear_ruleset(policy: str, size: Size) -> str:
    """The text that ``nft -f`` reads."""
    # Sets of application security groups' addresses, by the groups: nft has no "this or that set".
    sets: dict[tuple[str, ...], str] = {}
    chains = {
        f"{side}_{place}": [*_chain(policy, side, size, sets), *_DEFAULTS]
        for side in _SIDES
        for place in ("nic", "subnet")
    }
    chains |= {
        "client_outbound": ["jump client_nic", "jump client_subnet"],
        "client_inbound": list(_DEFAULTS),
        "server_outbound": list(_DEFAULTS),
        "server_inbound": ["jump server_subnet", "jump server_nic"],
        "forward": [
            "type filter hook forward priority filter; policy drop;",
            "ct mark and 0xffff != 0 accept",
            # So that rules for any protocol need not look whether there are ports.
            "meta l4proto != { tcp, udp } drop",
            "ip saddr vmap @outbound",
            "ip daddr vmap @inbound",
            "ct mark set ct mark or 0x1 accept",
        ],
    }
    members = {
        name: addresses for side in _SIDES for name, addresses in asg_addresses(side, size).items()
    }
    lines = ["table inet bench {"]
    for groups, name in sets.items():
        of_set = (address for group in groups for address in members[group])
        lines += _block(f"set {name}", ["type ipv4_addr", _elements(map(_text, of_set))])
    for direction in ("outbound", "inbound"):
        jumps = (
            f"{_text(address)} : jump {side}_{direction}"
            for side in _SIDES
            for address in nic_addresses(side, size)
        )
        lines += _block(f"map {direction}", ["type ipv4_addr : verdict", _elements(jumps)])
    for name, rules in chains.items():
        lines += _block(f"chain {name}", rules)
    return "\n".join([*lines, "}", ""])


def _chain(policy: str, side: str, size: Size, sets: dict[tuple[str, ...], str]) -> Iterator[str]:
    """The rules of a group as text, what they name entered into *sets*."""
    for rule in group_rules(policy, side, size):
        yield f"{' '.join(_matches(rule, side, sets))} return"


def _matches(rule: Rule, side: str, sets: dict[tuple[str, ...], str]) -> Iterator[str]:
    for end, keyword in (("source", "saddr"), ("destination", "daddr")):
        prefixes = _listed(rule, f"{end}AddressPrefix", f"{end}AddressPrefixes")
        groups = tuple(rule.get(f"{end}ApplicationSecurityGroups", ()))
        if prefixes:
            yield f"ip {keyword} {_one_or_set(prefixes)}"
        if groups:
            name = sets.setdefault(groups, f"{side}_groups_{len(groups)}")
            yield f"ip {keyword} @{name}"
    protocol = rule.get("protocol", "*")
    ports = _listed(rule, "destinationPortRange", "destinationPortRanges")
    if ports:
        yield f"{_PORTS_OF[protocol]} dport {_one_or_set(ports)}"
    elif protocol != "*":
        yield f"meta l4proto {_PORTS_OF[protocol]}"


def _listed(rule: Rule, singular: str, plural: str) -> Sequence[str]:
    one = rule.get(singular)
    return [*rule.get(plural, ()), *([one] if one else [])]


def _one_or_set(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{{ {', '.join(texts)} }}"


def _elements(texts: Iterable[str]) -> str:
    return f"elements = {{ {', '.join(texts)} }}"


def _block(name: str, lines: Iterable[str]) -> list[str]:
    return [f"\t{name} {{", *(f"\t\t{line}" for line in lines), "\t}", ""]


def _text(address: int) -> str:
    return str(ipaddress.IPv4Address(address))
