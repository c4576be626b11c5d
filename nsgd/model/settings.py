"""The ``daemon`` section of a document: how one host runs a policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nsgd.model.address import PortRange, Prefix
from nsgd.model.rule import Protocol


class DaemonRole(Enum):
    """Whose traffic is guarded: what is forwarded, or what is this machine's own."""

    GATEWAY = "gateway"
    HOST = "host"


class UnmanagedTraffic(Enum):
    """What happens to forwarded traffic that touches nothing declared."""

    ACCEPT = "accept"
    DROP = "drop"


class FailureMode(Enum):
    """What happens to new flows while nobody decides them, or too many wait."""

    CLOSED = "closed"
    OPEN = "open"


class Mode(Enum):
    """Whether verdicts are carried out."""

    ENFORCE = "enforce"
    AUDIT = "audit"


class Engine(Enum):
    """Who decides the first packet of a flow."""

    QUEUE = "queue"
    KERNEL = "kernel"


class OnStop(Enum):
    """What happens to the rules when the daemon is stopped in good order."""

    KEEP = "keep"
    REMOVE = "remove"


class ExistingFlows(Enum):
    """What happens at the first start to flows that were open before it."""

    ADOPT = "adopt"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Failsafe:
    """Traffic that passes ahead of every rule, with its answers."""

    protocol: Protocol  # Tcp or Udp
    ports: tuple[PortRange, ...]  # destination ports
    sources: tuple[Prefix, ...] = ()  # none means any


class MetricsDetail(Enum):
    """What has metrics of its own: each interface and each rule, each rule, or neither."""

    FULL = "full"
    RULES = "rules"
    SUMMARY = "summary"


class FlowLogFormat(Enum):
    """How flow logs are written."""

    AZURE = "azure"
    JSON_LINES = "jsonLines"


@dataclass(frozen=True, slots=True)
class FlowLog:
    """Where flow logs go; *flush_seconds* is None for what suits the format."""

    path: str  # absolute: a directory, or for JSON lines a file or a pipe
    format: FlowLogFormat = FlowLogFormat.AZURE
    max_bytes: int = 1 << 30  # of all its files together
    retention_days: int = 7  # 0 keeps files as long as there is room
    interval_seconds: int = 300  # between records of a flow that goes on
    flush_seconds: int | None = None

    @property
    def seconds_between_writes(self) -> int:
        """Azure writes once a minute; whoever reads lines wants them soon."""
        if self.flush_seconds is not None:
            return self.flush_seconds
        return 60 if self.format is FlowLogFormat.AZURE else 1


@dataclass(frozen=True, slots=True)
class Admission:
    """How many flows may be opened, a second, before a worker is asked to decide them."""

    per_worker: int = 10_000  # up to which no source has a limit
    per_source: int = 30  # beyond that
    source_burst: int = 60
    per_allowed_source: int = 1_000  # of which a flow has been allowed lately; and as a burst


# The bits that two 15-bit decision numbers need, without 0x4000 and 0x8000
# (docs/adr/0001-decision-marks.md lists who takes which).
DEFAULT_MARK_MASK = 0xFFFF3FFF


MOST_QUEUES = 16


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """Settings with their defaults; *mark_mask* are the ct and packet mark bits that are ours."""

    unmanaged_traffic: UnmanagedTraffic = UnmanagedTraffic.ACCEPT
    engine: Engine = Engine.QUEUE
    failure_mode: FailureMode = FailureMode.CLOSED
    mode: Mode = Mode.ENFORCE
    on_stop: OnStop = OnStop.KEEP
    existing_flows: ExistingFlows = ExistingFlows.ADOPT
    adopt_seconds: int = 30
    failsafe: tuple[Failsafe, ...] = ()
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9480
    queue_number: int = 9480
    queue_length: int = 4096
    mark_mask: int = DEFAULT_MARK_MASK
    roles: frozenset[DaemonRole] = frozenset({DaemonRole.GATEWAY})
    flow_log: FlowLog | None = None  # None: flows are not logged
    queues: int = 1  # from queue_number on, with a worker for each
    admission: Admission | None = Admission()  # None: whoever comes first
    metrics_detail: MetricsDetail = MetricsDetail.FULL

    @property
    def is_gateway(self) -> bool:
        """Whether forwarded traffic is guarded; a link then leads to a NIC of another machine."""
        return DaemonRole.GATEWAY in self.roles

    @property
    def is_host(self) -> bool:
        """Whether the machine's own traffic is guarded."""
        return DaemonRole.HOST in self.roles

    @property
    def is_host_only(self) -> bool:
        """Whether only this machine's NICs are guarded; a link that binds one is then its own."""
        return not self.is_gateway

    @property
    def queue_numbers(self) -> range:
        """The number of each worker's queue."""
        return range(self.queue_number, self.queue_number + self.queues)

    @property
    def lets_undecided_pass(self) -> bool:
        """Whether flows that nobody decides pass; audit mode drops nothing, that included."""
        return self.failure_mode is FailureMode.OPEN or self.mode is Mode.AUDIT
