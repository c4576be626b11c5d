"""The policies that the answers' hand-written tests ask."""

from __future__ import annotations

from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.question import FlowQuestion, read_question, split_endpoint
from nsgd.model.address import Address
from nsgd.model.network import (
    ApplicationSecurityGroup,
    NetworkInterface,
    NetworkModel,
    ScaleSet,
    Subnet,
    VirtualNetwork,
)
from nsgd.model.rule import SecurityRule
from tests.policy.builders import ALLOW, DENY, INBOUND, OUTBOUND, group, prefixes, rule, subnet


def nic(
    name: str,
    subnet_name: str,
    *addresses: str,
    nsg: str | None = None,
    network: str = "lab",
    asgs: tuple[str, ...] = (),
) -> NetworkInterface:
    """A network interface, of the network lab unless another is named."""
    return NetworkInterface(
        name,
        network,
        subnet_name,
        tuple(Address.parse(text) for text in addresses),
        network_security_group=nsg,
        application_security_groups=asgs,
    )


def network(name: str, *space: str, subnets: tuple[Subnet, ...]) -> VirtualNetwork:
    """A virtual network."""
    return VirtualNetwork(name, prefixes(*space), subnets)


def web_rule(name: str) -> SecurityRule:
    """Allows TCP 80 from anywhere."""
    return rule(name, 100, INBOUND, ALLOW, "Tcp", ports="80")


# Azure's example of how groups work: VM1 has a group at its subnet and one of its own, VM2 the
# subnet's, VM3 its own, VM4 none. An instance of a scale set has both; two networks overlap.
MODEL = NetworkModel(
    (
        network(
            "lab",
            "10.0.0.0/16",
            "fd00:10::/48",
            subnets=(
                subnet("grouped", "10.0.1.0/24,fd00:10:0:1::/64", "Subnet"),
                subnet("open", "10.0.2.0/24"),
            ),
        ),
        network("first", "10.5.0.0/16", subnets=(subnet("s", "10.5.0.0/24", "Subnet"),)),
        network("second", "10.5.0.0/16", subnets=(subnet("s", "10.5.0.0/24"),)),
    ),
    (
        nic("VM1", "grouped", "10.0.1.4", "fd00:10:0:1::4", nsg="Nic", asgs=("Web",)),
        nic("VM2", "grouped", "10.0.1.5"),
        nic("VM3", "open", "10.0.2.4", "10.0.2.5", nsg="Nic"),
        nic("VM4", "open", "10.0.2.6"),
        nic("twin1", "s", "10.5.0.4", network="first"),
        nic("twin2", "s", "10.5.0.4", network="second"),
    ),
    (
        group(
            "Subnet",
            web_rule("AllowWeb"),
            rule("DenyDns", 110, OUTBOUND, DENY, "Udp", ports="53"),
            rule("AllowToWeb", 120, INBOUND, ALLOW, "Tcp", destination="asg:Web", ports="443,8443"),
        ),
        group(
            "Nic",
            web_rule("AllowWebToo"),
            rule(
                "AllowHigh",
                200,
                INBOUND,
                ALLOW,
                "Tcp",
                source="8.8.8.0/24,9.9.9.9",
                source_ports="1024-65535",
                ports="443",
            ),
        ),
    ),
    (ApplicationSecurityGroup("Web", "lab"), ApplicationSecurityGroup("Empty")),
    (ScaleSet("Set", "lab", "grouped", prefixes("10.0.1.32/28"), "Nic"),),
)
POLICY = QuestionedPolicy(MODEL)


def ask(direction: str, protocol: str, local: str, remote: str) -> FlowQuestion:
    """A question in the words of the command."""
    return read_question(
        direction, protocol, *split_endpoint("local", local), *split_endpoint("remote", remote)
    )
