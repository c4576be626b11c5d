"""Azure services in a subnet that keep security admin rules from it, as Azure's JSON tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nsgd.azure.context import Context
from nsgd.azure.fields import Fields, fold
from nsgd.azure.origins import Piece, Written
from nsgd.azure.rule_text import Json
from nsgd.model.admin import AzureService

# Names that Azure requires of the subnets of these services and of no other. A gateway's may be of
# either kind, which is the same to security admin rules.
_BY_NAME: Mapping[str, AzureService] = {
    "gatewaysubnet": AzureService.VPN_GATEWAY,
    "azurebastionsubnet": AzureService.BASTION,
    "azurefirewallsubnet": AzureService.FIREWALL,
    "azurefirewallmanagementsubnet": AzureService.FIREWALL,
    "routeserversubnet": AzureService.ROUTE_SERVER,
}
_DELEGATIONS: Mapping[AzureService, str] = {
    AzureService.SQL_MANAGED_INSTANCE: "Microsoft.Sql/managedInstances",
    AzureService.DATABRICKS: "Microsoft.Databricks/workspaces",
}
_BY_DELEGATION = {fold(name): service for service, name in _DELEGATIONS.items()}


def put_services(piece: Piece, fields: Fields, context: Context) -> None:
    """Set ``services`` of a subnet where there are some."""
    found: dict[str, Written] = {}
    for service, where in _services(fields):
        found.setdefault(service.value, where)
    if not found:
        return
    piece.put_list("services", list(found.items()), next(iter(found.values())))
    gateway = found.get(AzureService.APPLICATION_GATEWAY.value)
    if gateway is not None:
        context.findings.note(
            gateway,
            "security admin rules are not applied in the subnet of an application gateway; Azure"
            " applies them if all gateways in it have network isolation, which is not said here",
        )


def _services(fields: Fields) -> Iterator[tuple[AzureService, Written]]:
    name = fields.get("name")
    by_name = _BY_NAME.get(fold(name)) if isinstance(name, str) else None
    if by_name is not None:
        yield by_name, fields.where("name")
    delegations = fields.get("delegations")
    for index, entry in enumerate(delegations if isinstance(delegations, list) else ()):
        text = _service_name(entry)
        service = _BY_DELEGATION.get(fold(text)) if isinstance(text, str) else None
        if service is not None:
            yield service, fields.where("delegations").at(index)
    key = "applicationGatewayIPConfigurations"
    if fields.get(key):
        yield AzureService.APPLICATION_GATEWAY, fields.where(key)


def _service_name(delegation: object) -> object:
    """``serviceName``, under ``properties`` or beside it."""
    if not isinstance(delegation, dict):
        return None
    inner = delegation.get("properties")
    return (inner if isinstance(inner, dict) else delegation).get("serviceName")


def delegations_of(services: tuple[AzureService, ...]) -> list[Json]:
    """The delegations of a subnet that has these services."""
    return [
        {"name": service.value, "properties": {"serviceName": _DELEGATIONS[service]}}
        for service in services
        if service in _DELEGATIONS
    ]


def is_told_by_name(name: str, service: AzureService) -> bool:
    """Tell whether a subnet's name says that a service is in it."""
    return _BY_NAME.get(fold(name)) is service
