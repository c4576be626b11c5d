"""What is done with the package, and what must then be so; each step prints what it has found."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.package.machine import Machine
from tests.package.upgrade import NEXT

MAXIMUM_EXPOSURE = 1.6
CAP_NET_ADMIN = 0x1000
_UNITS = ("nsgd.service", "nsgd-boot.service", "nsgd-tags.timer", "nsgd-web.service")
_INSIDE, _PROGRESS = "/run/transfer.py", "/run/transfer.progress"
_SERVER, _CLIENT = "10.0.1.4", "203.0.113.10"
# What tests/package/sandbox.py tries, and each unit may do; of all else it may do nothing.
_ALLOWED = {
    "nsgd": {"AF_NETLINK", "AF_UNIX", "AF_INET", "its state", "the documents"},
    # So early in the boot /tmp may not be there yet: it is seen, read-only.
    "nsgd-boot": {"AF_NETLINK", "AF_UNIX", "its state", "the documents", "PrivateTmp"},
    "nsgd-tags": {"AF_INET", "its state"},
    "nsgd-web": {"AF_UNIX", "AF_INET"},
}
# Of the daemon: state, flow logs and sockets.
_PLACES = ("var/lib", "var/log", "run")
# What starts the program, and when.
_NOT_COPIED = re.compile(
    "(Exec|Type|Watchdog|Restart|Remain|Wants|After|Before|Conflicts|StartLimit|DefaultDep)"
)
_POLICY = f"""\
virtualNetworks:
  - name: lab
    addressSpace: [10.0.0.0/16]
    subnets:
      - {{name: web, addressPrefixes: [10.0.1.0/24], networkSecurityGroup: web}}
networkInterfaces:
  - {{name: web1, subnet: lab/web, privateIPAddresses: [{_SERVER}], link: veth-server}}
networkSecurityGroups:
  - name: web
    securityRules:
      - {{name: AllowHttp, priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
         sourceAddressPrefix: Internet, sourcePortRange: '*',
         destinationAddressPrefix: '*', destinationPortRange: '80'}}
