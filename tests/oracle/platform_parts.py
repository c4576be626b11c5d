"""Draw what surrounds the groups: scale sets, the platform's addresses, the subscription."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from .choose import Chooser, Written, cased, chance, maybe_reference, overlaps_any, pick, some

# Days on both sides of 13.8's and of the exemption below, each as SEED and NSG count it.
SUBSCRIPTION_DAYS = ("2018-01-31", "2017-11-15", "2017-11-14", "2016-02-29", "2024-12-31")
EXEMPTED = "2019-05-01"
MACHINE_DAYS = ("2019-05-01", "2019-04-30", "2019-05-02", "2024-02-29")
# Dev/Test is the only one that takes an exemption, so it is drawn most.
KINDS = (
    "EnterpriseDevTest",
    "EnterpriseDevTest",
    "PayAsYouGo",
    "EnterpriseAgreement",
    "EnterpriseDevTest",
    "MSDN",
    "AzurePass",
    "AzureInOpen",
    "Education",
    "BizSpark",
    "FreeTrial",
    "CloudServiceProvider",
)
# For each field of platformAddresses, what a document may say instead of Azure's addresses.
OTHER_ADDRESSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "host": (
        (),
        ("168.63.129.16",),
        ("192.0.2.53",),
        ("168.63.129.16", "fd00:99::53"),
        ("8.8.8.8", "2606:4700::1111"),
    ),
    "metadata": (
        (),
        ("169.254.169.254",),
        ("169.254.169.254", "fd00:ec2::254"),
        ("168.63.129.16",),
    ),
    "keyManagement": (
        (),
        ("20.118.99.224", "40.83.235.53", "23.102.135.246"),
        ("192.0.2.88",),
        ("8.8.8.8", "2a00::1"),
    ),
    "loadBalancer": (
        (),
        ("168.63.129.16", "fe80::1234:5678:9abc"),
        ("fe80::1234:5678:9abc",),
        ("192.0.2.53", "203.0.113.7"),
    ),
}


def draw_scale_sets(
    chooser: Chooser,
    networks: Sequence[Written],
    groups: Sequence[str],
    application_groups: Sequence[Written],
    interfaces: Sequence[Written],
) -> list[Written]:
    """Scale sets whose prefixes lie inside their subnets, apart from one another."""
    scale_sets: list[Written] = []
    # Of every network: where two overlap, another's interface means nothing to a scale set.
    declared = [text for interface in interfaces for text in interface["privateIPAddresses"]]
    for network in networks:
        members = [
            group["name"]
            for group in application_groups
            if group["virtualNetwork"].lower() == network["name"].lower()
        ]
        taken: list[str] = []
        for subnet in network["subnets"]:
            for _ in range(pick(chooser, (0, 0, 0, 1, 1, 2))):
                prefixes: list[str] = []
                for _ in range(1 + chooser.integer(1)):
                    text = _draw_part(chooser, subnet["addressPrefixes"], declared)
                    if not overlaps_any(text, taken):
                        taken.append(text)
                        prefixes.append(text)
                if not prefixes:
                    continue
                scale_set: Written = {
                    "name": f"set{len(scale_sets)}",
                    "subnet": cased(chooser, f"{network['name']}/{subnet['name']}"),
                    "privateIPAddressPrefixes": prefixes,
                }
                maybe_reference(chooser, scale_set, "networkSecurityGroup", groups, 65)
                if members and chance(chooser, 70):
                    scale_set["applicationSecurityGroups"] = [
                        cased(chooser, member) for member in some(chooser, members)
                    ]
                maybe_day(chooser, scale_set, "created", MACHINE_DAYS)
                scale_sets.append(scale_set)
    return scale_sets


def _draw_part(chooser: Chooser, prefixes: Sequence[str], declared: Sequence[str]) -> str:
    """A part of one of a subnet's prefixes, which an interface's address often lies in."""
    block = ipaddress.ip_network(pick(chooser, prefixes))
    length = min(block.prefixlen + pick(chooser, (1, 2, 0, 3, 5, 64)), block.max_prefixlen)
    inside = [text for text in declared if ipaddress.ip_address(text) in block]
    if inside and chance(chooser, 60):
        return str(ipaddress.ip_network(f"{pick(chooser, inside)}/{length}", strict=False))
    count = 1 << (length - block.prefixlen)
    index = min(pick(chooser, (0, 1, count // 2, count - 1)), count - 1)
    first = int(block.network_address) + (index << (block.max_prefixlen - length))
    make = ipaddress.IPv4Address if block.version == 4 else ipaddress.IPv6Address
    return f"{make(first)}/{length}"


def draw_platform_addresses(chooser: Chooser, interfaces: Sequence[Written]) -> Written:
    """Each field absent, emptied, as Azure has it, or other addresses, some of a machine."""
    written: Written = {}
    for field, options in OTHER_ADDRESSES.items():
        if not chance(chooser, 45):
            continue
        if interfaces and chance(chooser, 35):
            written[field] = list(pick(chooser, interfaces)["privateIPAddresses"])
        else:
            written[field] = list(pick(chooser, options))
    return written


def draw_subscription(chooser: Chooser) -> Written:
    """Any kind, on any side of the days that count; an exemption only where there is one."""
    kind = pick(chooser, KINDS)
    written: Written = {
        "kind": cased(chooser, kind),
        "created": SUBSCRIPTION_DAYS[0]
        if not chance(chooser, 40)
        else pick(chooser, SUBSCRIPTION_DAYS),
    }
    if kind == "EnterpriseDevTest" and chance(chooser, 75):
        written["smtpExempted"] = EXEMPTED
    elif chance(chooser, 15):
        written["smtpExempted"] = pick(chooser, (None, ""))
    return written


def maybe_day(chooser: Chooser, owner: Written, field: str, days: Sequence[str]) -> None:
    """A day more often than not, or one of the ways to say none."""
    if chance(chooser, 70):
        owner[field] = pick(chooser, days)
    elif chance(chooser, 10):
        owner[field] = pick(chooser, (None, ""))
