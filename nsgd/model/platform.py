"""What Azure's platform does around network security groups: its own addresses, and SMTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum

from nsgd.model.address import Address


def _addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(Address.parse(text) for text in texts)


@dataclass(frozen=True, slots=True)
class PlatformAddresses:
    """Addresses of the platform itself; each may be empty, where there is no platform.

    Source:
        Azure, What is IP address 168.63.129.16; Azure Instance Metadata Service; Azure Windows
        VM activation troubleshooting (the KMS addresses). Effective security rules list both
        addresses of the load balancer.
    """

    host: tuple[Address, ...] = _addresses("168.63.129.16")  # DHCP, DNS, health, agent
    metadata: tuple[Address, ...] = _addresses("169.254.169.254")  # IMDS
    key_management: tuple[Address, ...] = _addresses(
        "20.118.99.224", "40.83.235.53", "23.102.135.246"
    )
    load_balancer: tuple[Address, ...] = _addresses("168.63.129.16", "fe80::1234:5678:9abc")


AZURE_PLATFORM = PlatformAddresses()


class SubscriptionKind(Enum):
    """The offers that Azure's rules about SMTP tell apart."""

    ENTERPRISE_AGREEMENT = "EnterpriseAgreement"
    ENTERPRISE_DEV_TEST = "EnterpriseDevTest"
    PAY_AS_YOU_GO = "PayAsYouGo"
    MSDN = "MSDN"
    AZURE_PASS = "AzurePass"  # noqa: S105 # nosec B105 # an offer's name
    AZURE_IN_OPEN = "AzureInOpen"
    EDUCATION = "Education"
    BIZSPARK = "BizSpark"
    FREE_TRIAL = "FreeTrial"
    CLOUD_SERVICE_PROVIDER = "CloudServiceProvider"


@dataclass(frozen=True, slots=True)
class Subscription:
    """Decides whether NICs may send to TCP port 25 of the Internet, ahead of every group."""

    kind: SubscriptionKind
    created: date
    smtp_exempted: date | None = None  # for NICs that were created on this day or later
