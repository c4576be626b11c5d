"""The policy as a lab runs it: links bound to network interfaces, and settings that fit a lab."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nsgd.azure.native import native_document
from nsgd.config.load import Document, load_documents
from nsgd.config.tag_catalogue import TagSource
from nsgd.lab.candidates import Candidate, Givers
from nsgd.model.address import Address
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonRole, DaemonSettings, Mode
from nsgd.policy.runnable import what_cannot_run

_LOOPBACK = "127.0.0.1"
_ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 (the gateway of a lab is reached by nobody)


class CannotBuild(Exception):
    """No lab can be made of the policy; *reasons* say why, each with a way out."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))


@dataclass(frozen=True, slots=True)
class LabPolicy:
    """*document* is what the daemon of the lab reads; *changes* tell of settings, one a line."""

    model: NetworkModel
    settings: DaemonSettings
    document: bytes
    changes: tuple[str, ...]


def check_buildable(model: NetworkModel) -> None:
    """Raise CannotBuild where no gateway could run the policy, or nothing would be judged.

    A forwarding NIC without a link is none of these: the lab gives it one.
    """
    linked = replace(
        model,
        network_interfaces=tuple(
            replace(nic, link=nic.link or "bound") for nic in model.network_interfaces
        ),
    )
    reasons = what_cannot_run(linked)
    if not any(network.subnets for network in model.virtual_networks):
        reasons.append(
            "no subnet is declared, so there is nothing to build; load the virtual network with"
            " its subnets too"
        )
    if reasons:
        raise CannotBuild(reasons)


def lab_policy(
    model: NetworkModel,
    settings: DaemonSettings,
    reading: Mapping[str, Mapping[str, Any]],
    chosen: Iterable[Candidate],
    givers: Givers,
    tags: TagSource | None,
) -> LabPolicy:
    """Bind the links of the chosen hosts, and write the document.

    Args:
        model: As loaded.
        settings: As loaded.
        reading: Sections that say how documents are read, as loaded.
        chosen: The hosts to build.
        givers: Gives links to forwarding NICs that are not built; none may be without.
        tags: The service tags that the policy was loaded with.

    Raises:
        CannotBuild: The written document is not read as the same policy, which is a defect.
    """
    links = {
        candidate.name: candidate.hosts[0].link
        for candidate in chosen
        if candidate.kind == "network interface"
    }
    interfaces = []
    for nic in model.network_interfaces:
        link = nic.link or links.get(nic.name)
        if link is None and nic.enable_ip_forwarding:
            link = givers.link(nic.name)
        interfaces.append(replace(nic, link=link))
    bound = replace(model, network_interfaces=tuple(interfaces))
    fitted, changes = _fit(settings)
    content = json.dumps(native_document(bound, fitted, reading), indent=1).encode()
    again = load_documents([Document("the lab's document", content)], tags=tags)
    if (again.model, again.settings) != (bound, fitted):
        raise CannotBuild(["the policy cannot be written down and read again as it is"])
    return LabPolicy(bound, fitted, content, tuple(changes))


def _fit(settings: DaemonSettings) -> tuple[DaemonSettings, list[str]]:
    """The document's settings, but for what cannot be in a namespace or would hide verdicts."""
    changes = []
    host = settings.metrics_host
    if host not in _ANY_HOST and not _is_loopback(host):
        settings = replace(settings, metrics_host=_LOOPBACK)
        port = settings.metrics_port
        changes.append(
            f"metricsListen: {_LOOPBACK}:{port} for {host}:{port}, an address that the lab's"
            " gateway does not have"
        )
    if settings.mode is Mode.AUDIT:
        settings = replace(settings, mode=Mode.ENFORCE)
        changes.append("mode: enforce for audit, in which all packets pass")
    if settings.is_host:
        settings = replace(settings, roles=frozenset({DaemonRole.GATEWAY}))
        changes.append("roles: gateway alone, since every network interface is behind the lab's")
    return settings, changes


def _is_loopback(host: str) -> bool:
    try:
        address = Address.parse(host)
    except ValueError:
        return host == "localhost"
    if address.version == 4:
        return address.value >> 24 == 127
    return address.value == 1
