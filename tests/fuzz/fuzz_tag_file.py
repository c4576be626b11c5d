"""Fuzzes the reader of tag files: ``python -m tests.fuzz.fuzz_tag_file [SECONDS]``.

Whatever the bytes, a file is read or TagFileRefused: anything else that is raised ends the run with
a trace and the input. Needs atheris, of the extra ``dev``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

try:
    import atheris
except ImportError:
    sys.exit("atheris is missing: pip install -e '.[dev]'")

with atheris.instrument_imports(include=["nsgd.config.tag_catalogue"]):
    from nsgd.config.tag_catalogue import TagFileRefused, read_tag_file

from nsgd.model.address import Address
from tests.tag_files import tag_document, tag_file

_PLACES: tuple[tuple[str | int, ...], ...] = (
    ("cloud",),
    ("changeNumber",),
    ("values", 1),
    ("values", 1, "name"),
    ("values", 1, "id"),
    ("values", 1, "properties"),
    ("values", 1, "properties", "addressPrefixes"),
    ("values", 1, "properties", "addressPrefixes", 0),
)


def test_one_input(data: bytes) -> None:
    """Bytes as they come, a good file with some replaced, or one value of it replaced."""
    provider = atheris.FuzzedDataProvider(data)
    kind = provider.ConsumeIntInRange(0, 2)
    if kind == 0:
        content = provider.ConsumeBytes(sys.maxsize)
    elif kind == 1:
        good = tag_file()
        start = provider.ConsumeIntInRange(0, len(good))
        end = provider.ConsumeIntInRange(start, len(good))
        content = good[:start] + provider.ConsumeBytes(sys.maxsize) + good[end:]
    else:
        document: Any = tag_document()
        place = provider.PickValueInList(list(_PLACES))
        holder = document
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = _value(provider)
        content = json.dumps(document).encode()
    try:
        catalogue = read_tag_file(content)
    except TagFileRefused as refused:
        if not str(refused).isprintable():
            raise AssertionError(f"not printable: {str(refused)!r}") from refused
        return
    for name in catalogue.names():
        if catalogue.find(name) != name or len(catalogue.prefixes(name)) != catalogue.count(name):
            raise AssertionError(f"what was read is not what is found: {name!r}")
    list(catalogue.tags_of(Address.parse("203.0.113.1")))


def _value(provider: Any) -> object:
    kind = provider.ConsumeIntInRange(0, 4)
    if kind == 0:
        return provider.ConsumeUnicode(40)
    if kind == 1:
        return provider.ConsumeString(40)
    if kind == 2:
        return provider.ConsumeInt(8)
    if kind == 3:
        return [provider.ConsumeUnicode(20) for _ in range(provider.ConsumeIntInRange(0, 3))]
    return None


def main() -> None:
    """Run for so many seconds, 60 unless given."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}"], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
