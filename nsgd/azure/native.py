"""Prints a model as one native document, which is read as the same model again."""

from __future__ import annotations

from collections.abc import Mapping

from nsgd.azure.admin_text import native_configuration
from nsgd.azure.classic_text import machine_sections
from nsgd.azure.rule_text import Json, rule_fields, singular_or_plural
from nsgd.model.dialect import NOW, Dialect
from nsgd.model.network import (
    NetworkInterface,
    NetworkModel,
    NetworkSecurityGroup,
    Peering,
    ScaleSet,
    Subnet,
    VirtualNetwork,
)
from nsgd.model.platform import AZURE_PLATFORM, PlatformAddresses, Subscription
from nsgd.model.settings import Admission, DaemonRole, DaemonSettings, Failsafe, FlowLog

_DEFAULTS = DaemonSettings()


def native_document(
    model: NetworkModel,
    settings: DaemonSettings = _DEFAULTS,
    reading: Mapping[str, Mapping[str, object]] | None = None,
) -> Json:
    """The document as plain values, without what is as it would be anyway.

    Args:
        model: What to declare.
        settings: The ``daemon`` section.
        reading: The sections that say how the document is to be read, serviceTags and limits.
    """
    dialect = model.dialect
    interfaces = {nic.name: _interface(nic) for nic in model.network_interfaces}
    sections: Json = {
        "dialect": None if dialect == NOW else dialect.name,
        **{key: dict(section) for key, section in (reading or {}).items()},
        "platformAddresses": _platform(model.platform),
        "subscription": _subscription(model.subscription),
        "virtualNetworks": [_network(network) for network in model.virtual_networks],
        **(
            machine_sections(model, interfaces)
            if dialect.attaches_to_machines
            else {"networkInterfaces": list(interfaces.values())}
        ),
        "scaleSets": [_scale_set(scale_set) for scale_set in model.scale_sets],
        "networkSecurityGroups": [
            _group(group, dialect) for group in model.network_security_groups
        ],
        "applicationSecurityGroups": [
            _present({"name": group.name, "virtualNetwork": group.virtual_network})
            for group in model.application_security_groups
        ],
        "securityAdminConfigurations": [
            native_configuration(each) for each in model.security_admin_configurations
        ],
        "daemon": _settings(settings),
    }
    return {key: section for key, section in sections.items() if section}


def _present(fields: Json) -> Json:
    """The fields that are not absent or as by default."""
    return {key: value for key, value in fields.items() if value not in (None, False, [])}


def _texts(values: tuple[object, ...]) -> list[str]:
    return [str(value) for value in values]


def _network(network: VirtualNetwork) -> Json:
    return _present(
        {
            "name": network.name,
            "addressSpace": _texts(network.address_space),
            "subnets": [_subnet(subnet) for subnet in network.subnets],
            "peerings": [_peering(peering) for peering in network.peerings],
            "onPremises": _texts(network.on_premises),
            "routes": _texts(network.routes),
            "flowTimeoutInMinutes": network.flow_timeout_minutes,
        }
    )


def _subnet(subnet: Subnet) -> Json:
    return _present(
        {
            "name": subnet.name,
            "addressPrefixes": _texts(subnet.address_prefixes),
            "networkSecurityGroup": subnet.network_security_group,
            "services": [service.value for service in subnet.services],
            "routes": _texts(subnet.routes),
        }
    )


def _peering(peering: Peering) -> object:
    fields = _present(
        {
            "name": peering.remote_virtual_network,
            "allowGatewayTransit": peering.allow_gateway_transit,
            "useRemoteGateways": peering.use_remote_gateways,
        }
    )
    return fields if len(fields) > 1 else peering.remote_virtual_network


def _interface(interface: NetworkInterface) -> Json:
    return _present(
        {
            "name": interface.name,
            "subnet": f"{interface.virtual_network}/{interface.subnet}",
            "privateIPAddresses": _texts(interface.private_ip_addresses),
            "link": interface.link,
            "networkSecurityGroup": interface.network_security_group,
            "enableIPForwarding": interface.enable_ip_forwarding,
            "applicationSecurityGroups": list(interface.application_security_groups),
            "created": interface.created and interface.created.isoformat(),
        }
    )


