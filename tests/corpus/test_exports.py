"""Groups as Azure's service exported them, and the examples of its REST interface.

What must be equal after reading and printing, for every rule in its order: name, priority,
direction, access, protocol, description, the prefixes of each side as addresses (an address is a
prefix of its full length), the tag without case, the application security groups by name, and the
ports of each side as numbers (``*`` is 0-65535). Whether one value stands in the singular or the
plural field does not decide, nor does the order of a list. Default rules are compared as a set.
"""

from __future__ import annotations

import copy
import ipaddress
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nsgd.azure.export import rest_resources
from nsgd.azure.native import native_document
from nsgd.azure.yaml_text import to_yaml
from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.config.tag_catalogue import TagCatalogue, read_tag_file
from tests.azure.resources import flatten
from tests.corpus.recordings import CORPUS

Raw = dict[str, Any]

EXPORTS = sorted((CORPUS / "nsg-exports").glob("*.json"))
EXAMPLES = sorted((CORPUS / "rest-examples").glob("*.json"))
TAG_FILE = CORPUS / "service-tags" / "ServiceTags_Public_cn363.json"

# Tags of Microsoft's own networks: services create rules with them, and no public file has them.
UNPUBLISHED = {"CorpNetSaw": ["192.0.2.0/25"], "CorpNetPublic": ["192.0.2.128/25"]}

needs_exports = pytest.mark.skipif(
    not EXPORTS or not TAG_FILE.exists(), reason=f"no exported groups or tags in {CORPUS}"
)
needs_examples = pytest.mark.skipif(not EXAMPLES, reason=f"no REST examples in {CORPUS}")


class Tags:
    """Microsoft's file, or that with its unpublished tags."""

    def __init__(self, has_unpublished: bool) -> None:
        self._has_unpublished = has_unpublished

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """As TagSource."""
        return _catalogue(self._has_unpublished) if cloud == "Public" else None


@cache
def _catalogue(has_unpublished: bool) -> TagCatalogue:
    content = TAG_FILE.read_bytes()
    if has_unpublished:
        document = json.loads(content)
        for name, prefixes in UNPUBLISHED.items():
            tag = {"name": name, "id": name, "properties": {"addressPrefixes": prefixes}}
            document["values"].append(tag)
        content = json.dumps(document).encode()
    return read_tag_file(content)


def load(*values: object, has_unpublished: bool = True) -> LoadedConfig:
    """Load values or texts."""
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    documents = [Document(f"d{i}", text.encode()) for i, text in enumerate(texts)]
    return load_documents(documents, tags=Tags(has_unpublished))


def application_groups(value: Any) -> list[Raw]:
    """Resources for all application security groups that a resource refers to."""
    ids = set()
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            waiting += entry.values()
            if "/applicationSecurityGroups/" in str(entry.get("id")):
                ids.add(entry["id"])
        elif isinstance(entry, list):
            waiting += entry
    kind = "Microsoft.Network/applicationSecurityGroups"
    return [{"id": i, "name": i.rpartition("/")[2], "type": kind} for i in sorted(ids)]


def decided(resource: Raw) -> tuple[Any, ...]:
    """What of an exported group decides, in one form; written without the product's readers."""
    properties = resource["properties"]
    return (
        resource["name"],
        bool(properties.get("flushConnection")),
        [_rule(rule) for rule in properties["securityRules"]],
        sorted((_rule(rule) for rule in properties["defaultSecurityRules"]), key=repr),
    )


def _rule(rule: Raw) -> tuple[Any, ...]:
    fields = rule["properties"]
    return (
        rule["name"],
        fields["priority"],
        fields["direction"].lower(),
        fields["access"].lower(),
        fields["protocol"].lower(),
        fields.get("description") or "",
        *(_addresses(fields, side) for side in ("source", "destination")),
        *(_ports(fields, side) for side in ("source", "destination")),
    )


