"""One line on each key of a document, for those who write one in an editor."""

from __future__ import annotations

from collections.abc import Mapping

from nsgd.config.addresses import BUILT_IN_TAGS

_SIDE = {
    "AddressPrefix": "'*', an address, a prefix, or a service tag: "
    f"{', '.join(BUILT_IN_TAGS)}, or one of Microsoft's file",
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
    "networkSecurityGroups": "Lists of rules, attached to subnets and network interfaces; under "
    "limits, how many there may be",
    "applicationSecurityGroups": "Named sets of network interfaces, or those that a NIC is in; "
    "under limits, how many there may be",
    "serviceTags": "Which of Microsoft's service tags files is used; in one document at most",
    "limits": "Azure's limits, where yours are higher; in one document at most",
    "daemon": "How this host runs the policy; in one document at most",
    "scaleSets": "Instances that come and go, by the prefixes of their addresses",
    "platformAddresses": "Where the services of Azure's platform are; in one document at most",
    "subscription": "Decides whether SMTP may be sent to the Internet; in one document at most",
    "dialect": "Network security groups as Azure has them now, or had them in 2017, or in its "
    "classic deployment model; the same in all documents",
    "virtualMachines": "Classic machines, which groups attach to; under a cloud service, the names "
    "of its own",
    "cloudServices": "Classic cloud services, whose group is that of each of their machines",
    "roleInstances": "Machines of the cloud service that are declared here",
    # Platform addresses and the subscription
    "host": "Addresses of DHCP, DNS, health probes and the agent; may be []",
    "metadata": "Addresses of the instance metadata service; may be []",
    "keyManagement": "Addresses of the key management service; may be []",
    "loadBalancer": "What AzureLoadBalancer stands for; may be []",
    "kind": "The subscription's offer",
    "created": "The day on which it was created, as YYYY-MM-DD",
    "smtpExempted": "From this day on new resources may send SMTP; EnterpriseDevTest only",
    # Virtual networks and subnets
    "addressSpace": "Prefixes of the network; they do not overlap one another",
    "subnets": "Subnets inside the address space",
    "peerings": "Names of other networks; a peering counts where both sides declare it",
    "onPremises": "Prefixes behind the network's gateway",
    "routes": "Prefixes of user-defined routes, a subnet's or all; they widen VirtualNetwork",
    "flowTimeoutInMinutes": "Flows of TCP and UDP that are idle for so long end",
    "addressPrefix": "The prefix of a subnet that has one",
    "addressPrefixes": "The prefixes of a subnet",
    "networkSecurityGroup": "The name of the group that is attached here",
    "allowGatewayTransit": "Let the peer reach what is behind this network's gateway",
    "useRemoteGateways": "Reach what is behind the peer's gateway",
    # Network interfaces
    "subnet": "Its subnet, as NETWORK/SUBNET, or SUBNET where only one has the name",
    "privateIPAddresses": "Its addresses, inside its subnet and outside Azure's reserved ones",
    "privateIPAddressPrefixes": "Whatever address in them no NIC has is an instance",
    "link": "The Linux link that leads to this NIC and to nothing else",
    "enableIPForwarding": "Whether it may send from addresses that are not its own",
    "virtualNetwork": "The network that all members are in",
    # Rules
    "securityRules": "The group's own rules",
    "defaultSecurityRules": "Azure's six default rules as its answers repeat them; not changeable",
    "flushConnection": "Judge open flows again when the rules change",
    "priority": "Unique in the group or rule collection and direction; the lowest number that "
    "matches decides",
    "direction": "Seen from the network interface",
    "access": "What happens to a flow that matches",
    "protocol": "In a rule '*' is every IP protocol, and Icmp is ICMPv6 too",
    "description": "Free text",
    # Security admin rules
    "securityAdminConfigurations": "Rules that virtual networks have ahead of every group",
    "ruleCollections": "Rules, and the virtual networks that they apply to",
    "appliesTo": "Names of virtual networks",
    "rules": "Security admin rules",
    "sources": "Prefixes and service tags, any of which may match; or '*' alone",
    "destinations": "Prefixes and service tags, any of which may match; or '*' alone",
    "applyOnNetworkIntentPolicyBasedServices": "Which rules apply in a network with SQL Managed "
    "Instance or Databricks; AllowRulesOnly leaves out those that deny",
    "services": "Azure services in the subnet, for which security admin rules are not applied: "
    "there, or with SqlManagedInstance and Databricks in the whole network",
    **{
        f"{side}{key}": f"{side.capitalize()}: {meaning}"
        for side in ("source", "destination")
        for key, meaning in _SIDE.items()
    },
    # Which service tags
    "cloud": "The cloud, as Microsoft's file names it",
    # The limits section
    "securityRulesPerNetworkSecurityGroup": "Rules of one network security group",
    "addressesPerSide": "Addresses and prefixes of all sources, and of all destinations, in the "
    "rules of one network security group",
    "applicationSecurityGroupsPerNetworkInterface": "Groups that one NIC is in",
    "applicationSecurityGroupsPerRuleSide": "Groups on one side of a rule",
    "applicationSecurityGroupsPerNetworkSecurityGroup": "Different application security groups in "
    "all rules of one network security group",
    "ipConfigurationsPerApplicationSecurityGroup": "Addresses of all NICs in one group",
    "peeringsPerVirtualNetwork": "Peerings of one network",
    "privateIPAddressesPerVirtualNetwork": "Addresses of all NICs in one network",
    # The daemon section
    "roles": "Whose traffic is guarded: gateway, what is forwarded; host, the machine's own",
    "engine": "Who decides first packets: a worker behind NFQUEUE, or the kernel by nftables",
    "failureMode": "New flows while nobody decides them: closed drops them, open lets them pass",
    "mode": "Whether verdicts are carried out, or only counted",
    "onStop": "Whether the rules stay when the daemon is stopped in good order",
    "existingFlows": "Flows that are open at the first start: adopted, or judged like new ones",
    "adoptSeconds": "How long open flows are adopted after the first start",
    "failsafe": "Traffic that passes ahead of every rule, with its answers",
    "unmanagedTraffic": "Forwarded traffic that touches nothing declared",
    "metricsListen": "Where Prometheus scrapes, as host:port; port 0 takes any free one",
    "metricsDetail": "Which metrics there are: full; rules, without those of each NIC; summary, "
    "without those of each rule as well",
    "queues": "Workers, each with a queue of its own, from queueNumber on",
    "queueNumber": "NFQUEUE number of this network namespace; the first of several queues",
    "queueLength": "Packets that may wait for a decision, in each queue",
    "flowLog": "Writes flows down as Azure's flow logs do; off where it is absent",
    "enabled": "Whether the setting holds; true where it is not said",
    "path": "The flow log's directory; for jsonLines a file or a pipe",
    "format": "azure writes version 4 in Azure's layout of files, jsonLines a record a line",
    "maxBytes": "Of all the flow log's files together; the oldest make room",
    "retentionPolicy": "How long the flow log's files are kept",
    "days": "Files that are older are removed; 0 keeps them as long as there is room",
    "intervalSeconds": "Time between records of a flow that goes on",
    "flushSeconds": "Time between writes; 60 for azure, 1 for jsonLines",
    "admission": "Limits on new flows ahead of the workers, so that one source cannot take all",
    "flowsPerSecond": "New flows a second, for each queue, up to which no source is limited",
    "sourceFlowsPerSecond": "New flows a second of each source while there are more than that",
    "allowedSourceFlowsPerSecond": "The same of each source that has had a flow allowed lately",
    "sourceBurst": "How many of these may come at once",
    "markMask": "Bits of packet and conntrack mark that nsgd may use, at least 24",
}
