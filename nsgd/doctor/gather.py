"""Gathers the facts of this network namespace; changes nothing and raises nothing.

/proc/thread-self, and not /proc/self: namespaces belong to threads.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from nsgd.doctor.facts import Facts, Nftables, NftCommand, Policy, TagFileSeen
from nsgd.doctor.marks import flowtables, mark_uses
from nsgd.doctor.queue_reader import read_queue_readers
from nsgd.kernel.error import KernelError
from nsgd.kernel.probe import NftProbe
from nsgd.kernel.routes import own_addresses
from nsgd.kernel.topology import (
    LinkSeen,
    RouteSeen,
    read_links,
    read_routes,
    read_rule_marks,
)
from nsgd.model.address import Address
from nsgd.model.settings import DaemonSettings
from nsgd.ruleset import batch
from nsgd.ruleset.objects import TABLE

_CAP_NET_ADMIN = 12
_NFT_TIMEOUT_S = 30.0
_SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_acct",
    "net.netfilter.nf_conntrack_events",
    "net.netfilter.nf_conntrack_timestamp",
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
)


def gather(
    *,
    policy: Policy | None = None,
    policy_problems: Sequence[str] = (),
    status: Mapping[str, Any] | None = None,
    status_error: str = "",
    is_daemon_absent: bool = False,
    service_tags: Sequence[TagFileSeen] = (),
) -> Facts:
    """Look at everything.

    Args:
        policy: What the documents declare, where some were named and are right.
        policy_problems: What is wrong with them.
        status: The running daemon's answer.
        status_error: Why there is none.
        is_daemon_absent: That no daemon listens is known.
        service_tags: The installed service tags files.
    """
    nftables, nftables_error = _probe_nftables()
    own, rule_marks = _read_own()
    links, routes = _read_links()
    settings = policy.settings if policy else DaemonSettings()
    queue_readers = read_queue_readers(settings.queue_numbers)
    version, error, library = _import_netfilterqueue()
    return Facts(
        kernel_release=platform.release(),
        has_net_admin=_has_net_admin(),
        nftables=nftables,
        nftables_error=nftables_error,
        sysctls={name: value for name in _SYSCTLS if (value := _sysctl(name)) is not None},
        legacy_tables={family: _legacy_tables(family) for family in ("ip", "ip6")},
        nft=_run_nft(),
        netfilterqueue=version,
        netfilterqueue_error=error,
        queue_library=library,
        links=links,
        routes=routes,
        own_addresses=own,
        rule_marks=rule_marks,
        is_queue_readable=queue_readers is not None,
        queue_readers=queue_readers or {},
        status=status,
        status_error=status_error,
        is_daemon_absent=is_daemon_absent,
        policy=policy,
        policy_problems=tuple(policy_problems),
        service_tags=tuple(service_tags),
    )


def _probe_nftables() -> tuple[Nftables | None, str]:
    try:
        with NftProbe() as probe:
            return (
                Nftables(
                    has_queue_statement=probe.has_queue_statement(),
                    has_queue_target=probe.has_queue_target(),
                    has_queues=probe.has_queues(),
                    has_conntrack=probe.has_conntrack(),
                    takes_owner=probe.takes_table_flags(batch.TABLE_OWNER),
                    takes_owner_and_persist=probe.takes_table_flags(
                        batch.TABLE_OWNER | batch.TABLE_PERSIST
                    ),
                    has_flow_hash=probe.has_flow_hash(),
                    has_flow_timeouts=probe.takes(batch.timeout_probe()),
                    chains=tuple(probe.base_chains()),
                ),
                "",
            )
    except KernelError as error:
        return None, str(error)


def _read_links() -> tuple[tuple[LinkSeen, ...] | None, tuple[RouteSeen, ...] | None]:
    try:
        return tuple(read_links()), tuple(read_routes())
    except KernelError:
        return None, None


def _read_own() -> tuple[frozenset[Address] | None, frozenset[int] | None]:
    try:
        return own_addresses(), read_rule_marks()
    except KernelError:
        return None, None


def _has_net_admin() -> bool | None:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", _read("/proc/thread-self/status") or "", re.M)
    return None if found is None else bool(int(found[1], 16) >> _CAP_NET_ADMIN & 1)


def _sysctl(name: str) -> str | None:
    # Only the separators of the name are dots here: none of ours has one inside.
    text = _read("/proc/sys/" + name.replace(".", "/"))
    return None if text is None else text.strip()


def _legacy_tables(family: str) -> tuple[str, ...] | None:
    path = Path(f"/proc/thread-self/net/{family}_tables_names")
    try:
        return tuple(path.read_text().split())
    except FileNotFoundError:
        return ()  # the kernel has no such tables, or its module is not loaded
    except OSError:
        return None


def _import_netfilterqueue() -> tuple[str | None, str, str | None]:
    try:
        import netfilterqueue  # noqa: F401
    except ImportError as error:
        return None, str(error), None
    found = re.search(r"/\S*libnetfilter_queue\.so\S*", _read("/proc/self/maps") or "")
    try:
        version = metadata.version("netfilterqueue")
    except metadata.PackageNotFoundError:
        version = "unknown"
    return version, "", found[0] if found else None


def _run_nft() -> NftCommand | None:
    """The command is only for looking; without it the marks of others are not known."""
    path = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if path is None:
        return None
    found = re.search(r"v(\d+(?:\.\d+)*)", _output(path, "--version") or "")
    version = tuple(map(int, found[1].split("."))) if found else ()
    try:
        listing = json.loads(_output(path, "-j", "list", "ruleset") or "")
    except ValueError:
        return NftCommand(version)
    return NftCommand(version, mark_uses(listing, TABLE), flowtables(listing))


def _output(*argv: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_NFT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None