"""


@dataclass(frozen=True)
class Hosts:
    """A connection through the gateway that is used all the time."""

    machine: Machine
    stream: subprocess.Popen[str]

    def exchanged(self) -> int:
        """How many numbers have gone there and back; the connection is then open."""
        assert self.stream.poll() is None, "the open connection has ended"
        return int(self.machine.run("cat", _PROGRESS).stdout or "0")

    def go_on(self) -> int:
        """Wait until many more have, and return how many by then."""
        before = self.exchanged()
        self.machine.wait(lambda: self.exchanged() > before + 50, "the open connection hangs")
        return self.exchanged()


def say(text: str) -> None:
    """A line at once."""
    print(text, flush=True)


def install(machine: Machine, package: str) -> None:
    """Nothing is enabled, started or filtered by an installation."""
    machine.run("dpkg", "--install", package)
    for unit in _UNITS:
        assert machine.run("systemctl", "is-enabled", unit, check=False).stdout == "disabled\n"
        assert machine.run("systemctl", "is-active", unit, check=False).stdout == "inactive\n"
    assert _tables(machine) == ""
    place = machine.run("stat", "-c", "%A %U:%G", "/etc/nsgd").stdout
    assert place == "drwxr-x--- root:nsgd\n", place
    for user in ("nsgd", "nsgd-tags", "nsgd-web"):
        assert "nologin" in machine.run("getent", "passwd", user).stdout
    say("installed: users are made, nothing is enabled, started or filtered")


def look(machine: Machine) -> None:
    """The command, its documents, manual pages, completion and dashboards."""
    version = machine.run("nsgd", "--version").stdout.strip()
    checked = machine.run("nsgd", "check", "/etc/nsgd").stdout.strip()
    for page, word in (("nsgd.8", "ip-flow-verify"), ("nsgd.yaml.5", "flushConnection")):
        name, _, section = page.rpartition(".")
        assert word in machine.run("man", section, name).stdout, page
    asked = "source /usr/share/bash-completion/completions/nsgd; COMP_WORDS=(nsgd ta) COMP_CWORD=1;"
    completed = machine.run("bash", "-c", f"{asked} _shtab_nsgd; echo ${{COMPREPLY[*]}}").stdout
    assert completed == "tags\n", completed
    # No module of the caller's directory, nor of its environment, is imported.
    machine.run("sh", "-c", "mkdir /run/x; echo 'raise SystemExit(9)' > /run/x/yaml.py")
    machine.run("sh", "-c", "cd /run/x; PYTHONPATH=/run/x nsgd check /etc/nsgd")
    fetcher = machine.run("/usr/lib/nsgd/bin/python3", "-I", "-m", "nsgd.tag_fetch", "--help")
    assert "--state-dir" in fetcher.stdout
    for name, word in (("nsgd.json", "label_values(nsgd_build_info"), ("alerts.yaml", "alert: ")):
        # By the way that the pages name, to the file that a server is told.
        path = machine.run("readlink", "-e", f"/usr/share/doc/nsgd/dashboards/{name}").stdout
        assert path == f"/usr/share/nsgd/dashboards/{name}\n", path
        assert word in machine.run("cat", path.strip()).stdout, name
    say(
        f"command: {version}; check of /etc/nsgd: {checked}; man, completion, fetcher, dashboards:"
        " there"
    )


@contextlib.contextmanager
def gateway(machine: Machine) -> Iterator[Hosts]:
    """A server and a client on links of the machine, which forwards; and a connection of theirs."""
    source = (Path(__file__).parent / "transfer.py").read_text()
    machine.run("python3", "-c", f"open({_INSIDE!r}, 'w').write({source!r})")
    script = """
        echo 1 > /proc/sys/net/ipv4/ip_forward
        for host in server client; do
            ip netns add $host
            ip link add veth-$host type veth peer name eth0 netns $host
            ip link set veth-$host up
            ip address add 169.254.1.1/32 dev veth-$host
            ip -n $host link set lo up
            ip -n $host link set eth0 up
        done
        ip -n server address add SERVER/32 dev eth0
        ip -n client address add CLIENT/32 dev eth0
        ip route add SERVER/32 dev veth-server
        ip route add CLIENT/32 dev veth-client
        for host in server client; do
            ip -n $host route add 169.254.1.1 dev eth0
            ip -n $host route add default via 169.254.1.1
        done
    """
    commands = textwrap.dedent(script).replace("SERVER", _SERVER).replace("CLIENT", _CLIENT)
    machine.run("sh", "-ec", commands)
    with contextlib.ExitStack() as stack:

        def start(host: str, *words: str) -> subprocess.Popen[str]:
            inside = ("ip", "netns", "exec", host, "python3", _INSIDE, *words)
            process = machine.start(*inside)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        server = start("server", "serve")
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"
        yield Hosts(machine, start("client", "stream", _SERVER, _PROGRESS))


def _connects(machine: Machine, port: int) -> bool:
    words = ("ip", "netns", "exec", "client", "python3", _INSIDE, "connect", _SERVER, str(port))
    return machine.run(*words, check=False).returncode == 0


def enforce(machine: Machine) -> None:
    """A policy is written, checked and put in force as README says."""
    assert _connects(machine, 81), "unfiltered traffic does not arrive"
    edit = f"open('/etc/nsgd/policy.yaml', 'w').write({_POLICY!r})"
    machine.run("python3", "-c", edit)
    machine.run("sed", "-i", "s/mode: audit/mode: enforce/", "/etc/nsgd/nsgd.yaml")
    machine.run("nsgd", "check", "/etc/nsgd")
    machine.run("systemctl", "enable", "--now", "nsgd")
    assert _connects(machine, 80)
    assert not _connects(machine, 81)
    machine.run("systemctl", "reload", "nsgd")
    status = _status(machine)
    assert status["generation"] == 2
    assert status["queue"] is not None, "the queue's counters cannot be read"
    unit = "ActiveState,SubState,Type,NRestarts"
    shown = machine.run("systemctl", "show", "-p", unit, "--value", "nsgd").stdout.split()
    say(f"in force by systemd: {' '.join(shown)}; 80 passes, 81 does not; reloaded once")


def privileges(machine: Machine) -> None:
    """What systemd has left to the processes, as the kernel tells it."""
    worker = _status(machine)["worker"]
    assert isinstance(worker, dict)
    for pid in (_main_pid(machine), str(worker["pid"])):
        lines = machine.run("cat", f"/proc/{pid}/status").stdout.splitlines()
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        for held in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"):
            assert int(status[held][0], 16) == CAP_NET_ADMIN, (held, status[held])
        user = machine.run("id", "-u", "nsgd").stdout.strip()
        assert status["Uid"] == [user] * 4
        assert status["NoNewPrivs"] == ["1"]
        assert status["Seccomp"] == ["2"], "no filter of system calls"
        mounts = machine.run("cat", f"/proc/{pid}/mounts").stdout.splitlines()
        options = {line.split()[1]: line.split()[3].split(",") for line in mounts}
        assert "ro" in options["/"], "the file system can be written"
        assert "rw" in options["/var/lib/nsgd"]
        assert "rw" in options["/run/nsgd"]
    for unit in ("nsgd.service", "nsgd-boot.service", "nsgd-tags.service", "nsgd-web.service"):
        shown = machine.run("systemd-analyze", "security", unit, "--no-pager", check=False).stdout
        level = shown.partition("Overall exposure level for")[2].split()[1]
        assert float(level) <= MAXIMUM_EXPOSURE, (unit, level)
        say(f"exposure of {unit}: {level}")
    say("both processes: the user nsgd, CAP_NET_ADMIN alone, filtered system calls, / read-only")


def sandboxes(machine: Machine) -> None:
    """In each unit's place a program that tries all that it should not be able to do."""
    source = (Path(__file__).parent / "sandbox.py").read_text()
    for unit, allowed in _ALLOWED.items():
        # A copy, so that the unit itself is not disturbed; in /usr/lib, as it is what it may read.
        text = machine.run("cat", f"/lib/systemd/system/{unit}.service").stdout
        kept = [line for line in text.splitlines() if not _NOT_COPIED.match(line)]
        probe = (
            "\n".join(kept)
            .replace(
                "[Service]\n",
                "[Service]\nType=oneshot\nExecStart=/usr/bin/python3 /opt/sandbox.py\n",
            )
            .replace("Directory=nsgd", "Directory=nsgd-probe")
        )
        write = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
        machine.run("python3", "-c", write, "/opt/sandbox.py", source)
        machine.run("python3", "-c", write, "/run/systemd/system/nsgd-probe.service", probe)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "nsgd-probe")
        told = machine.run("journalctl", "-u", "nsgd-probe", "-o", "cat", "-n", "20").stdout
        came = json.loads([line for line in told.splitlines() if line.startswith("{")][-1])
        done = {name for name, result in came.items() if result == "done"}
        assert done == allowed, (unit, came)
        say(f"{unit} in its sandbox: {len(came) - len(done)} attempts refused; may {sorted(done)}")
        machine.run("rm", "-rf", "/opt/sandbox.py", "/run/systemd/system/nsgd-probe.service")
        machine.run("rm", "-rf", *(f"/{place}/nsgd-probe" for place in _PLACES))
    machine.run("systemctl", "daemon-reload")


