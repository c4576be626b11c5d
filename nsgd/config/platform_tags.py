"""Rules with a tag of platform traffic: they deny, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.config.report import Place, Report
from nsgd.config.wording import show
from nsgd.model.address import ALL_PORTS
from nsgd.model.rule import Access, PlatformService, PlatformTag, Protocol, RuleAddress


def check_platform_tags(
    raw: Mapping[str, Any],
    sides: tuple[RuleAddress | None, RuleAddress | None],
    place: Place,
    report: Report,
) -> None:
    """Report what a rule with such a tag on one of its *sides* may not say.

    Source:
        docs/azure-reference.md, Platform traffic: data-safe-haven issue 992 quotes the service on
        Allow, MicrosoftDocs/azure-docs issue 56942 on DNS: "DNS exfiltration tags must be used with
        "*" as a protocol".
    """
    services = [side.service for side in sides if isinstance(side, PlatformTag)]
    if raw.get("access") is Access.ALLOW:
        report.add(
            place.at("access"),
            f"SecurityRuleInvalidAccessType: a rule with {services[0].value} can only deny",
            "write access: Deny, or remove the rule: what no such rule denies is allowed",
        )
    if PlatformService.DNS not in services:
        return
    dns = PlatformService.DNS.value
    protocol = raw.get("protocol")
    if protocol is not None and protocol is not Protocol.ANY:
        report.add(
            place.at("protocol"),
            f"a rule with {dns} has '*' as protocol, not {show(protocol.value)}",
            "write protocol: '*'; it denies port 53 over TCP and UDP",
        )
    for side in ("source", "destination"):
        singular, plural = f"{side}PortRange", f"{side}PortRanges"
        key = singular if singular in raw else plural
        ports = [raw[key]] if key == singular else raw.get(key, [ALL_PORTS])
        if ports != [ALL_PORTS] and None not in ports:
            shown = ", ".join(str(port) for port in ports[:5])
            report.add(
                place.at(key),
                f"a rule with {dns} has '*' as ports, not {shown}",
                f"write {singular}: '*'; it denies port 53 over TCP and UDP",
            )
