"""What a template can ask of its deployment and of other resources.

Source:
    Azure, Resource functions, Scope functions and Deployment functions for ARM templates.
"""

from __future__ import annotations

from typing import Any

from nsgd.arm.assumed import spell
from nsgd.arm.expression import Call
from nsgd.arm.forms import Evaluate, Form
from nsgd.arm.functions.arguments import need_text
from nsgd.arm.ids import place_prefix
from nsgd.arm.problem import Mistake
from nsgd.arm.scope import PLACEHOLDER_GROUP, Scope
from nsgd.arm.unknown import Origin, PartlyKnown, Unknown, plain, undecided

# The public cloud's; the others differ in each.
_SUFFIXES = {
    "acrLoginServer": ".azurecr.io",
    "azureDatalakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
    "azureDatalakeStoreFileSystem": "azuredatalakestore.net",
    "keyvaultDns": ".vault.azure.net",
    "sqlServerHostname": ".database.windows.net",
    "storage": "core.windows.net",
}


def _partly(scope: Scope, what: str, known: dict[str, Any]) -> PartlyKnown:
    return PartlyKnown(
        Origin.CONTEXT,
        f"{what} is not known before the deployment",
        "say what it is deployed to, or write the value itself",
        scope.run.expression,
        scope.run.path,
        scope.run.document,
        known={key: value for key, value in known.items() if value is not None},
    )


def _resource_group(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    place, context = scope.place, scope.run.context
    if place.resource_group is None:
        raise Mistake(
            "resourceGroup() has no meaning above resource groups",
            "deploy to a resource group, or give its name as a parameter",
        )
    prefix = place_prefix(place)
    is_first = place.resource_group == (context.resource_group or PLACEHOLDER_GROUP)
    return _partly(
        scope,
        "this property of the resource group",
        {
            "id": prefix,
            "name": place.resource_group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": context.location if is_first else None,
        },
    )


def _subscription(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    subscription = scope.place.subscription_id
    if subscription is None:
        raise Mistake(
            "subscription() has no meaning above subscriptions",
            "deploy to a subscription, or give its id as a parameter",
        )
    known: dict[str, Any] = {"subscriptionId": subscription, "id": subscription}
    if not isinstance(subscription, Unknown):
        known["id"] = spell("/subscriptions/", subscription)
    known["tenantId"] = scope.run.context.tenant_id
    return _partly(scope, "this property of the subscription", known)


def _deployment(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    properties: dict[str, Any] = {}
    if scope.template_uri is not None:
        properties["templateLink"] = {"uri": scope.template_uri}
    return _partly(
        scope,
        "this property of the deployment",
        {
            "name": scope.deployment_name,
            "properties": properties,
            "location": scope.run.context.location if scope.place.resource_group is None else None,
        },
    )


def _environment(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    known: dict[str, Any] = {"name": scope.run.context.cloud}
    if scope.run.context.cloud == "AzureCloud":
        known["suffixes"] = _SUFFIXES
        known["resourceManager"] = "https://management.azure.com/"
        known["portal"] = "https://portal.azure.com"
    return _partly(scope, "this property of the cloud", known)


def _tenant(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    return _partly(scope, "this property of the tenant", {"tenantId": scope.run.context.tenant_id})


def _management_group(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    return _partly(scope, "this property of the management group", {})


def _runtime(scope: Scope, name: str) -> Unknown:
    return scope.run.unknown(
        Origin.REFERENCE,
        f"{name}() gives what Azure knows after the deployment",
        "write the value itself, or give it as a parameter",
    )


def _reference(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    values = [evaluate(argument, scope) for argument in call.arguments]
    for value in values:
        if isinstance(value, Unknown):
            return plain(value)
    for value in values[1:]:
        if (unknown := undecided(value)) is not None:
            return unknown
    target = need_text(values[0])
    is_full = len(values) == 3 and str(values[2]).lower() == "full"
    found = scope.resolver.reference(target, is_full) if scope.resolver else None
    runtime = _runtime(scope, "reference")
    if found is None or isinstance(found, Unknown):
        return found or runtime
    return PartlyKnown(
        runtime.origin,
        runtime.why,
        runtime.way_out,
        runtime.expression,
        runtime.path,
        runtime.document,
        known=found,
    )


def _references(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    return _runtime(scope, "references")


def _resource_info(call: Call, scope: Scope, evaluate: Evaluate) -> Any:
    symbol = evaluate(call.arguments[0], scope)
    if (unknown := undecided(symbol)) is not None:
        return unknown
    found = scope.resolver.information(need_text(symbol)) if scope.resolver else None
    return _runtime(scope, "resourceInfo") if found is None else found


FORMS = (
    Form("resourceGroup", _resource_group, 0, 0),
    Form("subscription", _subscription, 0, 0),
    Form("deployment", _deployment, 0, 0),
    Form("environment", _environment, 0, 0),
    Form("tenant", _tenant, 0, 0),
    Form("managementGroup", _management_group, 0, 0),
    Form("reference", _reference, 1, 3),
    Form("references", _references, 1, 3),
    Form("resourceInfo", _resource_info, 1, 1),
)
