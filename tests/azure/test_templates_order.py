"""Which of a template's resources is deployed last: what dependsOn means, where it is unclear."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from nsgd.arm.scope import LoadLinked
from nsgd.config import deployment_order
from nsgd.config.deployment_order import DeploymentOrder, Last
from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused
from tests.arm.templates import NSG, VNET, deploy, resource, template

DEPLOYMENTS = "Microsoft.Resources/deployments"
WEB = resource(NSG, "web")
UNKNOWN = Last(None)
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


def nested(
    name: str, *inner: object, waits: Sequence[str] = (), **fields: object
) -> dict[str, Any]:
    """A deployment of a nested template, which waits for something."""
    properties = {"mode": "Incremental", "template": template(*inner)}
    return {**resource(DEPLOYMENTS, name, **properties), "dependsOn": list(waits), **fields}


def linked(name: str, **fields: object) -> dict[str, Any]:
    """A deployment of a template behind the link ``a``."""
    properties = {"mode": "Incremental", "templateLink": {"uri": "a"}, **fields.pop("with_", {})}  # type: ignore[dict-item]
    return {**resource(DEPLOYMENTS, name, **properties), **fields}


def last(*resources: object, load_linked: LoadLinked | None = None, **sections: Any) -> Any:
    """Where the last one of the groups called web is declared, or the Last that is not known."""
    found = deploy(*resources, load_linked=load_linked, **sections).resources
    webs = [at for at, one in enumerate(found) if (one.type, one.name) == (NSG, "web")]
    assert len(webs) > 1
    answer = DeploymentOrder(found).last_of(webs)
    # The order in which they are asked about decides nothing.
    assert DeploymentOrder(found).last_of(webs[::-1]) == answer
    if answer.place is None:
        return answer
    return found[answer.place].document, webs.index(answer.place)


FIRST, SECOND, THIRD = (("", at) for at in range(3))


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ("web", SECOND),
        ("WEB", SECOND),
        ("we", UNKNOWN),
        (f"{NSG}/web", SECOND),
        (f"{VNET}/web", UNKNOWN),
        (f"[resourceId('{NSG}', 'web')]", SECOND),
        (f"[resourceId('{NSG.lower()}/', 'Web')]", SECOND),
        (f"[resourceId('{VNET}', 'web')]", UNKNOWN),
        (f"[resourceId('RG', '{NSG}', 'web')]", SECOND),
        (f"[resourceId('other', '{NSG}', 'web')]", UNKNOWN),
        (f"[resourceId('{SUBSCRIPTION}', 'rg', '{NSG}', 'web')]", SECOND),
        (f"[resourceId('22222222-2222-3333-4444-555555555555', 'rg', '{NSG}', 'web')]", UNKNOWN),
        (["web"], UNKNOWN),
        ("w" * 3000, UNKNOWN),
    ],
)
def test_what_names_a_resource(waits: Any, expected: object) -> None:
    """Its name, its type and name, or its id, of which each part counts."""
    assert last(WEB, nested("late", WEB, waits=[waits])) == expected


@pytest.mark.parametrize("kind", [VNET, "Microsoft.Network/applicationSecurityGroups", DEPLOYMENTS])
def test_one_name_of_two_types(kind: str) -> None:
    """Azure wants the id then: the name alone means neither."""
    other = nested("web") if kind == DEPLOYMENTS else resource(kind, "web")
    for waits in (f"{NSG}/web", f"[resourceId('{NSG}', 'web')]"):
        assert last(other, WEB, nested("late", WEB, waits=[waits])) == SECOND
    for waits in (f"{kind}/web", f"[resourceId('{kind}', 'web')]"):
        assert last(other, WEB, nested("late", WEB, waits=[waits])) == UNKNOWN
    assert last(other, WEB, nested("late", WEB, waits=["Web"])) == Last(None, "Web")


def test_the_same_name_in_another_template() -> None:
    """A name means a resource of the same template, wherever else there is one of that name."""
    waiting = {**WEB, "dependsOn": ["step"]}
    step = nested("step", waits=["web"])
    assert last(WEB, step, nested("inner", waiting)) == UNKNOWN
    assert last(WEB, step, nested("inner", step, waiting)) == UNKNOWN
    assert last(WEB, step, nested("inner", waiting, waits=["step"])) == SECOND
    for kind in (NSG, VNET):  # the one of its own template does not wait for web
        inner = nested("inner", resource(kind, "step"), waiting)
        assert last(WEB, step, inner) == UNKNOWN
    for waits in ("web", f"{NSG}/web", f"[resourceId('{NSG}', 'web')]"):
        assert last(nested("one", WEB), nested("late", WEB, waits=[waits])) == UNKNOWN
    assert last(nested("one", WEB), nested("late", WEB, waits=["one"])) == SECOND


def test_deployments_of_one_name_in_two_groups() -> None:
    """An id tells them apart, a name does not."""
    both = [nested("d", WEB, resourceGroup=group) for group in ("a", "b")]

    def late(waits: str) -> Any:
        found = deploy(*both, nested("late", WEB, waits=[waits], resourceGroup="a")).resources
        webs = [n for n, one in enumerate(found) if one.type == NSG and one.resource_group == "a"]
        return DeploymentOrder(found).last_of(webs), webs[-1]

    answer, expected = late(f"[resourceId('a', '{DEPLOYMENTS}', 'd')]")
    assert answer == Last(expected)
    assert late(f"[resourceId('b', '{DEPLOYMENTS}', 'd')]")[0] == UNKNOWN
    assert late("d")[0] == Last(None, "d")
    assert late(f"{DEPLOYMENTS}/d")[0] == Last(None, f"{DEPLOYMENTS}/d")


LOOP = {
    **resource(NSG, "[if(equals(copyIndex(), 0), 'web', 'other')]"),
    "copy": {"name": "groups", "count": 2},
}


@pytest.mark.parametrize(
    ("waits", "expected"),
    [("all", SECOND), ("all[0]", SECOND), ("all[1]", UNKNOWN), ("ALL", UNKNOWN), ("al", UNKNOWN),
     ("groups", SECOND), ("web", SECOND), ("other", UNKNOWN)],
)  # fmt: skip
def test_a_loop(waits: str, expected: object) -> None:
    """By its symbolic name, which counts by case, or its own name all of it is meant."""
    assert last(resources={"all": LOOP, "late": nested("late", WEB, waits=[waits])}) == expected


def test_a_loop_with_the_name_of_another_resource() -> None:
    """Which is meant is not clear; a symbolic name goes before all other names."""
    late = nested("late", WEB, waits=["groups"])
    assert last(LOOP, late) == SECOND
    assert last(LOOP, resource(VNET, "groups"), late) == Last(None, "groups")
    own = {"groups": resource(VNET, "net"), "all": LOOP, "late": late}
    assert last(resources=own) == UNKNOWN


def test_a_loop_of_deployments() -> None:
    """Each iteration has its own template: names inside mean what is in the same one."""
    inner = [WEB, nested("late", WEB, waits=["web"])]
    loop = nested("[concat('d', copyIndex())]", *inner, copy={"name": "l", "count": 2})
    found = deploy({**loop, "resourceGroup": "[concat('g', copyIndex())]"}).resources
    order = DeploymentOrder(found)
    for group in ("g0", "g1"):
        webs = [n for n, one in enumerate(found) if one.type == NSG and one.resource_group == group]
        assert order.last_of(webs) == Last(webs[-1])
    # Which iteration is the last is not known.
    assert last(loop) == UNKNOWN


def test_chains() -> None:
    """What waits for something that waits comes last; the last of several templates as well."""
    steps = [nested(f"d{n}", WEB, waits=[f"d{n - 1}"] if n else ["web"]) for n in range(3)]
    assert last(WEB, *steps) == ("", 3)
    assert last(*steps[::-1], WEB) == FIRST
    assert last(WEB, *steps[1:], nested("d0", waits=["web"])) == THIRD
    del steps[1]["dependsOn"]
    assert last(WEB, *steps) == UNKNOWN
    deep = nested("deep", WEB, nested("deeper", WEB, waits=["web"]), waits=["web"])
    assert last(WEB, deep) == THIRD
    assert last(WEB, nested("other", WEB), deep) == UNKNOWN


def test_resources_inside_another() -> None:
    """They are of the same template, and are named whole."""
    subnet = {**resource("subnets", "s"), "dependsOn": ["web"]}
    net = {**resource(VNET, "net"), "resources": [subnet]}
    for waits in ("net/s", f"{VNET}/net/subnets/s", f"[resourceId('{VNET}/subnets', 'net', 's')]"):
        assert last(WEB, net, nested("late", WEB, waits=[waits])) == SECOND
    for waits in ("net", "s", f"{VNET}/subnets/net/s"):
        assert last(WEB, net, nested("late", WEB, waits=[waits])) == UNKNOWN
    inner = nested("late", nested("later", WEB, waits=["net/s"]), net, waits=["web"])
    assert last(WEB, inner) == SECOND


def test_a_list_that_is_not_whole() -> None:
    """What stands in no deployment that is there has no place in the order."""
    found = deploy(WEB, nested("late", WEB, waits=["web"])).resources
    assert DeploymentOrder(found).last_of((0, 2)) == Last(2)
    assert DeploymentOrder((found[0], found[2])).last_of((0, 1)) == UNKNOWN


def test_a_circle() -> None:
    """Azure refuses it; none of the two is the last."""
    one, other = nested("a", WEB, waits=["b"]), nested("b", WEB, waits=["a"])
    assert last(one, other) == UNKNOWN
    assert last(WEB, nested("late", WEB, waits=["web", "late"])) == UNKNOWN


def test_what_may_not_be_deployed() -> None:
    """Azure removes it from what others wait for, so nothing waits through it."""
    late = nested("late", WEB, waits=["step"])
    for condition, expected in ((True, SECOND), ("[reference('x').a]", UNKNOWN), (False, UNKNOWN)):
        step = {**resource(VNET, "step"), "dependsOn": ["web"], "condition": condition}
        assert last(WEB, step, late) == expected


def test_linked_templates() -> None:
    """Places in one document are none in another."""
    late = nested("late", WEB, waits=["web"])
    link = linked("link", dependsOn=["web"])
    assert last(WEB, link, load_linked=lambda _: template(WEB)) == ("a", 1)
    # The first resource of the linked template is not inside the first of the template itself.
    found = last(late, linked("link"), WEB, load_linked=lambda _: template(WEB))
    assert found == UNKNOWN
    inner = template(resource(VNET, "net"), late, WEB)
    assert last(late, WEB, linked("link", dependsOn=["late"]), load_linked=lambda _: inner) == (
        "a",
        2,
    )


def test_a_template_that_links_to_itself() -> None:
    """Which resources are those of the one inside is not seen: nothing is known then."""
    again = {"parameters": {"n": {"value": 0}}}
    once = {"condition": "[equals(parameters('n'), 1)]"}
    itself = template(
        {**WEB, **once},
        {**resource(VNET, "step"), **once, "dependsOn": ["web"]},
        linked("again", with_=again, **once),
        {**WEB, "condition": "[equals(parameters('n'), 0)]", "dependsOn": ["step"]},
        parameters={"n": {"type": "int", "defaultValue": 1}},
    )
    assert last(linked("start"), load_linked=lambda _: itself) == UNKNOWN


def test_more_than_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what any template of Azure's needs nothing is known."""
    for length, expected in ((2000, SECOND), (2001, UNKNOWN)):
        step = {**resource(VNET, "s" * length), "dependsOn": ["web"]}
        assert last(WEB, step, nested("late", WEB, waits=["s" * length])) == expected
    late = nested("late", WEB, waits=["web", "x"])
    for most, expected in ((3, SECOND), (2, UNKNOWN)):
        monkeypatch.setattr(deployment_order, "_MOST_WAITS", most)
        assert last(WEB, late) == expected
    # What is looked up in one template is missing in the next.
    deep = nested("deep", WEB, nested("deeper", WEB, waits=["web"]), waits=["web"])
    for most, expected in ((4, THIRD), (3, UNKNOWN)):
        monkeypatch.setattr(deployment_order, "_MOST_WAITS", most)
        assert last(WEB, deep) == expected


