"""A routed lab: one gateway, and each host on a veth pair of its own.

Hosts share no layer-2 segment, so all that one sends to another crosses the gateway's forward hook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.model.address import ADDRESS_BITS, IP_VERSIONS, Address, IPVersion
from nsgd.model.network import NetworkModel

HOST_LINK = "eth0"
INNER_LINK = "inner"  # of a host to the one behind it
# On the gateway's end of every link: hosts route through it without a subnet of their own.
GATEWAY_ADDRESSES: dict[IPVersion, str] = {4: "169.254.1.1", 6: "fe80::1"}
_INNER_ADDRESSES: dict[IPVersion, str] = {4: "169.254.1.2", 6: "fe80::2"}
_GATEWAY_PREFIX_LENGTHS: dict[IPVersion, int] = {4: 32, 6: 64}
_DEFAULT_ROUTES: dict[IPVersion, str] = {4: "0.0.0.0/0", 6: "::/0"}
_MAXIMUM_LINK_NAME = 15


@dataclass(frozen=True, slots=True)
class LabHost:
    """A host to build; *link* is its link as the gateway names it, h-NAME where not given.

    One with *behind*, the name of a host before it, has no link to the gateway: it is routed
    through that host, and *link* is that one's.
    """

    name: str
    addresses: tuple[Address, ...]
    link: str | None = None
    behind: str | None = None

    @property
    def gateway_link(self) -> str:
        """Name of the gateway's end of the veth pair."""
        return self.link or f"h-{self.name}"[:_MAXIMUM_LINK_NAME]

    def address(self, version: IPVersion) -> Address | None:
        """The host's first address of a family, which its traffic comes from."""
        return next((a for a in self.addresses if a.version == version), None)


def hosts_of_model(model: NetworkModel) -> list[LabHost]:
    """A host for each network interface that a document declares."""
    return [
        LabHost(interface.name, interface.private_ip_addresses, interface.link)
        for interface in model.network_interfaces
    ]


def topology_problems(hosts: Sequence[LabHost]) -> list[str]:
    """What stands in the way of building these hosts: names, links or addresses used twice."""
    problems = []
    for what, values in (
        ("name", [host.name for host in hosts]),
        ("link", [host.gateway_link for host in hosts if host.behind is None]),
        ("address", [str(address) for host in hosts for address in host.addresses]),
    ):
        twice = sorted({value for value in values if values.count(value) > 1})
        problems += [f"{what} {value} belongs to more than one host of the lab" for value in twice]
    problems += [f"host {host.name} has no address" for host in hosts if not host.addresses]
    problems += [
        f"link {host.gateway_link} is longer than {_MAXIMUM_LINK_NAME} characters"
        for host in hosts
        if len(host.gateway_link) > _MAXIMUM_LINK_NAME
    ]
    return problems


class Topology:
    """The built lab: ``gateway``, and ``namespaces`` by host name."""

    def __init__(self, lab: Lab, hosts: Iterable[LabHost]) -> None:
        """Build it. Raises ValueError with every problem of the list of hosts."""
        self.hosts = tuple(hosts)
        if problems := topology_problems(self.hosts):
            raise ValueError("; ".join(problems))
        self.gateway = lab.namespace("gateway", forwarding=True)
        self.namespaces: dict[str, NetworkNamespace] = {}
        routers = {host.behind for host in self.hosts}
        for host in self.hosts:
            namespace = lab.namespace(host.name, forwarding=host.name in routers)
            self.namespaces[host.name] = namespace
            if host.behind is not None:
                self._put_behind(lab, host, namespace)
                continue
            lab.connect(self.gateway, host.gateway_link, namespace, HOST_LINK)
            self._address(host, namespace, self.gateway, host.gateway_link, GATEWAY_ADDRESSES)

    def _put_behind(self, lab: Lab, host: LabHost, namespace: NetworkNamespace) -> None:
        """Join a host to the one before it, and have the gateway send there what is for it."""
        router = next(each for each in self.hosts if each.name == host.behind)
        between = self.namespaces[router.name]
        lab.connect(between, INNER_LINK, namespace, HOST_LINK)
        self._address(host, namespace, between, INNER_LINK, _INNER_ADDRESSES)
        for address in host.addresses:
            via = router.address(address.version)
            prefix = f"{address}/{ADDRESS_BITS[address.version]}"
            self.gateway.add_route(prefix, router.gateway_link, via=str(via))

    def _address(
        self,
        host: LabHost,
        namespace: NetworkNamespace,
        router: NetworkNamespace,
        link: str,
        router_addresses: Mapping[IPVersion, str],
    ) -> None:
        for version in IP_VERSIONS:
            addresses = [a for a in host.addresses if a.version == version]
            if not addresses:
                continue
            via = router_addresses[version]
            router.add_address(link, f"{via}/{_GATEWAY_PREFIX_LENGTHS[version]}")
            for address in addresses:
                prefix = f"{address}/{ADDRESS_BITS[version]}"
                namespace.add_address(HOST_LINK, prefix)
                router.add_route(prefix, link)
            namespace.add_route(_DEFAULT_ROUTES[version], HOST_LINK, via=via)

    def block(self, ruleset: str) -> None:
        """Load an nft ruleset into the gateway, for tests of the lab itself."""
        self.gateway.run(["nft", "-f", "-"], text_input=ruleset)
