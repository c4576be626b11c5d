"""Azure's rule against outbound SMTP, which stands ahead of every network security group."""

from __future__ import annotations

from datetime import date

from nsgd.model.platform import Subscription, SubscriptionKind
from nsgd.model.rule import Access, Direction, Protocol, ServiceTag, TagAddress
from nsgd.policy.address_set import ALL_ADDRESSES
from nsgd.policy.effective import (
    ALL_PORT_RANGES,
    EffectiveSecurityRule,
    NetworkResolver,
    RuleKind,
)
from nsgd.policy.table import CompiledTable, compile_table

_PORT = 25
_FIRST_DAY = date(2017, 11, 15)  # subscriptions of before are not restricted


def is_smtp_blocked(subscription: Subscription | None, created: date | None) -> bool:
    """Tell whether a resource may not send to TCP port 25 of the Internet.

    Args:
        subscription: The resource's; without one nothing is blocked.
        created: When the resource was made; None means before any exemption.

    Source:
        Azure, Network security groups overview, Azure platform considerations. Of Enterprise
        Dev/Test: "port 25 is blocked by default. It's possible to have this block removed"; of all
        offers after it: "No requests to remove the restriction can be made".
    """
    if subscription is None or subscription.created < _FIRST_DAY:
        return False
    if subscription.kind is SubscriptionKind.ENTERPRISE_AGREEMENT:
        return False
    exempted = subscription.smtp_exempted
    return (
        subscription.kind is not SubscriptionKind.ENTERPRISE_DEV_TEST
        or exempted is None
        or created is None
        or created < exempted
    )


def smtp_table(resolver: NetworkResolver) -> CompiledTable:
    """What denies SMTP to the Internet as one network sees it, and is silent on all else."""
    return compile_table("", Direction.OUTBOUND, smtp_rules(resolver))


def smtp_rules(resolver: NetworkResolver) -> tuple[EffectiveSecurityRule, ...]:
    """The rules of that table, in order; the last one is silent."""
    return (
        EffectiveSecurityRule(
            name=f"{RuleKind.PLATFORM.value}/DenySmtpOutBound",
            priority=0,
            access=Access.DENY,
            protocol=Protocol.TCP,
            source=ALL_ADDRESSES,
            source_ports=ALL_PORT_RANGES,
            destination=resolver.addresses(TagAddress(ServiceTag.INTERNET)),
            destination_ports=((_PORT, _PORT),),
            kind=RuleKind.PLATFORM,
        ),
        EffectiveSecurityRule(
            name=f"{RuleKind.PLATFORM.value}/GoOn",
            priority=0,
            access=Access.ALLOW,
            protocol=Protocol.ANY,
            source=ALL_ADDRESSES,
            source_ports=ALL_PORT_RANGES,
            destination=ALL_ADDRESSES,
            destination_ports=ALL_PORT_RANGES,
            kind=RuleKind.PLATFORM,
            is_silent=True,
        ),
    )
