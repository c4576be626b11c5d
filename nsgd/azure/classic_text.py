"""Virtual machines and cloud services of the classic deployment model in native documents."""

from __future__ import annotations

from collections.abc import Mapping

from nsgd.azure.rule_text import Json
from nsgd.model.network import CloudService, NetworkModel


def machine_sections(model: NetworkModel, interfaces: Mapping[str, Json]) -> Json:
    """The sections of what the network interfaces of a classic model stand for.

    Args:
        model: Its dialect attaches groups to machines.
        interfaces: Each network interface as a document has it, by name.
    """
    # A machine of a service with a group has that group and cannot have one of its own.
    by_service = {
        name
        for service in model.cloud_services
        if service.network_security_group is not None
        for name in service.virtual_machines
    }
    instances = {name for service in model.cloud_services for name in service.role_instances}
    return {
        "virtualMachines": [
            _without_group(fields) if name in by_service else fields
            for name, fields in interfaces.items()
            if name not in instances
        ],
        "cloudServices": [_service(service, interfaces) for service in model.cloud_services],
    }


def _without_group(fields: Json) -> Json:
    return {key: value for key, value in fields.items() if key != "networkSecurityGroup"}


def _service(service: CloudService, interfaces: Mapping[str, Json]) -> Json:
    fields: Json = {"name": service.name}
    if service.network_security_group is not None:
        fields["networkSecurityGroup"] = service.network_security_group
    if service.virtual_machines:
        fields["virtualMachines"] = list(service.virtual_machines)
    if service.role_instances:
        fields["roleInstances"] = [
            {
                **_without_group(interfaces[name]),
                "name": name.removeprefix(f"{service.name}/"),
            }
            for name in service.role_instances
        ]
    return fields