def survive(machine: Machine) -> None:
    """A killed daemon is started again by systemd, and decides again."""
    before = _main_pid(machine)
    machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "nsgd")
    machine.wait(lambda: _main_pid(machine) not in ("0", before), "not started again")
    machine.wait(_is(machine, "nsgd", "active"), "not active again")
    assert _connects(machine, 80)
    assert not _connects(machine, 81)
    say("killed: systemd has started it again")


def upgrade(machine: Machine, hosts: Hosts, package: str) -> None:
    """The table stays the same one, the open connection goes on, the new program decides."""
    table, pid = _tables(machine), _main_pid(machine)
    before = hosts.go_on()
    machine.run("dpkg", "--install", package)
    machine.wait(_is(machine, "nsgd", "active"), "not active after the upgrade")
    assert _main_pid(machine) != pid
    assert _status(machine)["version"] == NEXT
    assert _tables(machine) == table
    after = hosts.go_on()
    assert _connects(machine, 80)
    assert not _connects(machine, 81)
    kept = machine.run("grep", "mode:", "/etc/nsgd/nsgd.yaml").stdout
    assert "enforce" in kept, "the administrator's edit is lost"
    say(f"upgraded to {NEXT}: an open connection went on, {before} to {after}; same table")


def stop_and_start(machine: Machine, hosts: Hosts) -> None:
    """A stopped daemon leaves its rules: closed for new flows, open ones go on."""
    machine.run("systemctl", "stop", "nsgd")
    hosts.go_on()
    assert not _connects(machine, 80)
    machine.run("systemctl", "start", "nsgd")
    assert _connects(machine, 80)
    say("stopped: rules stay, the open connection goes on; started: decides again")