# What comes of it, in a whole load.


def load(*resources: object, **sections: object) -> LoadedConfig:
    """Load a template as a user does."""
    tree = {"contentVersion": "1.0.0.0", **template(*resources, **sections)}
    return load_documents([Document("t.json", json.dumps(tree).encode())])


def problems(*resources: object, **sections: object) -> list[str]:
    """What is wrong with a template."""
    with pytest.raises(ConfigRefused) as caught:
        load(*resources, **sections)
    return [str(problem) for problem in caught.value.problems]


def group(priority: int) -> dict[str, Any]:
    """The group web with a rule."""
    rule = {"priority": priority, "direction": "Inbound", "access": "Allow", "protocol": "*",
            "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*",
            "destinationPortRange": "*"}  # fmt: skip
    return resource(NSG, "web", securityRules=[{"name": "r", "properties": rule}])


def network(**properties: object) -> dict[str, Any]:
    """The network net."""
    return resource(VNET, "net", addressSpace={"addressPrefixes": ["10.0.0.0/16"]}, **properties)


def test_an_unclear_name_is_told() -> None:
    """The user did say it with dependsOn, and learns why that is not enough."""
    late = nested("late", group(200), waits=["web"])
    (priority,) = [r.priority for r in load(group(100), late).model.network_security_groups[0]
                   .security_rules]  # fmt: skip
    assert priority == 200
    web = {**network(), "name": "web"}
    (problem,) = problems(group(100), web, late)
    assert problem.endswith(
        "not known which is deployed last; say it with dependsOn by resourceId(), as 'web' may"
        " mean several, or keep one of them"
    )
    (problem,) = problems(group(100), {**late, "dependsOn": []})
    assert problem.endswith("; say it with dependsOn, or keep one of them")


