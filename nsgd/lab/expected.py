"""Reads the hand-written file that says what must pass: its hosts, services and matrices.

    extraHosts: [{name: internet, addresses: [203.0.113.10]}]
    services: [{name: http, protocol: Tcp, port: 80}, {name: ping, protocol: Icmp}]
    expected:
      http, ping: |
        from \\ to  web  internet
        web        .    A
        internet   D    .

A row sends, a column receives. Every pair of every service must be there: nothing is allowed or
denied for want of a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nsgd.config.parse import parse_document
from nsgd.config.tree import Unreadable
from nsgd.lab.topology import LabHost, topology_problems
from nsgd.lab.traffic import Service
from nsgd.model.address import IP_VERSIONS, Address, IPVersion
from nsgd.model.rule import Access, Protocol

_CELLS = {"A": Access.ALLOW, "D": Access.DENY}
_PROTOCOLS = {p.value.lower(): p for p in (Protocol.TCP, Protocol.UDP, Protocol.ICMP)}
_FAMILIES: dict[str, IPVersion] = {"ipv4": 4, "ipv6": 6}
_SECTIONS = {"extraHosts", "services", "expected"}


class ExpectedRefused(Exception):
    """The file cannot be used; *problems* holds everything that is wrong with it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Expectation:
    """All hosts of the lab, all services, and the access of each (from, to, service) by name."""

    hosts: tuple[LabHost, ...]
    services: tuple[Service, ...]
    access: dict[tuple[str, str, str], Access]


def read_expected(content: bytes, declared: Sequence[LabHost]) -> Expectation:
    """Read the file for a lab of the *declared* hosts and its own. Raises ExpectedRefused."""
    problems: list[str] = []
    try:
        document = parse_document(content)
    except Unreadable as unreadable:
        raise ExpectedRefused([f"{unreadable.message}; {unreadable.way_out}"]) from None
    problems += [f"{mistake.message}; {mistake.way_out}" for mistake in document.mistakes]
    tree = document.tree
    if not isinstance(tree, dict) or not tree.keys() >= _SECTIONS - {"extraHosts"}:
        raise ExpectedRefused(["the file needs the sections services and expected"])
    problems += [f"there is no section {name}" for name in sorted(tree.keys() - _SECTIONS)]
    hosts = [*declared, *_hosts(tree.get("extraHosts", []), problems)]
    problems += topology_problems(hosts)
    services = _services(tree["services"], problems)
    access = _matrices(tree["expected"], hosts, services, problems)
    if problems:
        raise ExpectedRefused(problems)
    return Expectation(tuple(hosts), tuple(services), access)


def _entries(section: object, name: str, problems: list[str]) -> list[dict[str, object]]:
    if not isinstance(section, list) or not all(isinstance(entry, dict) for entry in section):
        problems.append(f"{name} is not a list of objects")
        return []
    return section


def _hosts(section: object, problems: list[str]) -> list[LabHost]:
    hosts = []
    for index, entry in enumerate(_entries(section, "extraHosts", problems)):
        place = f"extraHosts[{index}]"
        name, addresses = entry.get("name"), entry.get("addresses")
        if not isinstance(name, str) or not isinstance(addresses, list):
            problems.append(f"{place} needs a name and a list of addresses")
            continue
        parsed = []
        for text in addresses:
            try:
                parsed.append(Address.parse(str(text)))
            except ValueError:
                problems.append(f"{place}: {text} is not an address")
        hosts.append(LabHost(name, tuple(parsed)))
    return hosts


def _services(section: object, problems: list[str]) -> list[Service]:
    services: list[Service] = []
    for index, entry in enumerate(_entries(section, "services", problems)):
        place = f"services[{index}]"
        name, port = entry.get("name"), entry.get("port", 0)
        protocol = _PROTOCOLS.get(str(entry.get("protocol")).lower())
        families = entry.get("families", list(_FAMILIES))
        if not isinstance(name, str) or protocol is None:
            problems.append(f"{place} needs a name and a protocol, Tcp, Udp or Icmp")
        elif not isinstance(port, int) or (protocol is Protocol.ICMP) != (port == 0):
            problems.append(f"{place}: Tcp and Udp need a port, Icmp has none")
        elif not 0 <= port <= 65535:
            problems.append(f"{place}: port {port} is outside 1-65535")
        elif not isinstance(families, list) or not all(
            str(family).lower() in _FAMILIES for family in families
        ):
            problems.append(f"{place}: families is a list of IPv4 and IPv6")
        elif any(service.name == name for service in services):
            problems.append(f"{place}: there is a service {name} already")
        else:
            chosen = {_FAMILIES[str(family).lower()] for family in families}
            versions = tuple(version for version in IP_VERSIONS if version in chosen)
            services.append(Service(name, protocol, port, versions))
    return services


def _matrices(
    section: object, hosts: Sequence[LabHost], services: Sequence[Service], problems: list[str]
) -> dict[tuple[str, str, str], Access]:
    if not isinstance(section, dict):
        problems.append("expected is not an object of matrices")
        return {}
    names = [host.name for host in hosts]
    access: dict[tuple[str, str, str], Access] = {}
    missing = {service.name for service in services}
    for key, text in section.items():
        pairs = _matrix(str(text), names, f"expected.{key}", problems)
        for service in (part.strip() for part in str(key).split(",")):
            if service not in missing:
                problems.append(f"expected.{key}: {service} is no service, or given twice")
            missing.discard(service)
            access |= {(sender, receiver, service): a for (sender, receiver), a in pairs.items()}
    problems += [f"expected has no matrix for {service}" for service in sorted(missing)]
    return access


def _matrix(
    text: str, names: Sequence[str], place: str, problems: list[str]
) -> dict[tuple[str, str], Access]:
    lines = [line for line in text.splitlines() if line.strip()]
    heading, _, columns_text = (lines or [""])[0].partition("to")
    columns = columns_text.split()
    if heading.split() != ["from", "\\"] or sorted(columns) != sorted(names):
        problems.append(f"{place}: the first line is not 'from \\ to' and every host once")
        return {}
    pairs: dict[tuple[str, str], Access] = {}
    rows = [line.split() for line in lines[1:]]
    if sorted(row[0] for row in rows) != sorted(names):
        problems.append(f"{place}: every host needs one row")
    for sender, *cells in rows:
        if len(cells) != len(columns):
            problems.append(f"{place}: row {sender} has {len(cells)} of {len(columns)} cells")
            continue
        for receiver, cell in zip(columns, cells, strict=True):
            if sender == receiver:
                if cell != ".":
                    problems.append(f"{place}: {sender} to itself is '.', not {cell}")
            elif cell in _CELLS:
                pairs[sender, receiver] = _CELLS[cell]
            else:
                problems.append(f"{place}: {sender} to {receiver} is A or D, not {cell}")
    return pairs
