"""Whatever Azure's JSON is made into: a policy or a refusal with places, and nothing else."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nsgd.azure.export import rest_resources
from nsgd.azure.native import native_document
from nsgd.config.load import Document, load_documents
from nsgd.config.problem import ConfigRefused
from tests.azure.resources import (
    asg,
    configuration,
    flatten,
    nic,
    nsg,
    ref,
    resource,
    rule,
    scale_set,
    scale_set_interface,
    subnet,
    vnet,
)

GROUP = ref("networkSecurityGroups", "web")
MEMBERS = {"sourceApplicationSecurityGroups": [ref("applicationSecurityGroups", "WebServers")]}
SEED: list[Any] = [
    asg(),
    nsg(rule(), rule("B", priority=200, sourceAddressPrefix=None, **MEMBERS)),
    vnet(
        subnet(networkSecurityGroup=GROUP, routeTable=ref("routeTables", "r")),
        virtualNetworkPeerings=[
            {"name": "p", "properties": {"remoteVirtualNetwork": ref("virtualNetworks", "spoke")}}
        ],
    ),
    vnet(name="spoke", space="10.1.0.0/16"),
    nic(configuration(None), networkSecurityGroup=GROUP),
    resource("routeTables", "r", {"routes": [{"properties": {"addressPrefix": "0.0.0.0/0"}}]}),
    scale_set(scale_set_interface()),
    {"value": [nic(configuration("10.0.1.9"), name="web2")]},
]  # fmt: skip
del SEED[3]["properties"]["subnets"]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.text(max_size=8),
    st.sampled_from(["*", "", "10.0.1.0/24", "10.0.1.4", "Internet", GROUP["id"], "web", "a/b"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["id", "name", "type", "properties", "value", "ID", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside."""
    found = [path] if path else []
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        found += places(child, (*path, key))
    return found


PLACES = places(SEED)


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path, or None where a change before took it away."""
    for key in path:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


@st.composite
def mutated(draw: st.DrawFn) -> list[Any]:
    """The seed with a few values changed, removed, or given twice; perhaps as az prints it."""
    tree = copy.deepcopy(SEED)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PLACES))
        parent = at(tree, path[:-1])
        action = draw(st.sampled_from(["set", "remove", "twice"]))
        if isinstance(parent, dict):
            if action == "remove":
                parent.pop(path[-1], None)
            elif action == "twice":
                parent[str(path[-1]).upper()] = copy.deepcopy(parent.get(path[-1]))
            else:
                parent[path[-1]] = draw(VALUES)
        elif isinstance(parent, list) and isinstance(path[-1], int) and path[-1] < len(parent):
            if action == "remove":
                del parent[path[-1]]
            elif action == "twice":
                parent.append(copy.deepcopy(parent[path[-1]]))
            else:
                parent[path[-1]] = draw(VALUES)
    return tree


def judge(documents: list[Any]) -> bool:
    """Load, and print what was taken; whether it was."""
    written = [Document(f"d{i}", json.dumps(d).encode()) for i, d in enumerate(documents)]
    try:
        loaded = load_documents(written)
    except ConfigRefused:
        return False
    text = json.dumps(native_document(loaded.model, loaded.settings, loaded.reading))
    assert load_documents([Document("again", text.encode())]).model == loaded.model
    rest_resources(loaded.model)
    return True


def test_the_seed_is_right() -> None:
    """What is mutated is a policy."""
    assert judge([SEED])
    assert judge([flatten(SEED)])


@settings(max_examples=400, deadline=None)
@given(mutated(), st.booleans())
def test_mutated_documents(tree: list[Any], is_joined: bool) -> None:
    """A policy or a refusal; as one document and as several."""
    judge([tree] if is_joined else tree)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_anything_beside_a_resource(value: object) -> None:
    """Whatever stands in a list beside a resource, and under properties."""
    judge([[nsg(rule()), value]])
    judge([{"type": "Microsoft.Network/networkSecurityGroups", "name": "x", "properties": value}])
