"""Keys of documents: known, unknown, and those of later releases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nsgd.config.compound import Field, ListOf, NameOr, ObjectOf
from nsgd.config.schema import DOCUMENT, LATER
from nsgd.config.shape import Shape
from tests.config.documents import refuse, refuse_one


def objects(shape: Shape) -> Iterator[ObjectOf]:
    """Every table of fields under a shape."""
    if isinstance(shape, ListOf):
        yield from objects(shape.item)
    elif isinstance(shape, NameOr):
        yield from objects(shape.full)
    elif isinstance(shape, ObjectOf):
        yield shape
        for field in shape.fields.values():
            yield from objects(field.shape)


def test_a_key_of_now_is_not_one_of_later() -> None:
    """A key leaves the list when it is read."""
    tables = list(objects(DOCUMENT))
    assert {table.what for table in tables} >= {"a document", "a subnet", "a security rule"}
    assert all(not LATER & table.fields.keys() for table in tables)


def test_a_default_is_what_its_own_shape_takes() -> None:
    """A schema printed from the tables must not contradict itself."""
    fields: list[Field] = [field for table in objects(DOCUMENT) for field in table.fields.values()]
    defaults = [field for field in fields if field.default not in (None, "")]
    assert len(defaults) >= 9
    for field in defaults:
        mistakes: list[object] = []
        field.shape.read(field.default, mistakes)  # type: ignore[arg-type]
        assert mistakes == []
        assert not field.is_required


@pytest.mark.parametrize(
    "key",
    [
        *("etag", "location", "securityAdminRules", "resources", "$schema"),
    ],
)
def test_a_key_of_a_later_release(key: str) -> None:
    """Not taken for a mistake, and not passed over."""
    assert refuse_one({key: {}}) == (key, f"key '{key}' is not supported yet", "remove it")


@pytest.mark.parametrize(
    ("document", "path", "way_out"),
    [
        ({"virtualnetworks": []}, "virtualnetworks", "did you mean virtualNetworks?"),
        (
            {"networkSecurityGroup": []},
            "networkSecurityGroup",
            "did you mean networkSecurityGroups",
        ),
        ({"deamon": {}}, "deamon", "did you mean daemon?"),
        ({"daemon": {"queue": 1}}, "daemon.queue", "did you mean queues?"),
        ({"zzz": 1}, "zzz", "a document has virtualNetworks, networkInterfaces"),
        ({"": 1}, "['']", "a document has"),
        ({"a.b": 1}, "['a.b']", "a document has"),
        ({"\x1b": 1}, r"['\x1b']", "a document has"),
        ({"x" * 100_000: 1}, f"['{'x' * 60}...']", "a document has"),
    ],
)
def test_an_unknown_key(document: dict[str, object], path: str, way_out: str) -> None:
    """With the key that was meant, or all there are; never raw text of the document."""
    found, message, out = refuse_one(document)
    assert found == path
    assert message.startswith("unknown key ")
    assert out.startswith(way_out)


def test_a_merge_key() -> None:
    """Refused by name."""
    text = "daemon: &d {}\nnetworkSecurityGroups:\n- <<: *d\n  name: a"
    assert refuse_one(text) == (
        "networkSecurityGroups[0].<<",
        "'a': merge keys ('<<') are not read",
        "write the fields out",
    )


@pytest.mark.parametrize("value", [5, "x", True, [1], 1.5])
def test_something_else_instead_of_an_object(value: object) -> None:
    """Said at every level."""
    assert "is not the daemon section" in refuse({"daemon": value})[0].message
    assert "is not a virtual network" in refuse({"virtualNetworks": [value]})[0].message
    if not isinstance(value, list):  # a list is taken for one of Azure's resources
        assert "is not a document" in refuse(repr(value).lower())[0].message


@pytest.mark.parametrize("value", [5, "x", True, {"a": 1}, 1.5])
def test_something_else_instead_of_a_list(value: object) -> None:
    """Said, and not walked."""
    path, message, _ = refuse_one({"virtualNetworks": value})
    assert path == "virtualNetworks"
    assert message.endswith("is not a list")
