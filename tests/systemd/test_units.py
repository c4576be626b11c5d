"""The units, judged by systemd's own tools; no systemd needs to run."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.programs import program

UNITS = Path(__file__).parents[2] / "systemd"
MAXIMUM_EXPOSURE = 1.6


@pytest.fixture(scope="module")
def tools() -> None:
    """systemd's tools, which a CI that runs as root has installed."""
    program("systemd", "systemd-analyze")


@pytest.fixture
def units(tools: None, tmp_path: Path) -> list[Path]:
    """The units with a program that exists, since nsgd need not be installed."""
    copies = []
    for unit in sorted(UNITS.glob("*.service")) + sorted(UNITS.glob("*.timer")):
        copies.append(tmp_path / unit.name)
        text = unit.read_text().replace("/usr/bin/nsgd", "/bin/true")
        copies[-1].write_text(text.replace("/usr/bin/python3", "/bin/true"))
    assert [unit.name for unit in copies] == [
        "nsgd-boot.service",
        "nsgd-tags.service",
        "nsgd-web.service",
        "nsgd.service",
        "nsgd-tags.timer",
    ]
    return copies


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of systemd's tools."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_verify_has_no_complaint(units: list[Path]) -> None:
    """No unknown directive, no value that is ignored, no cycle of orderings."""
    checked = run("systemd-analyze", "verify", "--man=no", *units)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_verify_sees_mistakes(units: list[Path]) -> None:
    """The test above has something to find."""
    units[3].write_text(units[3].read_text().replace("Type=notify", "Type=notice"))
    assert "notice" in run("systemd-analyze", "verify", "--man=no", *units).stderr


@pytest.mark.parametrize(
    "name", ["nsgd.service", "nsgd-boot.service", "nsgd-tags.service", "nsgd-web.service"]
)
def test_exposure(units: list[Path], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """systemd's score, 0 to 10, of what a process of the unit could reach."""
    (unit,) = (unit for unit in units if unit.name == name)
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert found, judged.stdout + judged.stderr
    with capsys.disabled():
        print(f"\n{name}: exposure {found[1]}")
    assert float(found[1]) <= MAXIMUM_EXPOSURE


class Directives(configparser.RawConfigParser):
    """Keeps the case of names."""

    def optionxform(self, optionstr: str) -> str:
        """The name as it is."""
        return optionstr


def directives(name: str) -> Directives:
    """A unit's sections; of a directive that is given twice, the last."""
    parser = Directives(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.read_string((UNITS / name).read_text())
    return parser


@pytest.mark.parametrize("name", ["nsgd.service", "nsgd-boot.service"])
def test_one_capability(name: str) -> None:
    """No other can be had, and no process of the unit is root's but the one chgrp."""
    service = directives(name)["Service"]
    assert service["User"] == "nsgd"
    assert service["AmbientCapabilities"] == service["CapabilityBoundingSet"] == "CAP_NET_ADMIN"
    assert service["NoNewPrivileges"] == "yes"
    as_root = [
        line
        for line in (UNITS / name).read_text().splitlines()
        if re.match(r"Exec\w+=[-@:]*[+!]", line)
    ]
    assert [line.split("=-+")[1].split()[0] for line in as_root] == (
        ["/bin/chgrp"] if name == "nsgd.service" else []
    )


def test_the_fetcher_can_write_tag_files_alone() -> None:
    """Its own user, no capability, and of the daemon's directory only the part with tag files."""
    service = directives("nsgd-tags.service")["Service"]
    assert service["User"] == "nsgd-tags"
    assert service["Group"] == directives("nsgd.service")["Service"]["Group"]
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "nsgd/service-tags"
    assert "ReadWritePaths" not in service
    assert service["InaccessiblePaths"] == "-/run/nsgd -/etc/nsgd"
    assert "-m nsgd.tag_fetch --state-dir /var/lib/nsgd" in service["ExecStart"]
    timer = directives("nsgd-tags.timer")["Timer"]
    assert (timer["OnCalendar"], timer["Persistent"]) == ("daily", "yes")
    assert "RandomizedDelaySec" in timer


def test_the_web_page_can_ask_the_daemon_alone() -> None:
    """Its own user in the socket's group, no capability, no document, no network but loopback."""
    service = directives("nsgd-web.service")["Service"]
    assert service["User"] == "nsgd-web"
    assert service["Group"] == directives("nsgd.service")["Service"]["Group"]
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert "ReadWritePaths" not in service
    assert service["InaccessiblePaths"] == "-/etc/nsgd -/var/lib/nsgd -/var/log/nsgd"
    assert (service["IPAddressDeny"], service["IPAddressAllow"]) == ("any", "localhost")
    assert "Requires" not in directives("nsgd-web.service")["Unit"]


def test_reload_by_newer_systemd() -> None:
    """The drop-in changes how a reload is told and followed, and nothing else."""
    lines = (UNITS / "notify-reload.conf").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "[Service]",
        "Type=notify-reload",
        "ExecReload=",
    ]
    service = directives("nsgd.service")["Service"]
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/usr/bin/nsgd reload"


def test_a_crash_is_never_given_up() -> None:
    """No limit on starts, and the rules are there before the daemon and before the network."""
    unit = directives("nsgd.service")
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["Restart"] == "on-failure"
    boot = directives("nsgd-boot.service")["Unit"]
    assert boot["DefaultDependencies"] == "no"
    assert "Before=network-pre.target" in (UNITS / "nsgd-boot.service").read_text().splitlines()
    assert "nsgd-boot.service" in unit["Unit"]["After"]
    assert "nsgd-boot.service" in unit["Unit"]["Wants"]


def test_the_way_out_is_named() -> None:
    """Whoever opens the unit after stopping it finds how to let traffic pass."""
    assert "nsgd stop --remove-rules" in (UNITS / "nsgd.service").read_text()


def test_sysusers(tools: None, tmp_path: Path) -> None:
    """The user and its group come about."""
    if shutil.which("systemd-sysusers") is None or os.geteuid() != 0:
        pytest.skip("needs root and systemd-sysusers")
    (tmp_path / "etc").mkdir()
    made = run("systemd-sysusers", f"--root={tmp_path}", UNITS / "nsgd.sysusers")
    assert made.returncode == 0, made.stderr
    assert "nsgd:x:" in (tmp_path / "etc" / "passwd").read_text()
    assert "nsgd-web:x:" in (tmp_path / "etc" / "passwd").read_text()
    assert "nsgd-tags:x:" in (tmp_path / "etc" / "passwd").read_text()
    assert "nsgd:x:" in (tmp_path / "etc" / "group").read_text()


def test_sysctl_names_exist() -> None:
    """Each setting is one that a kernel with conntrack has, and none fails where it is absent."""
    lines = (UNITS / "nsgd.sysctl").read_text().splitlines()
    settings = [line for line in lines if line and not line.startswith("#")]
    assert settings
    for line in settings:
        assert line.startswith("-net.netfilter.nf_conntrack_")


def test_modules_are_one_a_line() -> None:
    """And only those without which nothing works: a missing one would count as a failed boot."""
    lines = (UNITS / "nsgd.modules-load").read_text().splitlines()
    modules = [line for line in lines if line and not line.startswith("#")]
    assert modules == ["nf_tables", "nf_conntrack", "nfnetlink_queue"]
