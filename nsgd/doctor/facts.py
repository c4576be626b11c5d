"""What was found on this host, as values: gathered once, then judged without touching anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nsgd.kernel.probe import BaseChainSeen
from nsgd.kernel.topology import LinkSeen, RouteSeen
from nsgd.model.address import Address
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonSettings


@dataclass(frozen=True, slots=True)
class Nftables:
    """Answers of the kernel's nftables; *chains* are base chains, nsgd's own among them."""

    has_queue_statement: bool
    has_queue_target: bool
    has_queues: bool
    has_conntrack: bool
    takes_owner: bool
    takes_owner_and_persist: bool
    has_flow_timeouts: bool = True
    has_flow_hash: bool = True
    chains: tuple[BaseChainSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class MarkUse:
    """A statement of another table that writes, or compares, bits of a mark."""

    place: str  # family, table and chain
    mark: str  # packet or conntrack
    is_write: bool
    bits: int | None  # None where they are not shown


@dataclass(frozen=True, slots=True)
class NftCommand:
    """The nft command; *mark_uses* is None where its listing could not be read."""

    version: tuple[int, ...]
    mark_uses: tuple[MarkUse, ...] | None = None
    flowtables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueReader:
    """Who reads the queue; *pid* is None where that cannot be seen."""

    pid: int | None
    command: str = ""


@dataclass(frozen=True, slots=True)
class TagFileSeen:
    """An installed service tags file; *problem* is empty where the newest one can be used."""

    cloud: str
    change_number: int | None
    age_s: float
    problem: str = ""
    is_previous: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What the documents declare."""

    model: NetworkModel
    settings: DaemonSettings


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that checks look at; None and absent keys mean that it could not be seen."""

    kernel_release: str = ""
    has_net_admin: bool | None = None
    nftables: Nftables | None = None
    nftables_error: str = ""
    # By dotted name; those that the kernel does not have, or does not show, are absent.
    sysctls: Mapping[str, str] = field(default_factory=dict)
    # By "ip" and "ip6": tables of the legacy iptables; None where only root may see them.
    legacy_tables: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    nft: NftCommand | None = None
    netfilterqueue: str | None = None  # its version
    netfilterqueue_error: str = ""
    queue_library: str | None = None  # the file that was loaded
    links: tuple[LinkSeen, ...] | None = None
    routes: tuple[RouteSeen, ...] | None = None
    own_addresses: frozenset[Address] | None = None
    rule_marks: frozenset[int] | None = None  # masks of packet marks that routing rules compare
    is_queue_readable: bool = False
    # Of each queue of the settings; None where nobody reads it.
    queue_readers: Mapping[int, QueueReader | None] = field(default_factory=dict)
    status: Mapping[str, Any] | None = None  # of the running daemon
    status_error: str = ""
    is_daemon_absent: bool = False  # known not to run
    policy: Policy | None = None  # None where no documents were named
    policy_problems: tuple[str, ...] = ()
    service_tags: tuple[TagFileSeen, ...] = ()

    @property
    def settings(self) -> DaemonSettings:
        """The documents' settings, or the defaults."""
        return self.policy.settings if self.policy else DaemonSettings()
