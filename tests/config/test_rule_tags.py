"""Service tags of Microsoft's file: looked up whole, in one cloud, kept where rules use them."""

from __future__ import annotations

import json

import pytest

from nsgd.config.load import Document, ReadDocuments, load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.model.address import Prefix
from nsgd.model.network import ServiceTagPrefixes
from nsgd.model.rule import PlatformService, PlatformTag, PublishedTag, ServiceTag, TagAddress
from tests.config.documents import (
    STORAGE,
    TAGS,
    Raw,
    Tags,
    group,
    load,
    refuse,
    refuse_one,
    rule,
    tag_file,
)

RULE = "networkSecurityGroups[0].securityRules[0]"
CODE = "SecurityRuleInvalidAddressPrefix"


def naming(*tags: str, **document: object) -> Raw:
    """A document whose rules have these tags as source."""
    rules = [
        rule(name=f"r{index}", priority=100 + index, sourceAddressPrefix=tag)
        for index, tag in enumerate(tags)
    ]
    return {**group(*rules), **document}


def prefixes(*texts: str) -> tuple[Prefix, ...]:
    """Prefixes of texts."""
    return tuple(Prefix.parse(text) for text in texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Storage", PublishedTag("Storage")),
        ("STORAGE", PublishedTag("Storage")),
        ("storage.westus", PublishedTag("Storage.WestUS")),
        ("AzureFrontDoor.Backend", PublishedTag("AzureFrontDoor.Backend")),
        # The file has these two as well.
        ("internet", TagAddress(ServiceTag.INTERNET)),
        ("azureplatformdns", PlatformTag(PlatformService.DNS)),
    ],
)
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("is_plural", [False, True])
def test_a_tag_is_known(text: str, expected: object, side: str, is_plural: bool) -> None:
    """Whole and without case; what is computed stays computed, whatever a file has."""
    fields: Raw = {f"{side}AddressPrefix": text}
    if is_plural:
        fields = {f"{side}AddressPrefix": None, f"{side}AddressPrefixes": [text]}
    ports = {"sourcePortRange": "*", "destinationPortRange": "*"}
    document = group(rule(access="Deny", protocol="*", **ports, **fields))
    model = load(document).model
    (found,) = model.network_security_groups[0].security_rules
    assert (found.source if side == "source" else found.destination) == expected
    names = [tag.name for tag in model.service_tags]
    assert names == ([expected.name] if isinstance(expected, PublishedTag) else [])


def test_only_tags_in_use_once_each() -> None:
    """With both families, in the file's order; tags in the order of first use."""
    document = naming("Storage.WestUS", "storage", "Storage", "Internet", "STORAGE.WESTUS")
    assert load(document).model.service_tags == (
        ServiceTagPrefixes("Storage.WestUS", prefixes("20.38.98.0/25")),
        ServiceTagPrefixes("Storage", prefixes(*STORAGE)),
    )


def test_no_tag_asks_for_no_file() -> None:
    """And several ask once, so that all are from one file."""
    tags = Tags(tag_file(Storage=STORAGE, Sql=["1.2.3.0/24"]))
    assert load(naming("Internet", "10.0.0.0/8"), tags=tags).model.service_tags == ()
    assert tags.asked == []
    load(naming("Storage", "Sql", "storage"), naming(networkSecurityGroups=[]), tags=tags)
    assert tags.asked == ["Public"]


@pytest.mark.parametrize("cloud", ["AzureGovernment", None])
def test_the_cloud(cloud: str | None) -> None:
    """The section says which file; an absent name is Public."""
    section = {"serviceTags": {"cloud": cloud}}
    found = load(naming("Storage"), section).model.service_tags
    expected = STORAGE if cloud is None else ["52.127.0.0/16"]
    assert found == (ServiceTagPrefixes("Storage", prefixes(*expected)),)


def test_the_section_stands_once() -> None:
    """Whether or not both say the same."""
    section = {"serviceTags": {"cloud": "Public"}}
    path, message, way_out = refuse_one(section, section)
    assert path == "serviceTags"
    assert message == "the serviceTags section is already given by serviceTags in d0"
    assert way_out == "keep it in one document"


