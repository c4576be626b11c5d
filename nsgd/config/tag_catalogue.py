"""Microsoft's file of service tags, read and checked whole; prefixes stay text until asked for.

A tag that a rule names must stand for what Microsoft published, so a file with one mistake in it is
refused altogether: the caller keeps the one it had.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from nsgd.config.names import fold
from nsgd.config.problem import Key, format_path
from nsgd.config.tag_prefix import why_no_prefix
from nsgd.config.wording import show
from nsgd.model.address import Address, Prefix

# Microsoft's file of 2025 has 4.1 MB and 127 767 values. A value takes up to 8 us and 300 bytes,
# whatever its length in the file: a file of nothing but {} would otherwise take 25 times its size.
MAXIMUM_TAG_FILE_BYTES = 16 << 20
MAXIMUM_VALUES = 350_000
# The file of 2025 has 363: it grows by one or two a week.
MAXIMUM_CHANGE_NUMBER = 1_000_000
DOWNLOAD_PAGE = "https://www.microsoft.com/en-us/download/details.aspx?id=56519"

_WAY_OUT = "keep the file you have, and download Microsoft's file again"
_CLOUD = re.compile(r"[A-Za-z]{1,64}")
_TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class TagFileRefused(Exception):
    """The file is not one of Microsoft's, or not whole; the text says what, where and the way out.

    *message* has no way out: for callers with a better one.
    """

    def __init__(self, message: str, way_out: str = _WAY_OUT) -> None:
        super().__init__(f"{message}; {way_out}")
        self.message = message
        self.way_out = way_out


class TagCatalogue:
    """One tag file, as read: every prefix in it has been checked."""

    def __init__(self, cloud: str, change_number: int, prefixes: Mapping[str, str]) -> None:
        """Take what was checked; *prefixes* holds each tag's own as one text, with blanks."""
        self.cloud = cloud
        self.change_number = change_number
        self._prefixes = dict(prefixes)
        self._spellings = {fold(name): name for name in prefixes}

    def find(self, name: str) -> str | None:
        """The file's spelling of a tag, looked up whole and without case; None if it has none."""
        return self._spellings.get(fold(name))

    def prefixes(self, name: str) -> tuple[Prefix, ...]:
        """The prefixes of a name that find() returned, in the file's order."""
        return tuple(Prefix.parse(text) for text in self._prefixes[name].split())

    def names(self) -> tuple[str, ...]:
        """All tags, in the file's order."""
        return tuple(self._prefixes)

    def texts(self, name: str) -> list[str]:
        """The same, as the file writes them."""
        return self._prefixes[name].split()

    def count(self, name: str) -> int:
        """How many prefixes a name that find() returned has."""
        return self._prefixes[name].count(" ") + 1

    @property
    def prefix_count(self) -> int:
        """Prefixes of all tags; one that several tags have counts in each."""
        return sum(map(self.count, self._prefixes))

    def tags_of(self, address: Address) -> Iterator[tuple[str, Prefix]]:
        """Every tag that holds the address, with the first prefix that does; looks at all."""
        mark = "." if address.version == 4 else ":"
        holds: dict[str, Prefix | None] = {}
        for name, texts in self._prefixes.items():
            for text in texts.split():
                if mark not in text:
                    continue
                if text not in holds:
                    prefix = Prefix.parse(text)
                    holds[text] = prefix if prefix.contains(address) else None
                found = holds[text]
                if found is not None:
                    yield name, found
                    break


class TagSource(Protocol):
    """Where installed catalogues are found."""

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """The catalogue of a cloud; None where no file of it is installed."""


def is_cloud_name(text: str) -> bool:
    """Tell whether a text may be the name of a cloud: letters alone, so never a path."""
    return _CLOUD.fullmatch(text) is not None


def read_tag_file(content: bytes) -> TagCatalogue:
    """Read and check a tag file.

    Every prefix is checked once, however many tags have it, and kept as text: the 90 493 prefixes
    of 2025 take about 0.2 s, and as values they would take twice that and five times the memory.

    Raises:
        TagFileRefused: For anything but a whole file; nothing else, whatever the bytes.

    Source:
        Azure, Service tags overview, Service tags on-premises: "You can download JSON files that
        contain the current list of service tags together with IP address range details."
    """
    document = _parse(content)
    if not isinstance(document, dict):
        raise TagFileRefused(f"the file is {show(document)}, not an object")
    cloud = document.get("cloud")
    if not isinstance(cloud, str) or not is_cloud_name(cloud):
        _refuse(("cloud",), f"{_shown(document, 'cloud')} is not the name of a cloud")
    number = document.get("changeNumber")
    if type(number) is not int or not 1 <= number <= MAXIMUM_CHANGE_NUMBER:
        _refuse(
            ("changeNumber",),
            f"{_shown(document, 'changeNumber')} is not a number from 1 to {MAXIMUM_CHANGE_NUMBER}",
        )
    values = document.get("values")
    if not isinstance(values, list):
        _refuse(("values",), f"{_shown(document, 'values')} is not a list of service tags")
    if not values:
        _refuse(("values",), "the list of service tags is empty")
    return TagCatalogue(cloud, number, _read_tags(values))


