"""Dialects: network security groups as Azure has them now, and as it had them in 2017.

One description holds all that differs. Who reads it asks for a property and never for a name, so
that a dialect is this table and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nsgd.model.platform import SubscriptionKind
from nsgd.model.rule import Protocol, ServiceTag


@dataclass(frozen=True, slots=True)
class Limit:
    """What Azure grants, and how far it can be raised; without a maximum, to any number."""

    default: int
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class SmtpTerms:
    """Who may send to TCP port 25, of the subscriptions that are not older than the rule."""

    offers: frozenset[SubscriptionKind]  # those that Azure's text names
    unrestricted: frozenset[SubscriptionKind]
    exemptible: frozenset[SubscriptionKind]  # may have an exemption, for what is created later
    is_for_internet_only: bool  # else the port is closed to every destination


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a document may say, and what some of it means.

    *published_tags* are the tags of Microsoft's file that rules may name, and *regional_tags*
    those that they may name with a region; None for the former means any tag of the file.
    """

    name: str
    protocols: tuple[Protocol, ...]
    any_protocol: tuple[Protocol, ...]  # what '*' stands for; empty: every IP protocol
    tag_spellings: Mapping[ServiceTag, str] = field(hash=False)
    limits: Mapping[str, Limit] = field(hash=False)  # by key of the document's limits section
    smtp: SmtpTerms
    published_tags: tuple[str, ...] | None = None
    regional_tags: tuple[str, ...] = ()
    has_platform_tags: bool = True
    has_lists: bool = True  # augmented rules: several prefixes or ports in one
    has_admin_rules: bool = True
    has_application_security_groups: bool = True
    # Groups attach to machines and cloud services, not to network interfaces and scale sets.
    attaches_to_machines: bool = False
    exempts_platform_traffic: bool = True
    virtual_network_holds_host: bool = True
    virtual_network_holds_routes: bool = True

    def spelled(self, name: str) -> ServiceTag | None:
        """The computed tag of a name, compared without case."""
        folded = name.lower()
        return next((t for t, text in self.tag_spellings.items() if text.lower() == folded), None)

    def may_publish(self, name: str) -> bool:
        """Tell whether rules may name a tag of Microsoft's file; compared without case."""
        if self.published_tags is None:
            return True
        folded = name.lower()
        return any(folded == tag.lower() for tag in self.published_tags) or any(
            folded.startswith(f"{tag.lower()}.") for tag in self.regional_tags
        )

    def tag_names(self) -> tuple[str, ...]:
        """The tags that rules may name, where the dialect has a list of them."""
        return (
            *self.tag_spellings.values(),
            *(self.published_tags or ()),
            *(f"{tag}.REGION" for tag in self.regional_tags),
        )


_TCP_UDP_ICMP = (Protocol.TCP, Protocol.UDP, Protocol.ICMP)
_AGREEMENT = frozenset((SubscriptionKind.ENTERPRISE_AGREEMENT,))

# Azure, Network security groups overview and Azure networking limits (docs/azure-reference.md,
# Dialects).
NOW = Dialect(
    name="now",
    protocols=tuple(Protocol),
    any_protocol=(),
    tag_spellings={tag: tag.value for tag in ServiceTag},
    limits={
        "networkSecurityGroups": Limit(5000),
        "securityRulesPerNetworkSecurityGroup": Limit(1000),
        "addressesPerSide": Limit(4000),
        "applicationSecurityGroups": Limit(3000),
        "applicationSecurityGroupsPerNetworkInterface": Limit(20),
        "applicationSecurityGroupsPerRuleSide": Limit(10),
        "applicationSecurityGroupsPerNetworkSecurityGroup": Limit(100),
        "ipConfigurationsPerApplicationSecurityGroup": Limit(4000),
        "peeringsPerVirtualNetwork": Limit(500),
        "privateIPAddressesPerVirtualNetwork": Limit(65536),
    },
    smtp=SmtpTerms(
        offers=frozenset(SubscriptionKind),
        unrestricted=_AGREEMENT,
        exemptible=frozenset((SubscriptionKind.ENTERPRISE_DEV_TEST,)),
        is_for_internet_only=True,
    ),
)

# Azure, Network security overview of 2017-09-19. Pay-as-you-go: «bloquées vers toutes les
# ressources ... Si votre abonnement est exempté, seules les machines virtuelles créées après la
# date d'exemption»; Dev/Test and cloud service providers are not among its offers.
_SMTP_2017 = SmtpTerms(
    offers=frozenset(SubscriptionKind)
    - {SubscriptionKind.ENTERPRISE_DEV_TEST, SubscriptionKind.CLOUD_SERVICE_PROVIDER},
    unrestricted=_AGREEMENT,
    exemptible=frozenset((SubscriptionKind.PAY_AS_YOU_GO,)),
    is_for_internet_only=False,
)

# Azure, Network security overview of 2017-09-19; the limits are those of its time.
DIALECT_2017 = Dialect(
    name="2017",
    protocols=(Protocol.TCP, Protocol.UDP, Protocol.ANY),
    any_protocol=_TCP_UDP_ICMP,
    tag_spellings=NOW.tag_spellings,
    published_tags=("AzureTrafficManager", "Storage"),
    regional_tags=("Storage", "Sql"),
    limits={
        "networkSecurityGroups": Limit(100, 400),
        "securityRulesPerNetworkSecurityGroup": Limit(200, 500),
        "applicationSecurityGroupsPerRuleSide": Limit(1, 1),
        "peeringsPerVirtualNetwork": Limit(10, 50),
        "privateIPAddressesPerVirtualNetwork": Limit(4096, 8192),
    },
    smtp=_SMTP_2017,
    has_platform_tags=False,
    has_admin_rules=False,
    exempts_platform_traffic=False,
    virtual_network_holds_host=False,
    virtual_network_holds_routes=False,
)

# The same page on the classic deployment model.
CLASSIC = replace(
    DIALECT_2017,
    name="classic",
    tag_spellings={
        ServiceTag.VIRTUAL_NETWORK: "VIRTUAL_NETWORK",
        ServiceTag.INTERNET: "INTERNET",
        ServiceTag.AZURE_LOAD_BALANCER: "AZURE_LOADBALANCER",
    },
    published_tags=(),
    regional_tags=(),
    limits={
        "networkSecurityGroups": Limit(100, 200),
        "securityRulesPerNetworkSecurityGroup": Limit(200, 400),
        "privateIPAddressesPerVirtualNetwork": Limit(4096, 4096),
    },
    has_lists=False,
    has_application_security_groups=False,
    attaches_to_machines=True,
)

DIALECTS: Mapping[str, Dialect] = {each.name: each for each in (NOW, DIALECT_2017, CLASSIC)}