@pytest.mark.parametrize("cloud", ["../Public", "Public.json", "a b", "é", 5, "a" * 65, ["Public"]])
def test_a_cloud_that_is_refused(cloud: object) -> None:
    """Letters alone; no source is asked for anything else, and no tag is called unknown."""
    tags = Tags(tag_file(Storage=STORAGE))
    path, message, _ = refuse_one(naming("Storage", serviceTags={"cloud": cloud}), tags=tags)
    assert path == "serviceTags.cloud"
    assert message.endswith("is not the name of a cloud")
    assert tags.asked == []


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("Storag", "did you mean Storage? `nsgd tags list` shows all"),
        ("Storage.WestUS2", "did you mean Storage.WestUS?"),
        ("AzureFrontDoor", "did you mean AzureFrontDoor.Backend?"),
        ("Storage.", "did you mean Storage?"),
        ("Internt", "did you mean Internet?"),
        ("VIRTUAL_NETWORK", "did you mean VirtualNetwork?"),
        ("AZURE_LOADBALANCER", "did you mean AzureLoadBalancer?"),
        ("AzurePlatformKMS", "did you mean AzurePlatformLKM?"),
        ("OnlyHere", "`nsgd tags list` shows all; or list the prefixes"),
        ("zzz", "`nsgd tags list` shows all; or list the prefixes"),
    ],
)
@pytest.mark.parametrize("side", ["source", "destination"])
def test_an_unknown_tag(text: str, way_out: str, side: str) -> None:
    """With Azure's code and the nearest name; a name is never split at its dot."""
    path, message, out = refuse_one(group(rule(**{f"{side}AddressPrefix": text})))
    assert path == f"{RULE}.{side}AddressPrefix"
    assert message == (
        f"'AllowHttp' of 'web': {CODE}: there is no service tag '{text}' in Microsoft's file of "
        "cloud Public, change 7"
    )
    assert out.startswith(way_out)
    plural = {f"{side}AddressPrefix": None, f"{side}AddressPrefixes": [text]}
    assert refuse_one(group(rule(**plural)))[0] == f"{RULE}.{side}AddressPrefixes[0]"


def test_an_unknown_tag_is_told_at_every_rule() -> None:
    """Each is a mistake of its own; the known one beside them is none."""
    problems = refuse(naming("Nowhere", "Storage", "Nowhere", "nowhere"))
    assert [problem.path[-22:-20] for problem in problems] == ["0]", "2]", "3]"]


@pytest.mark.parametrize("tags", [None, Tags(), Tags(tag_file("AzureGovernment", Storage=STORAGE))])
def test_no_file_is_installed(tags: Tags | None) -> None:
    """Said once for each tag, with the command that installs it."""
    first, second = refuse(naming("Storage", "Sql", "Storage"), tags=tags)
    assert first.path == f"{RULE}.sourceAddressPrefix"
    assert first.message == (
        f"'r0' of 'web': {CODE}: service tag 'Storage' needs Microsoft's service tags file of "
        "cloud Public, and none is installed"
    )
    assert first.way_out == "`nsgd tags update FILE` installs it"
    assert "'Sql' needs" in second.message


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Internt", "Internet"),
        ("VIRTUAL_NETWORK", "VirtualNetwork"),
        ("AzureLoadBalancers", "AzureLoadBalancer"),
        ("AzureLoadTestingInstanceManagement", None),
        ("AzurePortal", None),
        ("AzureCloud.centralfrance", None),
    ],
)
def test_a_slip_where_no_file_is_installed(text: str, meant: str | None) -> None:
    """Tags that need no file are suggested where hardly another can be meant."""
    way_out = refuse_one(naming(text), tags=None)[2]
    install = "`nsgd tags update FILE` installs it"
    assert way_out == (f"did you mean {meant}? Otherwise {install}" if meant else install)


def test_an_unreadable_document_may_name_the_cloud() -> None:
    """Then no tag is called unknown; where the cloud is said, it is."""
    unreadable = "a: *"
    assert [problem.document for problem in refuse(naming("OnlyHere"), unreadable)] == ["d1"]
    said = naming("OnlyHere", serviceTags={"cloud": "Public"})
    assert [problem.document for problem in refuse(said, unreadable)] == ["d0", "d1"]


def test_the_number_of_suggestions_is_bounded() -> None:
    """Each costs a walk over the whole file."""
    problems = refuse(naming(*(f"Storage{index}" for index in range(30))))
    assert sum("did you mean" in problem.way_out for problem in problems) == 20


def test_a_new_file_beside_documents_that_were_read_before() -> None:
    """The documents are not read again, and have the prefixes of the new file."""
    documents = [Document("d", json.dumps(naming("Storage")).encode())]
    before = ReadDocuments()
    old = load_documents(documents, before, TAGS)
    new = Tags(tag_file(change_number=8, Storage=["20.38.99.0/24"]))
    assert None not in before.find(documents)
    loaded = load_documents(documents, before, new)
    assert loaded.model.service_tags == (ServiceTagPrefixes("Storage", prefixes("20.38.99.0/24")),)
    assert loaded == load_documents(documents, None, new)
    with pytest.raises(ConfigRefused, match="needs Microsoft's service tags file"):
        load_documents(documents, before)
    with pytest.raises(ConfigRefused, match="no service tag 'Storage'"):
        load_documents(documents, before, Tags(tag_file(Sql=["1.2.3.0/24"])))
    assert load_documents(documents, before, TAGS) == old


@pytest.mark.parametrize("text", ["Internet", "Storage", "AzurePlatformDNS", "Nowhere"])
@pytest.mark.parametrize("is_plural", [False, True])
def test_a_failsafe_has_no_tag(text: str, is_plural: bool) -> None:
    """What a tag holds changes with time."""
    source = {"sourceAddressPrefixes": [text]} if is_plural else {"sourceAddressPrefix": text}
    entry = {"protocol": "Tcp", "destinationPortRange": 22, **source}
    path, message, _ = refuse_one({"daemon": {"failsafe": [entry]}})
    assert path == f"daemon.failsafe[0].{'.'.join(source)}" + ("[0]" if is_plural else "")
    assert message == "a service tag cannot be a failsafe's source"