def test_a_network_that_is_deployed_again_without_subnets() -> None:
    """Newer interfaces keep the subnets it has, older ones remove them: not known what is left."""
    subnets = [{"name": "s", "properties": {"addressPrefix": "10.0.0.0/24"}}]
    first = network(subnets=subnets)
    (problem,) = problems(first, nested("late", network(), waits=["net"]))
    assert "'net' is deployed twice, and not known which is deployed last" in problem
    for key, expected in (("subnets", 0), ("Subnets", 0)):
        loaded = load(first, nested("late", network(**{key: []}), waits=["net"]))
        assert len(loaded.model.virtual_networks[0].subnets) == expected
    (net,) = load(network(), nested("late", first, waits=["net"])).model.virtual_networks
    assert len(net.subnets) == 1


def test_subscriptions_compare_without_case() -> None:
    """Two spellings of one subscription are one place."""
    places = ("AAAAAAAA-2222-3333-4444-555555555555", "aaaaaaaa-2222-3333-4444-555555555555")
    both = [
        nested(f"d{n}", group(100 + n), subscriptionId=place, resourceGroup="g")
        for n, place in enumerate(places)
    ]
    (problem,) = problems(*both)
    assert "not known which is deployed last" in problem


def test_a_deployment_is_no_resource_of_its_own() -> None:
    """It is read for what is inside, so no note says that it was passed over; others are."""
    vault = resource("Microsoft.KeyVault/vaults", "v")
    notes = load(nested("late", group(100)), vault).notes
    assert any("Microsoft.KeyVault/vaults" in note for note in notes)
    assert not any(DEPLOYMENTS in note for note in notes)


@pytest.mark.parametrize("key", ["resourceGroup", "subscriptionId"])
def test_a_place_that_is_not_known(key: str) -> None:
    """A group of which it is not known where it lies might be another one; said once, and where."""
    found = problems(nested("d", group(100), **{key: "[reference('x').place]"}))
    start = "t.json:1: resources[0].properties.template.resources[0]: 'web': "
    assert len(found) == 1
    assert found[0].startswith(f"{start}the resource group that it is deployed to is not known: ")
    (found_too,) = problems(
        nested("d", group(100), **{key: "[parameters('p')]"}),
        parameters={"p": {"type": "string"}},
    )
    assert "deployed to is not known: parameter 'p' has neither a value nor a default" in found_too
    # What is refused already is not told again.
    (once,) = problems(nested("d", group(100), **{key: "[variables('v')]"}))
    assert "there is no variable 'v'" in once
    # What decides nothing may lie anywhere.
    load(WEB, nested("d", resource("Microsoft.KeyVault/vaults", "v"), **{key: "[utcNow()]"}))
