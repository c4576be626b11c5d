"""Documents that did not change: what Azure's JSON becomes is worked out anew each time."""

from __future__ import annotations

import json

import pytest

from nsgd.config.load import Document, ReadDocuments, load_documents
from nsgd.config.problem import ConfigRefused
from tests.azure.resources import configuration, nic, nsg, rule, vnet

OVERLAY = {
    "networkInterfaces": [
        {"name": "web1", "link": "veth1"},
        {"name": "own", "subnet": "hub/web", "privateIPAddresses": ["10.0.1.5"]},
    ]
}
WHOLE = {
    "networkInterfaces": [{"name": "web1", "subnet": "hub/web", "privateIPAddresses": ["10.0.1.7"]}]
}


def documents(*contents: object) -> list[Document]:
    """Documents of values."""
    return [Document(f"d{i}", json.dumps(content).encode()) for i, content in enumerate(contents)]


def test_every_reload_is_as_a_fresh_reading() -> None:
    """Addresses, overlays and names depend on the other documents."""
    dynamic = nic(configuration(None), name="dynamic")
    static = nic(configuration("10.0.1.4"), name="static")
    own = {"networkInterfaces": [OVERLAY["networkInterfaces"][1]]}
    before = ReadDocuments()
    for contents in (
        (vnet(), dynamic),
        (vnet(), dynamic, static),
        (vnet(), dynamic),
        (vnet(), nic(), OVERLAY),
        (vnet(), nic(), OVERLAY, dynamic),
        (vnet(), nic(), own, WHOLE | {"networkInterfaces": []}),
        (vnet(), WHOLE),
        (nsg(rule()), nsg(rule(), group="b"), vnet()),
        (nsg(rule()), vnet()),
    ):
        fresh = load_documents(documents(*contents))
        assert load_documents(documents(*contents), before) == fresh
        assert load_documents(documents(*contents), before) == fresh


def test_an_overlay_is_not_kept_without_what_it_adds() -> None:
    """Once the resource is gone, the entry lacks its subnet: that is told, and not forgotten."""
    before = ReadDocuments()
    load_documents(documents(vnet(), nic(), OVERLAY), before)
    with pytest.raises(ConfigRefused, match="subnet is missing"):
        load_documents(documents(vnet(), OVERLAY), before)