def _addresses(fields: Raw, side: str) -> list[str]:
    single = fields.get(f"{side}AddressPrefix")
    texts = list(fields.get(f"{side}AddressPrefixes") or [])
    groups = fields.get(f"{side}ApplicationSecurityGroups") or []
    return sorted(
        [*(_address(text) for text in (*([single] if single else []), *texts))]
        + [f"group {group['id'].rpartition('/')[2].lower()}" for group in groups]
    )


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        return text.lower()


def _ports(fields: Raw, side: str) -> list[tuple[int, int]]:
    single = fields.get(f"{side}PortRange")
    texts = [*([single] if single else []), *(fields.get(f"{side}PortRanges") or [])]
    ranges = []
    for text in texts:
        first, _, last = ("0-65535" if text == "*" else str(text)).partition("-")
        ranges.append((int(first), int(last or first)))
    return sorted(ranges)


def printed_group(loaded: LoadedConfig) -> Raw:
    """The one group among what is printed."""
    resources = rest_resources(loaded.model).resources
    (group,) = (r for r in resources if str(r["type"]).endswith("/networkSecurityGroups"))
    return group


@needs_exports
@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_an_export_is_printed_as_it_was(path: Path) -> None:
    """Read and printed, by each road; and what is printed spells enumerations as Azure does."""
    exported = json.loads(path.read_bytes())
    groups = application_groups(exported)
    loaded = load(exported, groups)
    assert len(loaded.model.network_security_groups[0].security_rules) == len(
        exported["properties"]["securityRules"]
    )
    printed = printed_group(loaded)
    assert decided(printed) == decided(exported)
    assert load(flatten(exported), [flatten(g) for g in groups]).model == loaded.model
    native = native_document(loaded.model, loaded.settings, loaded.reading)
    for text in (json.dumps(native), to_yaml(native), json.dumps(rest_resources(loaded.model)[0])):
        again = load(text)
        assert again.model == loaded.model
        assert decided(printed_group(again)) == decided(exported)
    properties: Any = printed["properties"]
    for rule in (*properties["securityRules"], *properties["defaultSecurityRules"]):
        fields = rule["properties"]
        assert fields["protocol"] in ("Tcp", "Udp", "Icmp", "Esp", "Ah", "*")
        assert fields["access"] in ("Allow", "Deny")
        assert fields["direction"] in ("Inbound", "Outbound")


@needs_exports
def test_the_comparison_sees_every_field() -> None:
    """Each change of a field that decides makes an export differ from itself."""
    exported = json.loads((CORPUS / "nsg-exports" / "nsg-mixed-rules-680cf68a0f.json").read_bytes())
    for key, value in (
        ("priority", 999),
        ("direction", "Outbound"),
        ("access", "Deny"),
        ("protocol", "Udp"),
        ("description", "x"),
        ("sourceAddressPrefix", "10.0.0.0/8"),
        ("destinationAddressPrefixes", ["10.0.0.0/8"]),
        ("sourceApplicationSecurityGroups", [{"id": "/x/y"}]),
        ("sourcePortRange", "1"),
        ("destinationPortRanges", ["1-2"]),
    ):
        changed = copy.deepcopy(exported)
        changed["properties"]["securityRules"][0]["properties"][key] = value
        assert decided(changed) != decided(exported), key


@needs_exports
def test_unpublished_tags_are_refused() -> None:
    """With Microsoft's file alone those exports that name such a tag are refused, and no other."""
    refused = set()
    for path in EXPORTS:
        exported = json.loads(path.read_bytes())
        try:
            load(exported, application_groups(exported), has_unpublished=False)
        except ConfigRefused as error:
            refused.add(path)
            for problem in error.problems:
                assert "SecurityRuleInvalidAddressPrefix: there is no service tag 'CorpNet" in (
                    problem.message
                )
                assert problem.path.startswith("properties.securityRules[")
                assert problem.path.endswith("].properties.sourceAddressPrefix")
    assert refused == {path for path in EXPORTS if b"CorpNet" in path.read_bytes()}
    assert len(refused) == 5


