"""Azure's rule against outbound SMTP, which stands ahead of every network security group."""

from __future__ import annotations

from datetime import date

from nsgd.model.dialect import NOW, SmtpTerms
from nsgd.model.platform import Subscription
from nsgd.model.rule import Access, Direction, Protocol, ServiceTag, TagAddress
from nsgd.policy.address_set import ALL_ADDRESSES
from nsgd.policy.effective import (
    ALL_PORT_RANGES,
    GO_ON,
    EffectiveSecurityRule,
    NetworkResolver,
    RuleKind,
)
from nsgd.policy.table import CompiledTable, compile_table

_PORT = 25
_FIRST_DAY = date(2017, 11, 15)  # subscriptions of before are not restricted


def is_smtp_blocked(
    subscription: Subscription | None, created: date | None, terms: SmtpTerms = NOW.smtp
) -> bool:
    """Tell whether a resource may not send to TCP port 25.

    Args:
        subscription: The resource's; without one nothing is blocked.
        created: When the resource was made; None means before any exemption.
        terms: Whom Azure lets send, in the model's dialect.

    Source:
        Azure, Network security groups overview, Azure platform considerations. Of Enterprise
        Dev/Test: "port 25 is blocked by default. It's possible to have this block removed"; of all
        offers after it: "No requests to remove the restriction can be made".
    """
    if subscription is None or subscription.created < _FIRST_DAY:
        return False
    if subscription.kind in terms.unrestricted:
        return False
    exempted = subscription.smtp_exempted
    return (
        subscription.kind not in terms.exemptible
        or exempted is None
        or created is None
        or created < exempted
    )


def smtp_table(resolver: NetworkResolver) -> CompiledTable:
    """What denies SMTP, to the Internet as one network sees it, and is silent on all else."""
    return compile_table("", Direction.OUTBOUND, smtp_rules(resolver))


def smtp_rules(resolver: NetworkResolver) -> tuple[EffectiveSecurityRule, ...]:
    """The rules of that table, in order; the last one is silent."""
    # In 2017: «bloquées vers toutes les ressources».
    is_for_internet_only = resolver.dialect.smtp.is_for_internet_only
    internet = resolver.addresses(TagAddress(ServiceTag.INTERNET))
    return (
        EffectiveSecurityRule(
            name=f"{RuleKind.PLATFORM.value}/DenySmtpOutBound",
            priority=0,
            access=Access.DENY,
            protocol=Protocol.TCP,
            source=ALL_ADDRESSES,
            source_ports=ALL_PORT_RANGES,
            destination=internet if is_for_internet_only else ALL_ADDRESSES,
            destination_ports=((_PORT, _PORT),),
            kind=RuleKind.PLATFORM,
        ),
        GO_ON,
    )
