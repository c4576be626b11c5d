"""The platformAddresses section: the one place where an empty list is a value."""

from __future__ import annotations

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.platform import AZURE_PLATFORM, PlatformAddresses
from tests.config.documents import group, load, refuse_one
from tests.models import addresses


@pytest.mark.parametrize("absent", [None, "", [], {}])
def test_without_the_section(absent: object) -> None:
    """Azure's own addresses, as Azure documents them."""
    assert load({"platformAddresses": absent, **group()}).model.platform == AZURE_PLATFORM
    assert load(group()).model.platform == PlatformAddresses(
        addresses("168.63.129.16"),
        addresses("169.254.169.254"),
        addresses("20.118.99.224", "40.83.235.53", "23.102.135.246"),
        addresses("168.63.129.16", "fe80::1234:5678:9abc"),
    )


@pytest.mark.parametrize(
    ("key", "attribute"),
    [
        ("host", "host"),
        ("metadata", "metadata"),
        ("keyManagement", "key_management"),
        ("loadBalancer", "load_balancer"),
    ],
)
def test_each_list(key: str, attribute: str) -> None:
    """Given, emptied or left out, each by itself, in JSON and YAML."""
    given = load({"platformAddresses": {key: ["192.0.2.1", "fd00::1"]}}).model.platform
    emptied = load({"platformAddresses": {key: []}}).model.platform
    left_out = load({"platformAddresses": {key: None}}).model.platform
    yaml = load(f"platformAddresses:\n  {key}: []\n").model.platform
    for each in (AZURE_PLATFORM, given, emptied):
        others = {
            name: getattr(each, name) for name in PlatformAddresses.__slots__ if name != attribute
        }
        assert others == {name: getattr(AZURE_PLATFORM, name) for name in others}
    assert getattr(given, attribute) == addresses("192.0.2.1", "fd00::1")
    assert getattr(emptied, attribute) == ()
    assert yaml == emptied
    assert left_out == AZURE_PLATFORM


def test_all_emptied() -> None:
    """Where there is no platform."""
    keys = ("host", "metadata", "keyManagement", "loadBalancer")
    found = load({"platformAddresses": {key: [] for key in keys}}).model.platform
    assert found == PlatformAddresses((), (), (), ())


@pytest.mark.parametrize(
    ("section", "path", "message"),
    [
        ({"host": ["168.63.129.16/32"]}, "host[0]", "'168.63.129.16/32' is not an address"),
        ({"host": ["x"]}, "host[0]", "'x' is not an address"),
        ({"host": [None]}, "host[0]", "null is not an address"),
        ({"host": "168.63.129.16"}, "host", "'168.63.129.16' is not a list"),
        ({"metadata": ["::1", "::1"]}, "metadata[1]", "::1 is given twice"),
        ({"metadata": ["::1", "0:0::1"]}, "metadata[1]", "::1 is given twice"),
        ({"keymanagement": []}, "keymanagement", "unknown key 'keymanagement'"),
        ({"dns": []}, "dns", "unknown key 'dns'"),
    ],
)
def test_what_is_refused(section: dict[str, object], path: str, message: str) -> None:
    """With the place; no address is left out in silence."""
    found, said, way_out = refuse_one({"platformAddresses": section})
    assert found == f"platformAddresses.{path}"
    assert said == message
    assert way_out


def test_in_one_document_at_most() -> None:
    """Two could contradict one another."""
    path, message, way_out = refuse_one(
        {"platformAddresses": {"host": []}}, {"platformAddresses": {}}
    )
    assert path == "platformAddresses"
    assert message == "the platformAddresses section is already given by platformAddresses in d0"
    assert way_out == "keep it in one document"
    emptied = load({"networkSecurityGroups": []}, {"platformAddresses": {"host": []}})
    assert emptied.model.platform.host == ()


def test_an_empty_list_is_read_again_from_memory() -> None:
    """A document that was read before says the same."""
    from nsgd.config.load import ReadDocuments

    before = ReadDocuments()
    documents = [Document("d", b'{"platformAddresses": {"host": []}}')]
    first, second = (load_documents(documents, before) for _ in range(2))
    assert first.model == second.model
    assert first.model.platform.host == ()