@needs_exports
def test_an_export_alone_lacks_its_groups() -> None:
    """Every application security group that is not loaded is told with its path, and no other."""
    for path in EXPORTS:
        exported = json.loads(path.read_bytes())
        groups = application_groups(exported)
        if not groups:
            load(exported)
            continue
        with pytest.raises(ConfigRefused) as caught:
            load(exported)
        assert all(
            p.path.endswith("].id") and "no application security group named" in p.message
            for p in caught.value.problems
        )
        assert {p.message.split("named ")[1].strip("'") for p in caught.value.problems} == {
            group["name"] for group in groups
        }


# -- the examples of the REST interface -------------------------------------------------------

# Bodies that are answers of questions, or of changes, and no resources.
NO_RESOURCES = {
    "NetworkInterfaceEffectiveNSGList",
    "NetworkInterfaceEffectiveRouteTableList",
    "NetworkWatcherFlowLogConfigure",
    "NetworkWatcherFlowLogStatusQuery",
    "NetworkWatcherIpFlowVerify",
    "NetworkWatcherNetworkConfigurationDiagnostic",
    "NetworkWatcherNextHopGet",
    "NetworkWatcherSecurityGroupViewGet",
}
# Values that are made up and that Azure itself would refuse: what is said of them.
INCONSISTENT = {
    ("SubnetList", "200"): "overlaps 10.0.0.0/16",
    ("VirtualNetworkCreateSubnetWithAddressPrefixes", "200"): "is outside the address space",
}


def bodies(path: Path) -> list[tuple[str, Any]]:
    """The answers of an example, by status; those without a body are left out."""
    responses = json.loads(path.read_bytes())["responses"]
    return [(status, answer["body"]) for status, answer in responses.items() if answer.get("body")]


def companions(body: Any) -> list[Raw]:
    """What a body refers to and does not hold: resources with nothing in them."""
    entries = body.get("value", [body])
    made: dict[str, Raw] = {}
    own = {entry["id"].lower() for entry in entries}
    for entry in entries:
        for text, address in _references(entry):
            _make(text, address, made)
        parts = entry["id"].split("/")
        if len(parts) > 9:  # a part of a resource
            _make("/".join(parts[:9]), None, made)
    return [resource for text, resource in made.items() if text.lower() not in own]


def _references(entry: Any) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    waiting = [entry.get("properties")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key in ("networkSecurityGroup", "subnet", "remoteVirtualNetwork"):
                    found.append((inner["id"], value.get("privateIPAddress")))
                elif key != "ipConfigurations" or "subnet" not in str(entry.get("id")):
                    waiting.append(inner)
    return found


def _make(text: str, address: str | None, made: dict[str, Raw]) -> None:
    parts = text.split("/")
    kind, resource_id = "/".join(parts[6:8]), "/".join(parts[:9])
    resource = {"id": resource_id, "name": parts[8], "type": kind, "properties": {}}
    if kind.endswith("virtualNetworks"):
        if len(parts) > 9:
            space = str(ipaddress.ip_network(f"{address or '10.0.0.0'}/24", strict=False))
            subnets = [{"name": parts[10], "properties": {"addressPrefix": space}}]
        else:
            space, subnets = f"10.{len(made)}.0.0/16", []
        resource["properties"] = {"addressSpace": {"addressPrefixes": [space]}, "subnets": subnets}
    made.setdefault(resource_id, resource)


@needs_examples
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_bodies_of_examples(path: Path) -> None:
    """Every resource is read, beside what it refers to; everything else is refused as none."""
    for status, body in bodies(path):
        if path.stem in NO_RESOURCES:
            with pytest.raises(ConfigRefused):
                load(body)
            continue
        others = companions(body)
        if (path.stem, status) in INCONSISTENT:
            with pytest.raises(ConfigRefused, match=INCONSISTENT[path.stem, status]):
                load(body, others)
            continue
        loaded = load(body, others)
        again = load(json.dumps(native_document(loaded.model)))
        assert again.model == loaded.model, status


@needs_examples
def test_every_kind_is_among_the_examples() -> None:
    """The test above reads something of each."""
    read = [path for path in EXAMPLES if bodies(path) and path.stem not in NO_RESOURCES]
    assert len(read) >= 30
