"""Small network models that several tests share."""

from __future__ import annotations

from nsgd.model.address import Address, PortRange, Prefix
from nsgd.model.network import (
    NetworkInterface,
    NetworkModel,
    NetworkSecurityGroup,
    Subnet,
    VirtualNetwork,
)
from nsgd.model.rule import (
    Access,
    Direction,
    Protocol,
    SecurityRule,
    ServiceTag,
    TagAddress,
)


def prefixes(*texts: str) -> tuple[Prefix, ...]:
    """Prefixes of texts."""
    return tuple(Prefix.parse(text) for text in texts)


def addresses(*texts: str) -> tuple[Address, ...]:
    """Addresses of texts."""
    return tuple(Address.parse(text) for text in texts)


ALLOW_HTTP = SecurityRule(
    name="AllowHttp",
    priority=100,
    direction=Direction.INBOUND,
    access=Access.ALLOW,
    protocol=Protocol.TCP,
    source=TagAddress(ServiceTag.INTERNET),
    destination_ports=(PortRange(80, 80), PortRange(443, 443)),
)

# A web subnet with a group, and two NICs: web1 bound to a link, with a group of its own that
# denies outbound SMTP; router forwards.
SMALL = NetworkModel(
    virtual_networks=(
        VirtualNetwork(
            "lab",
            prefixes("10.0.0.0/16", "fd00:10::/48"),
            subnets=(
                Subnet("web", prefixes("10.0.1.0/24", "fd00:10:0:1::/64"), "web"),
                Subnet("open", prefixes("10.0.2.0/25")),
            ),
        ),
    ),
    network_interfaces=(
        NetworkInterface(
            "web1",
            "lab",
            "web",
            addresses("10.0.1.4", "fd00:10:0:1::4"),
            link="veth-web1",
            network_security_group="nic",
        ),
        NetworkInterface("web2", "lab", "web", addresses("10.0.1.5"), link="veth-web2"),
        NetworkInterface(
            "router",
            "lab",
            "open",
            addresses("10.0.2.4"),
            link="veth-router",
            enable_ip_forwarding=True,
        ),
    ),
    network_security_groups=(
        NetworkSecurityGroup("web", (ALLOW_HTTP,)),
        NetworkSecurityGroup(
            "nic",
            (
                ALLOW_HTTP,
                SecurityRule(
                    "DenySmtp",
                    200,
                    Direction.OUTBOUND,
                    Access.DENY,
                    Protocol.TCP,
                    destination_ports=(PortRange(25, 25),),
                ),
            ),
        ),
    ),
)
