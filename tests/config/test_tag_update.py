"""A new tag file beside the old one: what is refused, and what --force may disregard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pytest

from nsgd.config.tag_catalogue import TagCatalogue, read_tag_file
from nsgd.config.tag_update import check_update, difference, name_some
from tests.tag_files import TAGS, many_tags, tag_file


def catalogue(
    tags: Mapping[str, Sequence[str]] = TAGS, number: int = 7, cloud: str = "Public"
) -> TagCatalogue:
    """A catalogue of these tags."""
    return read_tag_file(tag_file(tags, number, cloud))


def problems(
    new: TagCatalogue, old: TagCatalogue | None, in_use: Collection[str] = ()
) -> list[tuple[str, bool]]:
    """Each message and whether it can be forced; every problem has a way out."""
    found = check_update(new, old, in_use)
    assert all(problem.way_out for problem in found)
    return [(problem.message, problem.can_be_forced) for problem in found]


def test_a_later_file_is_taken() -> None:
    """The next number with a tag more, and the first file of all."""
    more = {**TAGS, "Sql": ["192.0.2.128/25"]}
    assert problems(catalogue(more, 8), catalogue(), TAGS) == []
    assert problems(catalogue(more, 800), catalogue()) == []
    assert problems(catalogue(), None, ["storage"]) == []


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (7, "its changeNumber is 7, and the installed file has the same with other contents"),
        (6, "its changeNumber is 6, and the installed file has 7 already"),
    ],
)
def test_going_back(number: int, text: str) -> None:
    """Not by itself; a person may."""
    assert problems(catalogue(number=number), catalogue()) == [(text, True)]


def test_another_cloud() -> None:
    """Nothing else is then compared, and it cannot be forced."""
    found = problems(catalogue({"A": ["10.0.0.0/8"]}, 1, "AzureGovernment"), catalogue(), ["Sql"])
    assert found == [
        ("the file is of the cloud AzureGovernment, and the one before of Public", False)
    ]
    assert problems(catalogue(number=8, cloud="PUBLIC"), catalogue()) == []


def test_fewer_tags() -> None:
    """70 of 100 are fine, 69 are not."""
    old = catalogue(many_tags(100), 7)
    assert problems(catalogue(many_tags(70), 8), old) == []
    found = problems(catalogue(many_tags(69), 8), old)
    assert [forced for _, forced in found] == [True, True]
    assert found[0][0].startswith("it has 69 prefixes, and the installed file 100")
    assert found[1][0].startswith("it has 69 service tags, and the installed file 100")


def test_fewer_prefixes() -> None:
    """The same tags with 70 % of their prefixes are fine, with less not."""
    old = catalogue(many_tags(2, 50), 7)
    assert problems(catalogue(many_tags(2, 35), 8), old) == []
    found = problems(catalogue(many_tags(2, 34), 8), old)
    assert [text.partition(":")[0] for text, _ in found] == [
        "it has 68 prefixes, and the installed file 100"
    ]


def test_a_tag_in_use_shrinks() -> None:
    """Over 70 % gone, in a file that as a whole is fine; nobody minds where no rule names it."""
    rest = many_tags(100, 5)
    old = catalogue({**rest, "Sql": [f"192.0.{n}.0/24" for n in range(10)]}, 7)

    def left(count: int) -> TagCatalogue:
        return catalogue({**rest, "Sql": [f"192.0.{n}.0/24" for n in range(count)]}, 8)

    assert problems(left(3), old, ["sql"]) == []
    assert problems(left(2), old) == []
    (found,) = problems(left(2), old, ["sql"])
    assert found[0].startswith("the service tag 'Sql', which rules in force name, has 2 prefixes")
    assert found[1] is True


def test_a_tag_in_use_vanishes() -> None:
    """It can never be forced: the rules that name it would no longer load."""
    rest = {name: prefixes for name, prefixes in TAGS.items() if name != "Storage.WestEurope"}
    new = catalogue(rest | {"Other": ["192.0.2.0/24"]}, 8)
    assert problems(new, catalogue(), ["Storage"]) == []
    missing = ("rules in force name the service tag 'storage.westeurope'", False)
    for old in (catalogue(), None):
        (found,) = problems(new, old, ["Storage", "storage.westeurope"])
        assert (found[0].partition(",")[0], found[1]) == missing


def test_difference() -> None:
    """Tags that came and went, without case."""
    old = catalogue({"A": ["10.0.0.0/8"], "B": ["10.0.0.0/8"]})
    new = catalogue({"b": ["10.0.0.0/8"], "C": ["10.0.0.0/8"]})
    found = difference(new, old)
    assert (found.gone, found.new) == (("A",), ("C",))


def test_name_some() -> None:
    """A few names, and a number for the rest."""
    assert name_some("abcde") == "a, b, c, d, e"
    assert name_some("abcdefg") == "a, b, c, d, e and 2 more"