def _parse(content: bytes) -> object:
    if len(content) > MAXIMUM_TAG_FILE_BYTES:
        raise TagFileRefused(f"the file is longer than {MAXIMUM_TAG_FILE_BYTES >> 20} MiB")
    # Each value follows one of these; in texts, where they count too, a tag file has none.
    if sum(map(content.count, (b",", b"[", b"{"))) > MAXIMUM_VALUES:
        raise TagFileRefused(f"the file has more than {MAXIMUM_VALUES} values")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TagFileRefused(f"byte {error.start} is not UTF-8: this is no JSON file") from error
    if not text.strip():
        raise TagFileRefused("the file is empty")
    if text.lstrip()[:1] == "<":
        raise TagFileRefused(
            "the file is an HTML page, not JSON",
            f"follow the download link on it, {DOWNLOAD_PAGE}, and take the .json file",
        )
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        is_cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        what = "the file is cut short" if is_cut else f"this is not JSON ({error.msg.lower()})"
        raise TagFileRefused(f"line {error.lineno}: {what}") from error
    except RecursionError as error:
        raise TagFileRefused("lists and objects are nested too deeply") from error
    except ValueError as error:
        # An integer of more digits than Python reads.
        raise TagFileRefused("a number has too many digits") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen = dict.fromkeys(made, 0)
        for key, _ in pairs:
            seen[key] += 1
        twice = next(key for key, count in seen.items() if count > 1)
        raise TagFileRefused(f"an object has the key {show(twice)} twice")
    return made


def _no_constant(text: str) -> NoReturn:
    raise TagFileRefused(f"{text} is not JSON")


def _read_tags(values: Sequence[object]) -> dict[str, str]:
    tags: dict[str, str] = {}
    places: dict[str, int] = {}
    checked: set[str] = set()
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            _refuse(("values", index), f"{show(value)} is not a service tag")
        name = value.get("name")
        if not isinstance(name, str) or not _TAG_NAME.fullmatch(name):
            _refuse(("values", index, "name"), f"{_shown(value, 'name')} is not a tag's name")
        identity = value.get("id")
        if not isinstance(identity, str) or fold(identity) != fold(name):
            _refuse(
                ("values", index, "id"),
                f"{_shown(value, 'id')} is not the tag's name, {show(name)}",
            )
        first = places.setdefault(fold(name), index)
        if first != index:
            _refuse(("values", index, "name"), f"{show(name)} is taken by values[{first}] already")
        properties = value.get("properties")
        if not isinstance(properties, dict):
            _refuse(
                ("values", index, "properties"),
                f"{_shown(value, 'properties')} is not an object (tag {show(name)})",
            )
        tags[name] = _read_prefixes(properties, name, index, checked)
    return tags


def _read_prefixes(
    properties: Mapping[str, object], name: str, index: int, checked: set[str]
) -> str:
    """The tag's prefixes as one text; *checked* are those that other tags have too."""
    place = ("values", index, "properties", "addressPrefixes")
    prefixes = properties.get("addressPrefixes")
    if not isinstance(prefixes, list):
        _refuse(place, f"{_shown(properties, 'addressPrefixes')} is not a list (tag {show(name)})")
    if not prefixes:
        # A Deny rule that names it would deny nothing.
        _refuse(place, f"tag {show(name)} has no prefixes")
    for number, text in enumerate(prefixes):
        if isinstance(text, str) and text in checked:
            continue
        reason = why_no_prefix(text)
        if reason:
            _refuse((*place, number), f"{show(text)} {reason} (tag {show(name)})")
        checked.add(text)
    return " ".join(prefixes)


def _shown(document: Mapping[str, object], key: str) -> str:
    return show(document[key]) if key in document else "nothing"


def _refuse(path: tuple[Key, ...], message: str) -> NoReturn:
    raise TagFileRefused(f"{format_path(path)}: {message}")
