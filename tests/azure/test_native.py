"""What is printed as a native document is read as the same model."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import pytest

from nsgd.azure.native import native_document
from nsgd.azure.yaml_text import to_yaml
from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.yaml_tree import read_yaml
from nsgd.model.address import PortRange
from nsgd.model.network import NetworkModel
from nsgd.model.platform import PlatformAddresses, Subscription, SubscriptionKind
from nsgd.model.rule import Protocol
from nsgd.model.settings import (
    Admission,
    DaemonRole,
    DaemonSettings,
    Engine,
    ExistingFlows,
    Failsafe,
    FailureMode,
    FlowLog,
    FlowLogFormat,
    MetricsDetail,
    Mode,
    OnStop,
    UnmanagedTraffic,
)
from tests.azure.drawn import DRAWN, draw
from tests.config.documents import FULL, TAGS, group, network, rule
from tests.models import SMALL, addresses, prefixes


def read(text: str) -> LoadedConfig:
    """Read one document."""
    return load_documents([Document("d", text.encode())], tags=TAGS)


def check_both(loaded: LoadedConfig, read_again: Callable[[str], LoadedConfig] = read) -> None:
    """JSON and YAML are read as what was printed."""
    document = native_document(loaded.model, loaded.settings, loaded.reading)
    for text in (json.dumps(document), to_yaml(document)):
        again = read_again(text)
        assert again.model == loaded.model
        assert again.settings == loaded.settings
        assert again.reading == loaded.reading


def test_everything() -> None:
    """The document of the config tests, which holds every key that it can."""
    check_both(read(FULL))


EXTRAS = """\
serviceTags: {cloud: AzureGovernment}
limits: {securityRulesPerNetworkSecurityGroup: 2000}
platformAddresses: {host: [], loadBalancer: [168.63.129.16], metadata: [169.254.169.254]}
subscription: {kind: enterprisedevtest, created: 2018-01-31, smtpExempted: 2019-05-01}
virtualNetworks:
  - name: rg-1/hub
    addressSpace: [10.0.0.0/16]
    subnets: [{name: web, addressPrefix: 10.0.1.0/24}]
networkInterfaces:
  - {name: a, subnet: rg-1/hub/web, privateIPAddresses: [10.0.1.40], created: 2020-02-29}
scaleSets:
  - {name: s, subnet: web, privateIPAddressPrefixes: [10.0.1.32/27, 10.0.1.64/27],
     networkSecurityGroup: g, applicationSecurityGroups: [a], created: 2020-01-01}
networkSecurityGroups:
  - name: g
    flushConnection: true
    securityRules:
      - {name: A, priority: 100, direction: Outbound, access: Deny, protocol: '*',
         sourceAddressPrefix: '*', sourcePortRange: '*', destinationPortRange: '*',
         destinationAddressPrefix: azureplatformdns}
      - {name: B, priority: 101, direction: Outbound, access: Deny, protocol: Udp,
         sourceAddressPrefix: AzureLoadBalancer, sourcePortRanges: [0-65535, '5'],
         destinationPortRange: 0-65535, destinationAddressPrefix: onlyhere,
         description: "line\\nanother: 'quoted' \\"twice\\" # \\u00e9 \\U0001f600"}
