"""The package's files agree with the project's; what needs a build is in ``make package-test``."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from nsgd import __version__
from nsgd.config.document import Document
from nsgd.config.load import load_documents

REPOSITORY = Path(__file__).parents[2]
DEBIAN = REPOSITORY / "debian"
LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
# name==version, perhaps a marker, then hashes.
LOCKED = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[0-9][\w.]*)(?: ; [^\\\n]+)?"
    r"(?: \\\n    --hash=sha256:[0-9a-f]{64})+(?:\n    #[^\n]*)*$",
    re.MULTILINE,
)


def versions(lock: str) -> dict[str, str]:
    """Names and versions of a lock file."""
    text = (REPOSITORY / "requirements" / f"{lock}.txt").read_text()
    return {found["name"]: found["version"] for found in LOCKED.finditer(text)}


def test_the_changelog_has_the_version() -> None:
    """As Debian orders it: a pre-release comes before its release."""
    first = (DEBIAN / "changelog").read_text().splitlines()[0]
    assert first.startswith(f"nsgd ({__version__.replace('.dev', '~dev')}) ")


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_whatever_is_locked_has_hashes(path: Path) -> None:
    """Every line belongs to a pinned version with hashes; there is no address of an index."""
    text = path.read_text()
    assert LOCKED.sub("", text).strip() == ""
    assert "://" not in text


def test_there_are_locks() -> None:
    """The test above has something to look at, and tells a line without a hash."""
    assert [path.stem for path in LOCKS] == ["build", "bundled", "docs", "runtime", "test"]
    assert len(versions("test")) > 20
    assert not LOCKED.fullmatch("pyroute2==0.9.7")


def test_locks_agree() -> None:
    """What is tested is what is bundled and what builds."""
    tested, runtime = versions("test"), versions("runtime")
    assert runtime.items() <= tested.items()
    assert versions("bundled").items() <= runtime.items()
    both = versions("build").keys() & tested.keys()
    assert both
    assert all(versions("build")[name] == tested[name] for name in both)


def test_what_is_needed_is_bundled_or_depended_on() -> None:
    """Each dependency once, and Debian's own not older than what the project allows."""
    control = (DEBIAN / "control").read_text().partition("\nPackage: ")[2]
    from_debian = dict(re.findall(r"python3-([a-z-]+) \(>= ([0-9.]+)\)", control))
    needed = {}
    for requirement in PROJECT["dependencies"]:
        name, _, rest = requirement.partition(">=")
        needed[name.lower().removeprefix("py") if name == "PyYAML" else name] = rest.split(",")[0]
    bundled = versions("bundled").keys() - {"win-inet-pton"}
    assert bundled | from_debian.keys() == needed.keys()
    assert not bundled & from_debian.keys()
    assert from_debian == {name: needed[name] for name in from_debian}


def test_the_fetcher_runs_from_the_package() -> None:
    """The line that debian/rules rewrites is in the unit; Debian's interpreter knows no nsgd."""
    rules = (DEBIAN / "rules").read_text()
    unit = (REPOSITORY / "systemd" / "nsgd-tags.service").read_text()
    found = re.search(r"sed -i 's\|([^|]+)\|([^|]+)\|'", rules)
    assert found
    assert f"ExecStart={found[1]} nsgd.tag_fetch " in unit
    rewritten = unit.replace(found[1], found[2])
    assert "ExecStart=/usr/lib/nsgd/bin/python3 -I -m nsgd.tag_fetch " in rewritten


def test_every_unit_is_handled() -> None:
    """What can be enabled is left disabled, and is cleaned up after."""
    rules = (DEBIAN / "rules").read_text()
    for unit in (REPOSITORY / "systemd").iterdir():
        if "[Install]" in unit.read_text():
            assert f" {unit.name}" in rules
    handled = re.findall(r"dh_installsystemd (.*(?:\\\n.*)?)", rules)
    assert len(handled) == 2
    assert all("--no-enable --no-start" in line for line in handled)


def test_the_first_document_filters_nothing() -> None:
    """It loads, declares no network, and only counts should somebody add one."""
    loaded = load_documents([Document("nsgd.yaml", (DEBIAN / "nsgd.yaml").read_bytes())])
    assert loaded.warnings == ()
    assert loaded.model.virtual_networks == ()
    assert loaded.settings.mode.value == "audit"
    assert loaded.settings.failure_mode.value == "closed"


def test_what_the_first_document_shows_is_a_policy() -> None:
    """With the signs of comment taken away from what is not a sentence."""
    text = (DEBIAN / "nsgd.yaml").read_text().partition("\ndaemon:\n")[2]
    text = "daemon:\n" + re.sub(r"(?m)^( *)#(?! \S)", r"\1", text)
    loaded = load_documents([Document("nsgd.yaml", text.encode())])
    assert len(loaded.model.network_security_groups) == 1
    assert len(loaded.settings.failsafe) == 1


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm", "nsgd.sh"])
def test_scripts_can_be_read(script: str) -> None:
    """By a shell, which a mistake in a maintainer's script would stop in the middle."""
    checked = subprocess.run(
        ["sh", "-n", DEBIAN / script], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
