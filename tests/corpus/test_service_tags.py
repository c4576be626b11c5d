"""Microsoft's published files, where they are at hand: read whole, and the update between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from nsgd.config.tag_catalogue import TagCatalogue, read_tag_file
from nsgd.config.tag_update import check_update, difference
from nsgd.model.address import Address, Prefix
from nsgd.runtime.tag_install import install

CORPUS = Path(os.environ.get("NSGD_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
FILES = CORPUS / "service-tags"
OLD, NEW = FILES / "ServiceTags_Public_cn252.json", FILES / "ServiceTags_Public_cn363.json"
MAXIMUM_MIB = 60
# Loading takes about 0.3 s; asserted is what no machine should need.

pytestmark = pytest.mark.skipif(not NEW.exists(), reason=f"{FILES} is not here")


@cache
def catalogue(path: Path) -> TagCatalogue:
    """A file, read once."""
    return read_tag_file(path.read_bytes())


@pytest.mark.parametrize(("path", "tags", "prefixes"), [(OLD, 2331, 62771), (NEW, 2967, 90493)])
def test_everything_in_the_file_is_there(path: Path, tags: int, prefixes: int) -> None:
    """Every tag and every prefix, compared with the plain JSON."""
    found = catalogue(path)
    assert (len(found.names()), found.prefix_count) == (tags, prefixes)
    for value in json.loads(path.read_bytes())["values"]:
        name, texts = value["name"], value["properties"]["addressPrefixes"]
        assert found.find(name.upper()) == name
        assert found.prefixes(name) == tuple(map(Prefix.parse, texts))


def test_the_update_from_one_to_the_other(tmp_path: Path) -> None:
    """Two years forward it is taken, back it is not."""
    old, new = catalogue(OLD), catalogue(NEW)
    assert check_update(new, old) == ()
    assert len(check_update(old, new)) == 2  # the number, and fewer prefixes
    changed = difference(new, old)
    assert (len(changed.gone), len(changed.new)) == (69, 705)
    install(tmp_path, OLD.read_bytes())
    assert install(tmp_path, NEW.read_bytes()).is_new


def test_the_update_where_tags_are_in_use() -> None:
    """One that lost nearly all its prefixes, for wider ones; one that went cannot be forced."""
    shrunk, grown = check_update(
        catalogue(NEW), catalogue(OLD), ["WindowsVirtualDesktop", "Storage", "AzureCloud"]
    )
    assert "'WindowsVirtualDesktop', which rules in force name, has 4 prefixes" in shrunk.message
    assert "has 69632 IPv4 addresses, and 4448 in" in grown.message
    assert shrunk.can_be_forced
    assert grown.can_be_forced
    every = [name for name in catalogue(OLD).names() if catalogue(NEW).find(name)]
    found = check_update(catalogue(NEW), catalogue(OLD), every)
    assert sum("over tenfold" in problem.message for problem in found) == 4
    (gone,) = check_update(catalogue(NEW), catalogue(OLD), ["ActionGroup.UKNorth"])
    assert not gone.can_be_forced


def test_find_an_address() -> None:
    """The same tags as a plain look at everything."""
    address = Address.parse("20.60.0.1")
    expected = [
        name
        for name in catalogue(NEW).names()
        if any(prefix.contains(address) for prefix in catalogue(NEW).prefixes(name))
    ]
    assert expected
    assert [name for name, _ in catalogue(NEW).tags_of(address)] == expected


def test_time_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a process that reads the file and keeps it: measured and printed."""
    # ru_maxrss would be no less than that of the process that started this one.
    program = (
        "import re, sys, time\n"
        "from nsgd.config.tag_catalogue import read_tag_file\n"
        "def peak():\n"
        "    with open('/proc/self/status') as file:\n"
        "        return int(re.search('VmHWM:\\\\s+(\\\\d+) kB', file.read())[1])\n"
        "before, began = peak(), time.process_time()\n"
        "with open(sys.argv[1], 'rb') as file:\n"
        "    kept = read_tag_file(file.read())\n"
        "print(time.process_time() - began, (peak() - before) / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, NEW], capture_output=True, text=True, check=True
    )
    cpu_s, mib = map(float, done.stdout.split())
    with capsys.disabled():
        print(f"\n{NEW.name}: {cpu_s:.2f} s of CPU, {mib:.0f} MiB more at the peak")
    assert 1 < mib < MAXIMUM_MIB
