"""``nsgd lab --config`` with the real daemon and real packets, on small policies; and kept labs."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nsgd.cli import main
from nsgd.commands.common import load_config, tag_source
from nsgd.commands.lab import add_options
from nsgd.lab import policy_run
from nsgd.lab.netns import own_namespaces
from tests.lab.policies import (
    FORWARDING,
    NO_GROUP,
    PEERED,
    SCALED,
    Json,
    group,
    load,
    network,
    nic,
    rule,
    subnet,
)
from tests.lab.test_netns import is_running
from tests.tag_files import tag_file

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
ALTERED = ROOT / "tests" / "lab" / "altered_nsgd.py"


def options_of(*words: str) -> argparse.Namespace:
    """The options of a lab that is made."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


def run_lab(
    document: Json, *options: str, change: str = "none", capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """The exit code and what was printed."""
    args = options_of("--config", "policy.json", *options)
    code = policy_run.run(args, load(document), [sys.executable, str(ALTERED), change])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def result_of(document: Json, *options: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What programs get, of a lab in which everything is right."""
    code, output = run_lab(document, "-o", "json", *options, capsys=capsys)
    assert code == 0, output
    result: dict[str, Any] = json.loads(output)
    assert (result["disagreements"], result["counterDifferences"]) == (0, [])
    assert own_namespaces() == []
    return result


def observed(result: dict[str, Any], sender: str, receiver: str) -> dict[str, str]:
    """What happened to each IPv4 service between two hosts."""
    return {
        probe["service"]: probe["observed"]
        for probe in result["probes"]
        if (probe["from"], probe["to"], probe["ipVersion"]) == (sender, receiver, 4)
    }


def test_peered_networks_and_both_families(capsys: pytest.CaptureFixture[str]) -> None:
    """All is as the policy says, and every rule that can be hit is."""
    result = result_of(PEERED, "--probes", "500", capsys=capsys)
    assert len(result["probes"]) == 500
    assert {probe["ipVersion"] for probe in result["probes"]} == {4, 6}
    assert {probe["observed"] for probe in result["probes"]} == {"answered", "no answer"}
    counted = {
        (row["networkSecurityGroup"], row["rule"]): row["hits"]
        for row in result["status"]["ruleHits"]
    }
    for each in PEERED["networkSecurityGroups"]:
        for one in each["securityRules"]:
            assert counted[each["name"], one["name"]] > 0
    assert result["rules"]["of"] - result["rules"]["hit"] == len(result["rules"]["notHit"])
    # From the Internet by the ports of the rule, and by no other.
    web = observed(result, "internet", "web1")
    ports = {name: state for name, state in web.items() if name.startswith("tcp 8")}
    assert ports
    assert all(
        state == ("answered" if 8000 <= int(name.split()[1]) <= 8010 else "no answer")
        for name, state in ports.items()
    )
    links = {host["name"]: host["link"] for host in result["hosts"]}
    assert (links["web1"], links["app1"]) == ("to-web1", "h-app1")


def test_a_scale_set_and_application_security_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """Instances are members, and a NIC inside their prefix is not."""
    result = result_of(SCALED, "--probes", "600", capsys=capsys)
    assert observed(result, "member", "set-0")["tcp 5000"] == "answered"
    assert observed(result, "set-1", "member")["tcp 5010"] == "answered"
    assert observed(result, "set-0", "set-1")["tcp 4999"] == "no answer"
    assert set(observed(result, "member", "guest").values()) == {"no answer"}


def test_a_host_behind_a_forwarding_nic(capsys: pytest.CaptureFixture[str]) -> None:
    """What comes through the NIC is judged as what the NIC sends, with the address it has."""
    result = result_of(FORWARDING, capsys=capsys)
    (behind,) = (host for host in result["hosts"] if host["behind"])
    assert (behind["name"], behind["addresses"][0]) == ("behind-firewall", "10.99.0.4")
    sent = {
        (probe["service"], probe["observed"], probe["decidedBy"])
        for probe in result["probes"]
        if (probe["from"], probe["ipVersion"]) == ("behind-firewall", 4)
        and probe["to"] != "platform"  # which no group keeps it from
    }
    assert ("icmp", "no answer", "firewall Outbound DenyPing") in sent
    assert ("tcp 1999", "answered", "firewall Outbound AllowRouted") in sent
    assert not {("icmp", "answered")} & {each[:2] for each in sent}
    assert "answered" in observed(result, "app1", "behind-firewall").values()


def test_service_tags_and_security_admin_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Internet has an address of a tag that a rule names; administrators come first."""
    file = tmp_path / "tags.json"
    file.write_bytes(tag_file({"Storage": ["198.51.100.0/25", "2001:20::/64"]}))
    storage = rule("ToStorage", 100, "Outbound", "Allow", destinationAddressPrefix="Storage")
    internet = rule("NoInternet", 110, "Outbound", "Deny", destinationAddressPrefix="Internet")
    admin_rule = {
        "name": "NoTelnet",
        "priority": 1,
        "direction": "Outbound",
        "access": "Deny",
        "protocol": "Tcp",
        "sources": ["*"],
        "sourcePortRanges": ["*"],
        "destinations": ["198.51.100.0/24"],
        "destinationPortRanges": ["23"],
    }
    collection = {"name": "all", "appliesTo": ["net"], "rules": [admin_rule]}
    document = {
        "virtualNetworks": [
            network("net", ["10.6.0.0/16"], subnet("one", "10.6.1.0/24", nsg="storage"))
        ],
        "networkInterfaces": [nic("a", "one", "10.6.1.4")],
        "networkSecurityGroups": [group("storage", storage, internet)],
        "securityAdminConfigurations": [{"name": "baseline", "ruleCollections": [collection]}],
    }
    args = options_of("--config", write(tmp_path, document), "--service-tags", str(file))
    args.probes, args.output = 200, "json"
    loaded = load_config(args, args.config)
    tags = tag_source(args)
    assert policy_run.run(args, loaded, tags=tags, service_tags=tags.path) == 0
    result = json.loads(capsys.readouterr().out)
    to_internet = {
        (probe["destination"], probe["observed"], probe["decidedBy"])
        for probe in result["probes"]
        if (probe["from"], probe["to"]) == ("a", "internet")
    }
    assert {
        ("198.51.100.127", "answered", "storage Outbound ToStorage"),
        ("198.51.100.128", "no answer", "storage Outbound NoInternet"),
        ("203.0.113.10", "no answer", "storage Outbound NoInternet"),
    } <= to_internet
    hits = {row["rule"] for row in result["status"]["ruleHits"] if row["hits"]}
    assert {"ToStorage", "NoInternet", "securityAdminRules/NoTelnet"} <= hits


def test_without_a_group_everything_passes(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to hit."""
    result = result_of(NO_GROUP, "--probes", "100", capsys=capsys)
    assert {probe["observed"] for probe in result["probes"]} == {"answered"}
    assert result["rules"] == {"hit": 0, "of": 0, "notHit": []}


def test_settings_decide_what_no_rule_does(capsys: pytest.CaptureFixture[str]) -> None:
    """Failsafe ahead of all rules, and traffic that is nobody's."""
    failsafe = {"protocol": "Tcp", "sourceAddressPrefix": "*", "destinationPortRange": "22"}
    daemon = {"failsafe": [failsafe], "unmanagedTraffic": "drop", "mode": "audit"}
    result = result_of(PEERED | {"daemon": daemon}, "--probes", "600", capsys=capsys)
    by = {(probe["decidedBy"], probe["observed"]) for probe in result["probes"]}
    assert ("failsafe", "answered") in by
    assert ("unmanaged", "no answer") in by
    assert not {("failsafe", "no answer"), ("unmanaged", "answered")} & by
    assert [change[:4] for change in result["settingsChanged"]] == ["mode"]


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        # The rule counts as it must.
        ("AllowWeb=access=Deny", r"internet .* tcp 80.* Allow +no answer +web Inbound AllowWeb"),
        ("DenyPing=protocol=Udp", r"app1 10.1.1.4 .* icmp +Deny +answered +apps Outbound DenyPing"),
        (
            "AllowWeb=destinationPortRange=8000-8011",
            r"internet .* tcp 8011 +Deny +answered +web Inbound DenyAllInBound",
        ),
    ],
)
def test_a_daemon_that_does_otherwise_is_found_out(
    change: str, pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By packets and by counters: a verdict turned, a protocol, a port too many."""
    code, output = run_lab(PEERED, "--probes", "300", change=change, capsys=capsys)
    assert code == 1
    rows = [row for row in output.splitlines() if row.endswith("MISMATCH")]
    assert any(re.match(pattern, row) for row in rows), output
    assert ("hits counted" in output) == ("access" not in change)
    assert own_namespaces() == []


def test_a_counter_alone_is_found_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Every verdict is right, by a rule of another name."""
    change = "AllowTime=name=AllowClock"
    code, output = run_lab(PEERED, "--probes", "300", change=change, capsys=capsys)
    assert (code, "300 of 300 probes as the policy says" in output) == (1, True)
    assert "MISMATCH web Inbound AllowClock:" in output
    assert "MISMATCH web Inbound AllowTime: 0 hits counted" in output


def test_what_is_left_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Hosts, what none of them shows, groups that judge nothing, and the seed."""
    options = ("--hosts", "4", "--probes", "50", "--seed", "7")
    code, output = run_lab(PEERED, *options, capsys=capsys)
    assert code == 0
    assert "left out, network interface: web2" in output
    assert "no host of the lab shows (more --hosts would), subnet: " in output
    assert "attached to nothing, network security group: nowhere" in output
    assert "50 of 50 probes as the policy says" in output
    assert "0 rule counters differ; seed 7\nexpected is what nsgd's evaluator predicts" in output


def test_a_policy_that_cannot_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, as for documents that are wrong, before anything is built."""
    networks = [{"name": n, "addressSpace": ["10.0.0.0/16"]} for n in ("one", "two")]
    code, output = run_lab({"virtualNetworks": networks}, capsys=capsys)
    assert code == 3
    assert "one and two overlap" in output
    assert "no subnet is declared" in output


# Labs that stay up, by the command itself.


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose labs are gone afterwards."""
    path = tmp_path / "labs"
    yield path
    for directory in path.glob("[!.]*"):
        nsgd("down", "--name", directory.name, "--state", str(path))


def nsgd(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``nsgd lab ...``."""
    command = [sys.executable, "-m", "nsgd", "lab", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def write(directory: Path, document: Json) -> str:
    """A document in a file."""
    path = directory / "policy.json"
    path.write_text(json.dumps(document))
    return str(path)


def keep(tmp_path: Path, state: Path, name: str, *options: str) -> str:
    """Make a lab that stays up, named so that no other lab of this machine has its namespaces."""
    config = write(tmp_path, SCALED)
    made = nsgd(
        *("--config", config, "--keep", "--name", name, "--state", str(state)),
        *("--probes", "60", *options),
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


def namespaces_of(name: str) -> set[str]:
    """Those of a lab."""
    return {entry for entry in os.listdir("/run/netns") if entry.startswith(f"nsgd-lab.{name}.")}


def test_a_lab_that_stays_up(tmp_path: Path, state: Path) -> None:
    """Its hosts and its daemon can be used by the command, and nothing is left when it is gone."""
    name = f"t{os.getpid()}"
    place = ("--name", name, "--state", str(state))
    output = keep(tmp_path, state, name)
    hosts = {"gateway", "member", "guest", "set-0", "set-1", "net-pool-other"}
    hosts |= {"internet", "elsewhere", "platform"}
    assert namespaces_of(name) == {f"nsgd-lab.{name}.{host}" for host in hosts}
    assert all(f"nsgd-lab.{name}.{host}" in output for host in hosts)

    # Another of the same name is refused, and does no harm.
    again = nsgd("--config", write(tmp_path, SCALED), "--keep", *place)
    assert (again.returncode, f"there is a lab {name} already" in again.stderr) == (1, True)

    listed = json.loads(nsgd("list", "--state", str(state), "-o", "json").stdout)
    assert [(lab["name"], lab["state"]) for lab in listed] == [(name, "up")]
    assert {host["name"] for host in listed[0]["hosts"]} == hosts
    assert f"{name}: up; " in nsgd("list", "--state", str(state)).stdout

    # No shell between: arguments arrive as they are, and the command's exit code comes back.
    shown = nsgd("exec", *place, "member", "printf", "%s|", "$HOME", "a b", "*")
    assert (shown.returncode, shown.stdout) == (0, "$HOME|a b|*|")
    assert nsgd("exec", *place, "member", "sh", "-c", "exit 7").returncode == 7
    assert nsgd("exec", *place, "member", "no-such-command").returncode == 127
    unknown = nsgd("exec", *place, "nobody", "true")
    assert (unknown.returncode, "it has gateway, member" in unknown.stderr) == (1, True)

    # The daemon judges: a member reaches a member by the rule's ports.
    listen = ("exec", *place, "set-0", sys.executable, "-c", LISTEN)
    server = subprocess.Popen(
        [sys.executable, "-m", "nsgd", "lab", *listen],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "listening\n"
    connect = ("exec", *place, "member", sys.executable, "-c", CONNECT)
    assert nsgd(*connect, "5001").stdout == "hello\n"
    assert nsgd(*connect, "5005").stdout == "timed out\n"

    daemon = int((state / name / "processes" / "daemon").read_text().split()[0])
    gone = nsgd("down", *place)
    assert (gone.returncode, gone.stderr, gone.stdout) == (0, "", f"lab {name} is removed\n")
    assert server.wait(5) == -signal.SIGTERM
    server.stdout.close()
    assert not is_running(daemon)
    assert namespaces_of(name) == set()
    assert os.listdir(state) == []
    once_more = nsgd("down", *place)
    assert (once_more.returncode, f"there is no lab {name} in" in once_more.stderr) == (1, True)


LISTEN = """
import socket
servers = [socket.create_server(("10.3.1.32", port)) for port in (5001, 5005)]
print("listening", flush=True)
while True:
    servers[0].accept()[0].sendall(b"hello")
"""
CONNECT = """
import socket, sys
try:
    print(socket.create_connection(("10.3.1.32", int(sys.argv[1])), 0.8).recv(99).decode())
except TimeoutError:
    print("timed out")
"""


def test_two_labs_at_once(tmp_path: Path, state: Path) -> None:
    """Under two names, each with its own daemon; one goes, the other stays."""
    names = [f"a{os.getpid()}", f"b{os.getpid()}"]
    for name in names:
        keep(tmp_path, state, name, "--hosts", "3")
    assert all(len(namespaces_of(name)) == 4 for name in names)
    assert nsgd("down", "--name", names[0], "--state", str(state)).returncode == 0
    assert (len(namespaces_of(names[0])), len(namespaces_of(names[1]))) == (0, 4)
    listed = json.loads(nsgd("list", "--state", str(state), "-o", "json").stdout)
    assert [(lab["name"], lab["state"]) for lab in listed] == [(names[1], "up")]


def wait_for(fact: Callable[[], object]) -> None:
    """Wait for a fact."""
    deadline = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["namespace", "daemon"])
def test_a_lab_whose_maker_is_ended(
    number: signal.Signals, moment: str, tmp_path: Path, state: Path
) -> None:
    """By a kill: ``down`` removes it all. By Ctrl-C and the like: it removes itself."""
    name = f"k{os.getpid()}"
    place = ("--name", name, "--state", str(state))
    identity = state / name / "processes" / "daemon"
    moments: dict[str, Callable[[], object]] = {
        "namespace": lambda: len(namespaces_of(name)) >= 2,
        "daemon": identity.exists,
    }
    options = ("--config", write(tmp_path, SCALED), "--keep", *place)
    with subprocess.Popen(
        [sys.executable, "-m", "nsgd", "lab", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as maker:
        wait_for(moments[moment])
        if number is signal.SIGKILL:
            busy = nsgd("down", *place)
            assert (busy.returncode, "is being made or removed" in busy.stderr) == (1, True)
        pid = int(identity.read_text().split()[0]) if moment == "daemon" else None
        maker.send_signal(number)
        maker.communicate(timeout=30)
    if number is signal.SIGKILL:
        listed = json.loads(nsgd("list", "--state", str(state), "-o", "json").stdout)
        assert listed[0]["state"] == "being made, or its maker was killed"
        gone = nsgd("down", *place)
        assert (gone.returncode, gone.stderr) == (0, "")
    assert namespaces_of(name) == set()
    assert os.listdir(state) == []
    assert pid is None or not is_running(pid)


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a lab's record."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_after_a_reboot_only_the_directory_is_the_labs(tmp_path: Path, state: Path) -> None:
    """Process ids and namespaces of that name are somebody else's by then."""
    name = f"r{os.getpid()}"
    place = ("--name", name, "--state", str(state))
    keep(tmp_path, state, name, "--hosts", "2")
    record = state / name / "lab.json"
    before = record.read_text()
    identity = state / name / "processes" / "daemon"
    pid, start, boot = identity.read_text().split()
    rewrite(record, lambda fields: fields.update(boot="another"))
    identity.write_text(f"{pid} {start} another")
    listed = json.loads(nsgd("list", "--state", str(state), "-o", "json").stdout)
    assert listed[0]["state"] == "gone with a reboot"
    assert "is not up any more" in nsgd("exec", *place, "internet", "true").stderr
    (state / "kept.json").write_text(before)
    try:
        assert nsgd("down", *place).returncode == 0
        assert len(namespaces_of(name)) == 3
        assert is_running(int(pid))
        assert not (state / name).exists()
    finally:
        (state / name / "processes").mkdir(parents=True)
        (state / "kept.json").rename(record)
        identity.write_text(f"{pid} {start} {boot}")
        assert nsgd("down", *place).returncode == 0
    assert namespaces_of(name) == set()
    assert not is_running(int(pid))


def test_what_is_not_the_labs_is_let_alone(tmp_path: Path, state: Path) -> None:
    """A process that has the number now, a namespace that has the name now, a user's file."""
    name = f"o{os.getpid()}"
    place = ("--name", name, "--state", str(state))
    keep(tmp_path, state, name, "--hosts", "2")
    directory = state / name
    other = subprocess.Popen(["sleep", "60"])
    inside = subprocess.Popen(nsenter(name, "internet", "sleep", "60"))
    wait_for(lambda: b"sleep" in Path(f"/proc/{inside.pid}/cmdline").read_bytes()[:5])
    try:
        _, start, boot = (directory / "processes" / "daemon").read_text().split()
        (directory / "processes" / "stale").write_text(f"{other.pid} {start} {boot}")
        (directory / "notes.txt").write_text("mine")
        foreign = f"nsgd-lab.{name}.platform"
        rewrite(
            directory / "lab.json", lambda fields: fields["namespaces"].update({foreign: 12345})
        )
        subprocess.run(["ip", "netns", "add", foreign], check=True)
        gone = nsgd("down", *place)
        assert gone.returncode == 0
        assert namespaces_of(name) == {foreign}
        assert f"left alone: network namespace {foreign}: it is another one" in gone.stderr
        assert f"left alone: processes {inside.pid}: not started by nsgd lab" in gone.stderr
        assert f"left alone: {directory}: there are files in it" in gone.stderr
        assert is_running(other.pid)
        assert is_running(inside.pid)
        assert os.listdir(directory) == ["notes.txt"]
    finally:
        for process in (other, inside):
            process.kill()
            process.wait()
        subprocess.run(["ip", "netns", "delete", f"nsgd-lab.{name}.platform"], check=False)
        (directory / "notes.txt").unlink()
        directory.rmdir()


def nsenter(name: str, host: str, *argv: str) -> Sequence[str]:
    """A command inside a host that nsgd knows nothing of."""
    return ["nsenter", f"--net=/run/netns/nsgd-lab.{name}.{host}", "--", *argv]


@pytest.mark.parametrize("name", ["", "a.b", "../x", "-x", "x" * 33, "a/b"])
def test_names_that_are_none(name: str, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They would be paths, or other labs' namespaces."""
    for verb in (["down"], ["exec", "internet", "true"]):
        place = [f"--name={name}", "--state", str(state)]
        assert main(["lab", verb[0], *place, *verb[1:]]) == 1
        assert "is no name for a lab" in capsys.readouterr().err
