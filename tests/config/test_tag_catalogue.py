"""Microsoft's tag file: what is in it is found, and nothing but a whole good file is taken."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.config import tag_catalogue
from nsgd.config.tag_catalogue import MAXIMUM_VALUES, TagFileRefused, is_cloud_name, read_tag_file
from nsgd.model.address import Address, Prefix
from tests.tag_files import TAGS, tag_document, tag_file


def refuse(content: bytes | object) -> str:
    """Why a file, or a value written as one, is refused."""
    made = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(TagFileRefused) as caught:
        read_tag_file(made)
    text = str(caught.value)
    assert text.isprintable()
    assert "; " in text
    return text


def spoilt(path: list[Any], value: object) -> dict[str, Any]:
    """A good file with one value changed; ... takes it away."""
    document = copy.deepcopy(tag_document())
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return document


def test_what_a_file_says() -> None:
    """Cloud, number, names in order, and each tag's prefixes in order."""
    catalogue = read_tag_file(tag_file())
    assert (catalogue.cloud, catalogue.change_number) == ("Public", 7)
    assert catalogue.names() == tuple(TAGS)
    for name, prefixes in TAGS.items():
        assert catalogue.prefixes(name) == tuple(map(Prefix.parse, prefixes))
        assert catalogue.count(name) == len(prefixes)
    assert catalogue.prefix_count == 6


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("storage", "Storage"),
        ("STORAGE.westeurope", "Storage.WestEurope"),
        ("AzureFrontDoor.Frontend", "AzureFrontDoor.Frontend"),
        # never split at the dot
        ("AzureFrontDoor", None),
        ("Storage.", None),
        ("Storage.EastUS", None),
        # lower() makes a k of the Kelvin sign
        ("Azure\u212a", None),
        ("", None),
    ],
)
def test_find(asked: str, found: str | None) -> None:
    """Whole names, without case."""
    assert read_tag_file(tag_file()).find(asked) == found


def test_tags_of_an_address() -> None:
    """Every tag that holds it, edges included, by family."""
    catalogue = read_tag_file(tag_file())

    def tags(text: str) -> list[str]:
        return [f"{name} {prefix}" for name, prefix in catalogue.tags_of(Address.parse(text))]

    both = ["Storage 203.0.113.0/24", "Storage.WestEurope 203.0.113.0/24"]
    assert tags("203.0.113.0") == tags("203.0.113.255") == both
    assert tags("203.0.114.0") == tags("203.0.112.255") == []
    assert tags("198.51.100.127") == ["Storage 198.51.100.0/25"]
    assert tags("198.51.100.128") == []
    assert tags("2001:db8:2::1") == ["AzureFrontDoor.Frontend 2001:db8:2::/64"]
    assert tags("::ffff:203.0.113.1") == []


def test_a_byte_order_mark_and_unknown_fields_do_no_harm() -> None:
    """Fields that Microsoft adds, and the mark that some tools put in front."""
    document = tag_document() | {"nextLink": None}
    content = b"\xef\xbb\xbf" + json.dumps(document).encode()
    assert read_tag_file(content).names() == tuple(TAGS)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"<!DOCTYPE html><html></html>", "an HTML page, not JSON; follow the download link"),
        (b"\n<html>", "an HTML page"),
        (b"\xff\xfe{\x00}\x00", "byte 0 is not UTF-8"),
        (b"PK\x03\x04", "line 1: this is not JSON"),
        (b"[]", "the file is a list, not an object"),
        (b"null", "the file is null, not an object"),
        (b"NaN", "NaN is not JSON"),
        (b'{"a": ' * 200_000, "nested too deeply"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"changeNumber": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"cloud": "Public", "cloud": "Public"}', "the key 'cloud' twice"),
        (tag_file() + b"{}", "this is not JSON (extra data)"),
    ],
)
def test_no_tag_file_at_all(content: bytes, text: str) -> None:
    """Each kind of rubbish is told by its name."""
    assert text in refuse(content)


@pytest.mark.parametrize("length", range(1, len(tag_file()) - 1, 13))
def test_a_file_cut_short(length: int) -> None:
    """Wherever the download broke off."""
    assert "cut short" in refuse(tag_file()[:length])


def test_a_long_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before it is read; the limit itself is fine."""
    content = tag_file()
    monkeypatch.setattr(tag_catalogue, "MAXIMUM_TAG_FILE_BYTES", len(content))
    read_tag_file(content)
    assert "the file is longer than 0 MiB" in refuse(content + b"\n")


@pytest.mark.parametrize("unit", [b"{},", b"[],", b"7,"])
def test_many_values(unit: bytes) -> None:
    """Told before they are made, which would take 25 times the file's size."""
    assert len(unit) * MAXIMUM_VALUES < 16 << 20 == tag_catalogue.MAXIMUM_TAG_FILE_BYTES
    content = b'{"values": [' + unit * MAXIMUM_VALUES + b"0]}"
    assert "the file has more than 350000 values" in refuse(content)


