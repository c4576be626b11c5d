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


def test_going_far_ahead() -> None:
    """A thousand numbers at once are fine, one more is for a person: no number would follow it."""
    old = catalogue(number=7)
    assert problems(catalogue(number=1007), old) == []
    text = "its changeNumber is 1008, and the installed file has 7: more than 1000 ahead"
    assert problems(catalogue(number=1008), old) == [(text, True)]
    assert problems(catalogue(number=1008), None) == []


HALVES = ["0.0.0.0/1", "128.0.0.0/1"]


@pytest.mark.parametrize(
    ("prefixes", "shown"),
    [
        (["10.0.0.0/8", "2000::/16"], ""),
        (HALVES, "0.0.0.0/1 in Sql, 128.0.0.0/1 in Sql"),
        (["10.0.0.0/7"], "10.0.0.0/7 in Sql"),
        (["10.0.0.0/8", "2000::/15"], "2000::/15 in Sql"),
        (["::0.0.0.0/4"], "::0.0.0.0/4 in Sql"),
    ],
)
def test_prefixes_too_wide(prefixes: list[str], shown: str) -> None:
    """Whether a file was there before or not, and whether the tag is in use or not."""
    new = catalogue({**TAGS, "Sql": prefixes}, 8)
    text = f"it has prefixes shorter than 8 bits (IPv4) or 16 (IPv6): {shown}"
    for old in (None, catalogue()):
        assert problems(new, old) == ([(text, True)] if shown else [])


def test_wide_prefixes_that_were_there_before() -> None:
    """What was forced once does not hold up the file after it, in this tag and in no other."""
    old = catalogue({**TAGS, "Sql": HALVES}, 8)
    assert problems(catalogue({**TAGS, "sql": HALVES}, 9), old) == []
    (found,) = problems(catalogue({**TAGS, "Sql": HALVES, "Other": HALVES}, 9), old)
    assert found[0].endswith(": 0.0.0.0/1 in Other, 128.0.0.0/1 in Other")


def test_many_more_prefixes() -> None:
    """Four times as many are fine."""
    old = catalogue(many_tags(2, 50), 7)
    assert problems(catalogue(many_tags(2, 200), 8), old) == []
    text = "it has 402 prefixes, and the installed file 100: more than 4 times as many"
    assert problems(catalogue(many_tags(2, 201), 8), old) == [(text, True)]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (["10.0.0.0/16"], ["10.0.0.0/13", "10.8.0.0/15"], ""),
        (["10.0.0.0/16"], ["10.0.0.0/13", "10.8.0.0/15", "10.9.0.0/16", "10.0.0.0/32"], ""),
        (
            ["10.0.0.0/16"],
            ["10.0.0.0/13", "10.8.0.0/15", "10.10.0.0/32"],
            "655361 IPv4 addresses, and 65536",
        ),
        # one tag many times over is no more of it
        (["10.0.0.0/16", "10.0.0.0/17", "10.0.0.0/16"], ["10.0.0.0/12"], "1048576 IPv4 addresses"),
        # small tags are measured by a /24 and a /48
        (["10.0.0.1/32"], ["10.0.0.0/21", "10.0.8.0/23"], ""),
        (["10.0.0.1/32"], ["10.0.0.0/21", "10.0.8.0/23", "10.0.10.0/32"], "2561 IPv4 addresses"),
        (["10.0.0.1/32"], ["10.0.0.1/32", "2001:db8::/45"], ""),
        (["10.0.0.1/32"], ["10.0.0.1/32", "2001:db8::/44"], "IPv6 addresses, and 0 in"),
        (["2001:db8::/44"], ["2001:db8::/41"], ""),
        (["2001:db8::/44"], ["2001:db8::/40"], "IPv6 addresses, and 19342813113834066795298816"),
    ],
)
def test_a_tag_in_use_grows(before: list[str], after: list[str], said: str) -> None:
    """Tenfold is fine, by family; nobody minds where no rule names it."""
    old, new = catalogue({**TAGS, "Sql": before}), catalogue({**TAGS, "Sql": after}, 8)
    assert problems(new, old) == []
    found = problems(new, old, ["sql"])
    assert len(found) == bool(said)
    for text, can_be_forced in found:
        assert said in text
        assert text.startswith("the service tag 'Sql', which rules in force name, has ")
        assert can_be_forced


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
