"""The document that a lab's daemon reads, and policies that no lab can be made of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.lab.from_policy import draw
from nsgd.lab.lab_policy import CannotBuild
from nsgd.model.settings import DaemonSettings, Mode
from tests.lab.policies import FORWARDING, NO_GROUP, Json, load, network, nic, subnet


def lab(document: Json, hosts: int = 24) -> Any:
    """The policy of a lab."""
    return draw(load(document), None, hosts, 10, 1).policy


def test_links_are_bound() -> None:
    """The document is read as the same policy, every built NIC with the link that leads to it."""
    policy = lab(NO_GROUP)
    again = load_documents([Document("again", policy.document)])
    assert again.model == policy.model
    assert [nic.link for nic in again.model.network_interfaces] == ["h-a", "h-b"]


def test_a_forwarding_nic_that_is_not_built_has_a_link_too() -> None:
    """Without one no daemon would run the policy."""
    interfaces = [
        *NO_GROUP["networkInterfaces"],
        nic("firewall", "one", "10.5.1.6", enableIPForwarding=True),
    ]
    policy = lab(NO_GROUP | {"networkInterfaces": interfaces}, hosts=2)
    assert [bool(nic.link) for nic in policy.model.network_interfaces] == [False, False, True]


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:9999", "127.1.2.3:9999", "[::1]:9999", "0.0.0.0:0", "localhost:1"]
)
def test_settings_are_respected(listen: str) -> None:
    """All that can be."""
    daemon = {
        "metricsListen": listen,
        "queueNumber": 7,
        "markMask": "0xffffff00",
        "failureMode": "open",
        "unmanagedTraffic": "drop",
        "adoptSeconds": 3,
    }
    policy = lab(NO_GROUP | {"daemon": daemon})
    assert policy.changes == ()
    assert policy.settings == load(NO_GROUP | {"daemon": daemon}).settings
    assert policy.settings != DaemonSettings()


def test_settings_that_a_lab_must_change() -> None:
    """An address that the gateway has not, and audit, in which nothing is seen on the wire."""
    policy = lab(
        NO_GROUP
        | {"daemon": {"metricsListen": "192.0.2.1:9480", "mode": "audit", "roles": ["host"]}}
    )
    assert policy.settings == DaemonSettings(mode=Mode.ENFORCE, metrics_host="127.0.0.1")
    assert [change.partition(":")[0] for change in policy.changes] == [
        "metricsListen",
        "mode",
        "roles",
    ]
    assert json.loads(policy.document).get("daemon") is None  # all as by default


def test_networks_that_overlap_are_refused() -> None:
    """With the reason and the way out that the daemon gives."""
    document = {
        "virtualNetworks": [
            network("one", ["10.0.0.0/16"], subnet("a", "10.0.1.0/24")),
            network("two", ["10.0.0.0/16"], subnet("a", "10.0.1.0/24")),
        ]
    }
    with pytest.raises(CannotBuild, match="one and two overlap, and one gateway cannot tell"):
        lab(document)


def test_a_policy_without_a_subnet_is_refused() -> None:
    """There would be nothing to try."""
    bare = {"virtualNetworks": [{"name": "net", "addressSpace": ["10.0.0.0/16"]}]}
    documents: list[Json] = [{"networkSecurityGroups": [{"name": "g"}]}, bare]
    for document in documents:
        with pytest.raises(CannotBuild, match=r"no subnet is declared.*load the virtual network"):
            lab(document)


def test_forwarding_without_a_link_is_no_reason() -> None:
    """The lab gives it one, though nsgd run would refuse the document."""
    assert all(nic.link for nic in lab(FORWARDING).model.network_interfaces)