def test_as_many_values_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself is fine."""
    content = tag_file()
    count = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    monkeypatch.setattr(tag_catalogue, "MAXIMUM_VALUES", count)
    read_tag_file(content)
    monkeypatch.setattr(tag_catalogue, "MAXIMUM_VALUES", count - 1)
    assert "values" in refuse(content)


@pytest.mark.parametrize(("number", "is_good"), [(1_000_000, True), (1_000_001, False)])
def test_the_highest_number(number: int, is_good: bool) -> None:
    """One that no file could follow is refused whatever was installed before."""
    if is_good:
        assert read_tag_file(tag_file(change_number=number)).change_number == number
    else:
        text = refuse(tag_file(change_number=number))
        assert "changeNumber: 1000001 is not a number from 1 to 1000000" in text


PREFIXES = ["values", 1, "properties", "addressPrefixes"]
WHERE = "values[1].properties.addressPrefixes"


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (["cloud"], ..., "cloud: nothing is not the name of a cloud"),
        (["cloud"], "", "cloud: '' is not"),
        (["cloud"], "../Public", "cloud: '../Public' is not"),
        (["cloud"], "Azure China", "cloud: 'Azure China' is not"),
        (["cloud"], "Public\n", "cloud: 'Public\\n' is not"),
        (["cloud"], 5, "cloud: 5 is not"),
        (["changeNumber"], ..., "changeNumber: nothing is not a number"),
        (["changeNumber"], 0, "changeNumber: 0 is not"),
        (["changeNumber"], -1, "changeNumber: -1 is not"),
        (["changeNumber"], 1.0, "changeNumber: 1.0 is not"),
        (["changeNumber"], True, "changeNumber: true is not"),
        (["changeNumber"], "7", "changeNumber: '7' is not"),
        (["values"], ..., "values: nothing is not a list"),
        (["values"], {}, "values: an object is not a list"),
        (["values"], [], "values: the list of service tags is empty"),
        (["values", 1], None, "values[1]: null is not a service tag"),
        (["values", 1, "name"], ..., "values[1].name: nothing is not a tag's name"),
        (["values", 1, "name"], "", "values[1].name: '' is not"),
        (["values", 1, "name"], "a b", "values[1].name: 'a b' is not"),
        (["values", 1, "name"], "é", "values[1].name: 'é' is not"),
        (["values", 1, "name"], "x" * 129, "is not a tag's name"),
        (["values", 1, "name"], "storage", "values[1].id: 'Storage.WestEurope' is not the tag's"),
        (["values", 1, "id"], ..., "values[1].id: nothing is not the tag's name"),
        (["values", 1, "properties"], ..., "values[1].properties: nothing is not an object"),
        (PREFIXES, ..., f"{WHERE}: nothing is not a list (tag 'Storage.WestEurope')"),
        (PREFIXES, [], f"{WHERE}: tag 'Storage.WestEurope' has no prefixes"),
        (PREFIXES, "10.0.0.0/8", f"{WHERE}: '10.0.0.0/8' is not a list"),
        (PREFIXES, [None], f"{WHERE}[0]: null is not text"),
        (PREFIXES, [["10.0.0.0/8"]], f"{WHERE}[0]: a list is not text"),
        (PREFIXES, ["10.0.0.0/8", "10.0.0.1"], f"{WHERE}[1]: '10.0.0.1' is not an address with a"),
        # the highest and the lowest host bit
        (PREFIXES, ["10.128.0.0/8"], "'10.128.0.0/8' has host bits set"),
        (PREFIXES, ["10.0.0.1/31"], "'10.0.0.1/31' has host bits set"),
        (PREFIXES, ["10.0.0.1/8"], f"{WHERE}[0]: '10.0.0.1/8' has host bits set"),
        (PREFIXES, ["2001:db8:1:0::/33"], "'2001:db8:1:0::/33' has host bits set"),
        (PREFIXES, ["2001:db8::8/124"], "'2001:db8::8/124' has host bits set"),
        (PREFIXES, ["2001:db8::1/64"], f"{WHERE}[0]: '2001:db8::1/64' has host bits set"),
        (PREFIXES, ["0.0.0.0/0"], f"{WHERE}[0]: '0.0.0.0/0' is every address there is"),
        (PREFIXES, ["::/0"], f"{WHERE}[0]: '::/0' is every address there is"),
        (PREFIXES, ["0:0::0.0.0.0/0"], "is every address there is"),
        (PREFIXES, ["10.0.0.0/33"], f"{WHERE}[0]: '10.0.0.0/33' is not an address prefix"),
        (PREFIXES, ["10.0.0.0/08"], "is not an address with a prefix length"),
        (PREFIXES, ["10.0.0.0/255.0.0.0"], "is not an address with a prefix length"),
        (PREFIXES, ["010.0.0.0/8"], "is not an address prefix"),
        (PREFIXES, ["256.0.0.0/8"], "is not an address prefix"),
        (PREFIXES, ["fe80::%eth0/64"], "is not an address prefix"),
        (PREFIXES, [" 10.0.0.0/8"], "is not an address prefix"),
        (PREFIXES, ["10.0.0.0/8 11.0.0.0/8"], "is not an address prefix"),
        (PREFIXES, ["\u0661\u0660.0.0.0/8"], "is not an address prefix"),
        (PREFIXES, ["x" * 5000 + "/8"], "is not an address with a prefix length"),
    ],
)
def test_one_thing_wrong(path: list[Any], value: object, text: str) -> None:
    """What and where; nothing else of the file is then taken."""
    assert text in refuse(spoilt(path, value))


def test_names_differ_by_more_than_case() -> None:
    """Looked up without case, two such tags would be one."""
    document = tag_document({"Storage": ["10.0.0.0/8"], "storagE": ["11.0.0.0/8"]})
    assert "values[1].name: 'storagE' is taken by values[0] already" in refuse(document)


def test_the_last_of_many_prefixes_is_checked() -> None:
    """Also where the same text has been seen in another tag."""
    good = [f"10.{a}.{b}.0/24" for a in range(20) for b in range(256)]
    read_tag_file(tag_file({"A": good, "B": good}))
    text = refuse(tag_document({"A": good, "B": [*good, "10.0.0.1/24"]}))
    assert f"values[1].properties.addressPrefixes[{len(good)}]" in text


GROUPS = st.lists(
    st.sampled_from(
        ["0", "1", "fF", "0000", "ffff", "12345", "", "0.0.0.0", "1.2.3.4", "1.02.3.4"]
    ),
    max_size=8,
).map(":".join)


@given(
    st.builds(
        "{}.{}.{}.{}/{}".format,
        *[st.integers(0, 300) | st.sampled_from([0, 128, 255, "00", "01", "", "x"])] * 4,
        st.integers(0, 40) | st.sampled_from(["00", "08", "", "-1"]),
    )
    | st.builds("{:x}:{:x}::/{}".format, *[st.integers(0, 0x1FFFF)] * 2, st.integers(0, 140))
    | st.text(alphabet="0123456789abcdef:./%", max_size=20)
    | st.builds(
        "{}{}{}/{}".format,
        GROUPS,
        st.sampled_from(["::", ":", ""]),
        GROUPS,
        st.integers(0, 130),
    )
)
def test_the_quick_check_agrees_with_the_values(text: str) -> None:
    """A prefix is taken exactly where Prefix.parse takes it, short of everything and of addresses.

    Lengths with a leading zero are the one difference: no file has them.
    """
    try:
        prefix: Prefix | None = Prefix.parse(text)
    except ValueError:
        prefix = None
    length = text.partition("/")[2]
    is_good = prefix is not None and bool(prefix.length) and length == str(prefix.length)
    try:
        catalogue = read_tag_file(tag_file({"Tag": [text]}))
    except TagFileRefused:
        assert not is_good
        return
    assert is_good
    assert catalogue.prefixes("Tag") == (prefix,)


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("Public", True),
        ("AzureGovernment", True),
        ("", False),
        ("a/b", False),
        ("a.b", False),
        ("Public\n", False),
        ("\u212a", False),
        ("x" * 65, False),
    ],
)
def test_names_of_clouds(text: str, is_name: bool) -> None:
    """Letters alone: the name becomes a file's."""
    assert is_cloud_name(text) is is_name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
PLACES: list[list[Any]] = [
    ["cloud"],
    ["changeNumber"],
    ["values"],
    ["values", 0],
    ["values", 0, "name"],
    ["values", 0, "id"],
    ["values", 0, "properties"],
    ["values", 0, "properties", "addressPrefixes"],
    ["values", 0, "properties", "addressPrefixes", 0],
]


@given(st.sampled_from(PLACES), JSON)
def test_any_value_is_taken_or_refused(place: list[Any], value: object) -> None:
    """Nothing else is raised, and the reason can be printed."""
    text = ""
    try:
        read_tag_file(json.dumps(spoilt(place, value)).encode())
    except TagFileRefused as refused:
        text = str(refused)
    assert text.isprintable()


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    """Nothing else is raised."""
    refuse(content)