def after_boot(machine: Machine) -> None:
    """Both units come up with the machine, the rules before the network."""
    for unit in ("nsgd-boot", "nsgd"):
        machine.wait(_is(machine, unit, "active"), f"{unit} did not come up")
    stamps = [
        int(
            machine.run(
                "systemctl", "show", "--value", "-p", "ActiveEnterTimestampMonotonic", unit
            ).stdout
        )
        for unit in ("nsgd-boot.service", "network-pre.target", "nsgd.service")
    ]
    assert stamps == sorted(stamps), stamps
    assert "inet nsgd" in _tables(machine)
    say("booted again: nsgd-boot, then network-pre.target, then nsgd")


def remove_and_purge(machine: Machine) -> None:
    """Removed, the rules stay and it is said so; purged, they are gone."""
    machine.run("systemctl", "start", "nsgd-tags.timer")
    removed = machine.run("dpkg", "--remove", "nsgd")
    assert "nft delete table inet nsgd" in removed.stderr
    assert "inet nsgd" in _tables(machine)
    purged = machine.run("dpkg", "--purge", "nsgd")
    assert "policy.yaml" not in purged.stderr
    assert _tables(machine) == ""
    for place in _PLACES:
        assert machine.run("test", "-e", f"/{place}/nsgd", check=False).returncode == 1, place
    left = machine.run("systemctl", "list-units", "--all", "nsgd*", "--no-legend").stdout
    assert "nsgd-tags.timer" not in left, left
    say("removed: rules stay, and how to remove them is said; purged: the table is gone")


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Nothing is left but the three users, and the administrator's own document."""
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    accounts = {f"etc/{name}" for name in ("passwd", "group", "shadow", "gshadow")}
    users = accounts | {f"{name}-" for name in accounts}
    own = {"etc/nsgd", "etc/nsgd/policy.yaml"}
    assert changed <= users | own, sorted(changed - users - own)
    assert own <= changed
    say(f"left behind: the users nsgd, nsgd-tags and nsgd-web, and {', '.join(sorted(own))}")
    say(f"compared: {len(before)} files and directories")


def _is(machine: Machine, unit: str, state: str) -> Callable[[], bool]:
    return lambda: machine.run("systemctl", "is-active", unit, check=False).stdout.strip() == state


def _tables(machine: Machine) -> str:
    """Tables of nftables, with the handles by which one that was made anew is another one."""
    return machine.run("nft", "-a", "list", "tables").stdout


def _status(machine: Machine) -> dict[str, object]:
    told: dict[str, object] = json.loads(machine.run("nsgd", "status", "-o", "json").stdout)
    return told


def _main_pid(machine: Machine) -> str:
    shown = machine.run("systemctl", "show", "-p", "MainPID", "--value", "nsgd").stdout
    return shown.strip()
