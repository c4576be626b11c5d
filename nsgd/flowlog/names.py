"""What Azure calls things in flow logs: resource ids, ids of access lists, MAC addresses, paths.

Documents name resources and have no subscriptions: ids are made of names, the same each time.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime

from nsgd.flowlog.record import NO_MAC_ADDRESS
from nsgd.model.rule import DEFAULT_SECURITY_RULES

# Azure's own for what no rule of a group decided: no network security group, an adopted flow.
PLATFORM_RULE = "PlatformRule"
NO_ACL = "00000000-0000-0000-0000-000000000000"
CONTAINER = "insights-logs-flowlogflowevent"
FILE_NAME = "PT1H.json"

_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_GROUP = "nsgd"
# Any constant will do: ids must only be the same tomorrow, and on another gateway.
_IDS = uuid.UUID("6f3a1f0e-52b1-5d0c-9a65-1f0a5c0d9480")
_DEFAULT_NAMES = frozenset(rule.name for rule in DEFAULT_SECURITY_RULES)
_DEFAULT_PREFIX = "DefaultRule_"
_USER_PREFIX = "UserRule_"
# Rules that stand ahead of the groups are called so wherever nsgd names them.
_PLATFORM = "platformRules/"
_ADMIN = "securityAdminRules/"
_ID = re.compile(
    r"(?P<scope>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network/)",
    re.IGNORECASE | re.ASCII,
)


def resource_id(kind: str, name: str) -> str:
    """The id of a resource, such as ``virtualNetworks`` and ``lab``, or ``group/lab``."""
    group, _, own = name.rpartition("/")
    return (
        f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/{group or _GROUP}"
        f"/providers/Microsoft.Network/{kind}/{own}"
    )


def flow_log_id(virtual_network: str) -> str:
    """The id of the flow log of a virtual network, in upper case as logs have it."""
    watcher = "networkWatchers/NetworkWatcher_nsgd/flowLogs"
    return resource_id(watcher, f"NetworkWatcherRG/{virtual_network.replace('/', '_')}").upper()


def flow_log_guid(virtual_network: str) -> str:
    """The GUID of the flow log of a virtual network."""
    return str(uuid.uuid5(_IDS, flow_log_id(virtual_network)))


def acl_id(network_security_group: str, rule: str = "") -> str:
    """The GUID of what a rule is in: a network security group, or the network manager.

    *NO_ACL* for what neither decided.
    """
    if network_security_group:
        name = resource_id("networkSecurityGroups", network_security_group)
    elif rule.startswith(_ADMIN):
        name = resource_id("networkManagers", _GROUP)
    else:
        return NO_ACL
    return str(uuid.uuid5(_IDS, name.upper()))


def mac_address(network_interface: str) -> str:
    """An address for a network interface: documents do not say the real one.

    It is of the locally administered kind, so it is nobody's, and the same each time. What is no
    declared interface, and so has no name, has only zeros.
    """
    if not network_interface:
        return NO_MAC_ADDRESS
    digest = hashlib.sha256(network_interface.lower().encode()).hexdigest()
    return f"02{digest[:10]}".upper()


def rule_name(rule: str) -> str:
    """As version 4 writes it: only default rules have a prefix. Empty is what no rule decided."""
    if not rule:
        return PLATFORM_RULE
    if rule.startswith(_PLATFORM):
        return f"{PLATFORM_RULE}_{rule.removeprefix(_PLATFORM)}"
    if rule.startswith(_ADMIN):
        return rule.removeprefix(_ADMIN)
    return f"{_DEFAULT_PREFIX}{rule}" if rule in _DEFAULT_NAMES else rule


def without_user_prefix(rule: str) -> str:
    """A rule of version 1 or 2 as version 4 writes it."""
    return rule.removeprefix(_USER_PREFIX)


def with_user_prefix(rule: str) -> str:
    """A rule of version 4 as versions 1 and 2 write it."""
    has_prefix = rule.startswith((_DEFAULT_PREFIX, PLATFORM_RULE))
    return rule if has_prefix else f"{_USER_PREFIX}{rule}"


def security_group_id(target: str, group: str) -> str:
    """The id of a network security group beside a log's target, in upper case."""
    if "/networksecuritygroups/" in target.lower():
        return target.upper()
    found = _ID.match(target)
    if found is None or "/" in group:
        return resource_id("networkSecurityGroups", group).upper()
    return f"{found['scope']}networkSecurityGroups/{group}".upper()


def hour_path(virtual_network: str, mac: str, time_ms: int) -> str:
    """Where the records of an interface and an hour are, as in a storage account.

    Source:
        Azure, Manage virtual network flow logs, Access flow logs.
    """
    return f"{hour_directory(virtual_network, time_ms)}/{interface_directory(mac)}/{FILE_NAME}"


def hour_directory(virtual_network: str, time_ms: int) -> str:
    """The directory of an hour, with one for each interface."""
    hour = datetime.fromtimestamp(time_ms // 1000, UTC)
    return (
        f"{CONTAINER}/flowLogResourceID={flow_log_id(virtual_network)}/y={hour:%Y}/m={hour:%m}"
        f"/d={hour:%d}/h={hour:%H}/m=00"
    )


def interface_directory(mac: str) -> str:
    """The directory of an interface in that of an hour."""
    return f"macAddress={mac}"


def iso_time(time_ms: int, digits: int = 3) -> str:
    """A time in UTC with 3 digits of a second, or with Azure's 7."""
    seconds, rest = divmod(time_ms, 1000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:03}{'0' * (digits - 3)}Z"