def _scale_set(scale_set: ScaleSet) -> Json:
    return _present(
        {
            "name": scale_set.name,
            "subnet": f"{scale_set.virtual_network}/{scale_set.subnet}",
            "privateIPAddressPrefixes": _texts(scale_set.private_ip_address_prefixes),
            "networkSecurityGroup": scale_set.network_security_group,
            "applicationSecurityGroups": list(scale_set.application_security_groups),
            "created": scale_set.created and scale_set.created.isoformat(),
        }
    )


def _group(group: NetworkSecurityGroup, dialect: Dialect) -> Json:
    return _present(
        {
            "name": group.name,
            "flushConnection": group.flush_connection,
            "securityRules": [
                {"name": rule.name, **rule_fields(rule, lambda name: name, dialect.tag_spellings)}
                for rule in group.security_rules
            ],
        }
    )


def _platform(platform: PlatformAddresses) -> Json:
    """Only what differs from Azure's; an empty list means that there are none."""
    return {
        key: _texts(addresses)
        for key, addresses, azure in (
            ("host", platform.host, AZURE_PLATFORM.host),
            ("metadata", platform.metadata, AZURE_PLATFORM.metadata),
            ("keyManagement", platform.key_management, AZURE_PLATFORM.key_management),
            ("loadBalancer", platform.load_balancer, AZURE_PLATFORM.load_balancer),
        )
        if addresses != azure
    }


def _subscription(subscription: Subscription | None) -> Json:
    if subscription is None:
        return {}
    exempted = subscription.smtp_exempted
    return _present(
        {
            "kind": subscription.kind.value,
            "created": subscription.created.isoformat(),
            "smtpExempted": exempted and exempted.isoformat(),
        }
    )


def _settings(settings: DaemonSettings) -> Json:
    written, default = _all_settings(settings), _all_settings(_DEFAULTS)
    return {key: value for key, value in written.items() if value != default[key]}


def _all_settings(settings: DaemonSettings) -> Json:
    host = settings.metrics_host
    return {
        "roles": [role.value for role in DaemonRole if role in settings.roles],
        "unmanagedTraffic": settings.unmanaged_traffic.value,
        "engine": settings.engine.value,
        "failureMode": settings.failure_mode.value,
        "mode": settings.mode.value,
        "onStop": settings.on_stop.value,
        "existingFlows": settings.existing_flows.value,
        "adoptSeconds": settings.adopt_seconds,
        "failsafe": [_failsafe(failsafe) for failsafe in settings.failsafe],
        "metricsDetail": settings.metrics_detail.value,
        "metricsListen": f"{f'[{host}]' if ':' in host else host}:{settings.metrics_port}",
        "queues": settings.queues,
        "queueNumber": settings.queue_number,
        "queueLength": settings.queue_length,
        "admission": _admission(settings.admission),
        "markMask": f"{settings.mark_mask:#010x}",
        "flowLog": None if settings.flow_log is None else _flow_log(settings.flow_log),
    }


def _flow_log(flow_log: FlowLog) -> Json:
    return {
        "path": flow_log.path,
        "format": flow_log.format.value,
        "maxBytes": flow_log.max_bytes,
        "retentionPolicy": {"days": flow_log.retention_days},
        "intervalSeconds": flow_log.interval_seconds,
        **({} if flow_log.flush_seconds is None else {"flushSeconds": flow_log.flush_seconds}),
    }


def _admission(admission: Admission | None) -> Json:
    if admission is None:
        return {"enabled": False}
    return {
        "flowsPerSecond": admission.per_worker,
        "sourceFlowsPerSecond": admission.per_source,
        "allowedSourceFlowsPerSecond": admission.per_allowed_source,
        "sourceBurst": admission.source_burst,
    }


def _failsafe(failsafe: Failsafe) -> Json:
    sources = _texts(failsafe.sources) or ["*"]
    return {
        "protocol": failsafe.protocol.value,
        **singular_or_plural("sourceAddressPrefix", sources, "es"),
        **singular_or_plural("destinationPortRange", _texts(failsafe.ports), "s"),
    }