applicationSecurityGroups: [{name: a}]
"""


def test_the_rest() -> None:
    """Every key that it has not."""
    loaded = read(EXTRAS)
    assert loaded.model.service_tags
    assert loaded.model.platform.host == ()
    check_both(loaded)


@pytest.mark.parametrize(
    "settings",
    [
        DaemonSettings(),
        DaemonSettings(
            UnmanagedTraffic.DROP,
            Engine.KERNEL,
            FailureMode.OPEN,
            Mode.AUDIT,
            OnStop.REMOVE,
            ExistingFlows.JUDGE,
            5,
            (
                Failsafe(Protocol.TCP, (PortRange(22, 22),)),
                Failsafe(Protocol.UDP, (PortRange(1, 2), PortRange(5, 5)), prefixes("10.0.0.0/8")),
                Failsafe(Protocol.UDP, (PortRange(1, 2),), prefixes("10.0.0.0/8", "::1")),
            ),
            "::1",
            0,
            7,
            512,
            0x00FFFFFF,
            frozenset(DaemonRole),
            FlowLog("/var/log/nsgd", FlowLogFormat.JSON_LINES, 1 << 21, 0, 60, 5),
            4,
            Admission(1, 2, 3, 4),
            MetricsDetail.SUMMARY,
        ),
        DaemonSettings(flow_log=FlowLog("/var/log/nsgd")),
        DaemonSettings(admission=None),
    ],
)
def test_settings(settings: DaemonSettings) -> None:
    """The daemon section keeps every setting that is not as by default."""
    loaded = read(to_yaml(native_document(SMALL, settings)))
    assert loaded.settings == settings
    assert loaded.model == SMALL


def test_what_is_as_by_default_is_left_out() -> None:
    """A short model is a short document."""
    loaded = read(json.dumps({"virtualNetworks": [network()]}))
    assert native_document(loaded.model, loaded.settings, loaded.reading) == {
        "virtualNetworks": [
            {
                "name": "lab",
                "addressSpace": ["10.0.0.0/16"],
                "subnets": [{"name": "web", "addressPrefixes": ["10.0.1.0/24"]}],
            }
        ]
    }
    assert native_document(NetworkModel()) == {}


def test_platform_and_subscription() -> None:
    """Emptied lists stay; without an exemption there is none."""
    model = NetworkModel(
        platform=PlatformAddresses((), (), (), addresses("10.0.0.9")),
        subscription=Subscription(SubscriptionKind.MSDN, date(2017, 11, 14)),
    )
    assert native_document(model) == {
        "platformAddresses": {
            "host": [], "metadata": [], "keyManagement": [], "loadBalancer": ["10.0.0.9"]
        },
        "subscription": {"kind": "MSDN", "created": "2017-11-14"},
    }  # fmt: skip
    assert read(to_yaml(native_document(model))).model == model


@pytest.mark.parametrize("number", range(DRAWN))
def test_random_models(number: int) -> None:
    """Documents that the oracle's generator draws."""
    drawn = draw(f"native-{number}")
    loaded = drawn.load()
    check_both(loaded, drawn.load)


AWKWARD = [
    "a", "true", "No", "null", "~", "", " ", "1", "0x10", "1e3", "1.5", "08", "2018-01-31",
    "10:30", "80-90", "*", "&a", "!t", "%d", "@x", "`x", "- a", "a: b", "a #b", "{a", "[a", "a,b",
    "'", '"', "\\", "it's", "line\nbreak", "tab\t", "é", "\U0001f600", "<<", "=", "?", "fd00::/48",
    "10.0.0.0/8", "10.0.0.4", "a/b.c-d_e", "y", "ON", "-", "---", "...",
]  # fmt: skip


@pytest.mark.parametrize("text", AWKWARD)
def test_text_stays_text(text: str) -> None:
    """For nsgd's reader, and for a YAML 1.1 reader that guesses types."""
    import yaml

    document = {"plain": text, "list": [text, text], "objects": [{"a": text}, {text or "b": 1}]}
    written = to_yaml(document)
    assert read_yaml(written) == (document, [])
    assert yaml.safe_load(written) == document


def test_long_lists_are_broken() -> None:
    """No line is much longer than an editor is wide."""
    values = [f"10.0.{i}.0/24" for i in range(50)]
    document = {"a": {"b": values}, "c": [], "d": {}, "e": [{"f": values, "g": [1, None, True]}]}
    written = to_yaml(document)
    assert max(map(len, written.splitlines())) <= 100
    assert read_yaml(written) == (document, [])
    assert to_yaml({}) == "{}\n"


def test_a_group_alone() -> None:
    """References that lead nowhere do not arise."""
    check_both(read(json.dumps(group(rule(destinationAddressPrefix="Storage.WestUS")))))
