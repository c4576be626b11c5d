"""One line on each key of a document, for those who write one in an editor."""

from __future__ import annotations

from collections.abc import Mapping

_SIDE = {
    "AddressPrefix": "'*', an address, a prefix, or a service tag",
    "AddressPrefixes": "addresses and prefixes that do not overlap; a tag or '*' only alone",
    "ApplicationSecurityGroups": "up to ten names, instead of prefixes",
    "PortRange": "'*', a port, or a range such as 8000-8080",
    "PortRanges": "ports and ranges; '*' only alone",
}

MEANINGS: Mapping[str, str] = {
    "name": "Compared without case; letters, digits, '_', '.' and '-' where it is declared",
    # The document
    "virtualNetworks": "Address spaces, their subnets and peerings",
    "networkInterfaces": "NICs: the hosts behind this gateway",
    "networkSecurityGroups": "Lists of rules, attached to subnets and network interfaces",
    "applicationSecurityGroups": "Named sets of network interfaces, or those that a NIC is in",
    "daemon": "How this host runs the policy; in one document at most",
    # Virtual networks and subnets
    "addressSpace": "Prefixes of the network; they do not overlap one another",
    "subnets": "Subnets inside the address space",
    "peerings": "Names of other networks; a peering counts where both sides declare it",
    "onPremises": "Prefixes behind the network's gateway",
    "routes": "Prefixes of user-defined routes; they widen VirtualNetwork",
    "addressPrefix": "The prefix of a subnet that has one",
    "addressPrefixes": "The prefixes of a subnet",
    "networkSecurityGroup": "The name of the group that is attached here",
    "allowGatewayTransit": "Let the peer reach what is behind this network's gateway",
    "useRemoteGateways": "Reach what is behind the peer's gateway",
    # Network interfaces
    "subnet": "Its subnet, as NETWORK/SUBNET, or SUBNET where only one has the name",
    "privateIPAddresses": "Its addresses, inside its subnet and outside Azure's reserved ones",
    "link": "The Linux link that leads to this NIC and to nothing else",
    "enableIPForwarding": "Whether it may send from addresses that are not its own",
    "virtualNetwork": "The network that all members are in",
    # Rules
    "securityRules": "The group's own rules",
    "defaultSecurityRules": "Azure's six default rules as its answers repeat them; not changeable",
    "flushConnection": "Judge open flows again when the rules change",
    "priority": "Unique in the group and direction; the lowest number that matches decides",
    "direction": "Seen from the network interface",
    "access": "What happens to a flow that matches",
    "protocol": "In a rule '*' is every IP protocol, and Icmp is ICMPv6 too",
    "description": "Free text",
    **{
        f"{side}{key}": f"{side.capitalize()}: {meaning}"
        for side in ("source", "destination")
        for key, meaning in _SIDE.items()
    },
    # The daemon section
    "roles": "The hooks that are guarded; the forward hook only",
    "engine": "Who decides first packets; a worker behind NFQUEUE",
    "failureMode": "New flows while nobody decides them: closed drops them, open lets them pass",
    "mode": "Whether verdicts are carried out, or only counted",
    "onStop": "Whether the rules stay when the daemon is stopped in good order",
    "existingFlows": "Flows that are open at the first start: adopted, or judged like new ones",
    "adoptSeconds": "How long open flows are adopted after the first start",
    "failsafe": "Traffic that passes ahead of every rule, with its answers",
    "unmanagedTraffic": "Forwarded traffic that touches nothing declared",
    "metricsListen": "Where Prometheus scrapes, as host:port; port 0 takes any free one",
    "queues": "Number of queues",
    "queueNumber": "NFQUEUE number of this network namespace",
    "queueLength": "Packets that may wait for a decision",
    "markMask": "Bits of packet and conntrack mark that nsgd may use, at least 24",
}
