"""The ``daemon`` section: its table of fields, and the settings that it becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.admission import ADMISSION, ADMISSION_DEFAULTS, assemble_admission
from nsgd.config.compound import Field, ListOf
from nsgd.config.failsafe import FAILSAFE, assemble_failsafe
from nsgd.config.flow_log import FLOW_LOG, assemble_flow_log
from nsgd.config.problem import Refusal
from nsgd.config.report import Place, Report
from nsgd.config.shape import Choice, Integer, Parsed
from nsgd.config.wording import show
from nsgd.model.address import Address
from nsgd.model.settings import (
    MOST_QUEUES,
    DaemonRole,
    DaemonSettings,
    Engine,
    ExistingFlows,
    FailureMode,
    MetricsDetail,
    Mode,
    OnStop,
    UnmanagedTraffic,
)

_DEFAULTS = DaemonSettings()
_PORTS = 65535
_LAST_QUEUE = 65535

_LISTEN = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>0|[1-9][0-9]{0,4})")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*")
_LISTEN_ALLOWED = "write 'host:port' or '[IPv6 address]:port', such as '127.0.0.1:9480'"

# A mark carries a decision number for each direction of a flow (docs/adr/0001-decision-marks.md).
MINIMUM_MARK_BITS = 24
_HEXADECIMAL = re.compile(r"0[xX][0-9A-Fa-f]{1,8}")
_MARK_ALLOWED = "write a 32-bit mask such as '0xffff3fff'"


def parse_listen(value: object) -> tuple[str, int]:
    """Read ``host:port`` or ``[v6]:port``; port 0 means any free one. Raises Refusal."""
    message = f"{show(value)} is not an address to listen on"
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Refusal(message, _LISTEN_ALLOWED)
    port = int(match["port"])
    if port > _PORTS:
        raise Refusal(f"port {port} is outside 0-{_PORTS}", _LISTEN_ALLOWED)
    host: str = match["host"] if match["v6"] is None else match["v6"]
    if not host:
        raise Refusal(
            f"{message}: it has no host", f"write '0.0.0.0:{port}' if every address is meant"
        )
    is_v6 = match["v6"] is not None
    # What has only digits and dots must be an address: 127.0.1 is one to some and not to others.
    if is_v6 or re.fullmatch(r"[0-9.]+", host):
        try:
            is_right = Address.parse(host).version == (6 if is_v6 else 4)
        except ValueError:
            is_right = False
    else:
        is_right = _HOST_NAME.fullmatch(host) is not None
    if not is_right:
        raise Refusal(message, _LISTEN_ALLOWED)
    return host, port


def parse_mark_mask(value: object) -> int:
    """Read a 32-bit mask, as ``0x...`` text or an integer. Raises Refusal."""
    if isinstance(value, str) and _HEXADECIMAL.fullmatch(value):
        mask = int(value, 16)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 32:
        mask = value
    else:
        raise Refusal(f"{show(value)} is not a 32-bit mask", _MARK_ALLOWED)
    bits = mask.bit_count()
    if bits < MINIMUM_MARK_BITS:
        raise Refusal(
            f"{show(value)} has {bits} bits set, and at least {MINIMUM_MARK_BITS} are needed",
            _MARK_ALLOWED,
        )
    return mask


# Settings with one value only are read so that documents can state them; later releases take more.
SETTINGS: Mapping[str, Field] = {
    "roles": Field(
        ListOf(Choice({role.value: role for role in DaemonRole})),
        default=[role.value for role in DaemonRole if role in _DEFAULTS.roles],
    ),
    "engine": Field(
        Choice({engine.value: engine for engine in Engine}), default=_DEFAULTS.engine.value
    ),
    "failureMode": Field(
        Choice({mode.value: mode for mode in FailureMode}), default=_DEFAULTS.failure_mode.value
    ),
    "mode": Field(Choice({mode.value: mode for mode in Mode}), default=_DEFAULTS.mode.value),
    "onStop": Field(Choice({stop.value: stop for stop in OnStop}), default=_DEFAULTS.on_stop.value),
    "existingFlows": Field(
        Choice({flows.value: flows for flows in ExistingFlows}),
        default=_DEFAULTS.existing_flows.value,
    ),
    "adoptSeconds": Field(Integer(0, 3600), default=_DEFAULTS.adopt_seconds),
    "failsafe": Field(ListOf(FAILSAFE), default=[]),
    "unmanagedTraffic": Field(
        Choice({traffic.value: traffic for traffic in UnmanagedTraffic}),
        default=_DEFAULTS.unmanaged_traffic.value,
    ),
    "metricsListen": Field(
        Parsed("host:port", parse_listen),
        default=f"{_DEFAULTS.metrics_host}:{_DEFAULTS.metrics_port}",
    ),
    "metricsDetail": Field(
        Choice({detail.value: detail for detail in MetricsDetail}),
        default=_DEFAULTS.metrics_detail.value,
    ),
    "queues": Field(Integer(1, MOST_QUEUES), default=_DEFAULTS.queues),
    "queueNumber": Field(Integer(0, _LAST_QUEUE), default=_DEFAULTS.queue_number),
    "queueLength": Field(Integer(1, 1_000_000), default=_DEFAULTS.queue_length),
    "admission": Field(ADMISSION, default=ADMISSION_DEFAULTS),
    "markMask": Field(
        Parsed("a 32-bit mask", parse_mark_mask), default=f"{_DEFAULTS.mark_mask:#010x}"
    ),
    "flowLog": Field(FLOW_LOG),
}


def assemble_settings(
    sections: Sequence[tuple[Place, Mapping[str, Any]]], report: Report
) -> DaemonSettings:
    """Settings of the one section, or the defaults; a second section is reported."""
    if not sections:
        return _DEFAULTS
    first_place, raw = sections[0]
    for place, _ in sections[1:]:
        report.add(
            place,
            f"the daemon section is already given by {report.locate(first_place, place)}",
            "keep it in one document",
        )
    values: dict[str, Any] = {
        name: raw[key]
        for key, name in (
            ("unmanagedTraffic", "unmanaged_traffic"),
            ("engine", "engine"),
            ("failureMode", "failure_mode"),
            ("mode", "mode"),
            ("onStop", "on_stop"),
            ("existingFlows", "existing_flows"),
            ("adoptSeconds", "adopt_seconds"),
            ("metricsDetail", "metrics_detail"),
            ("queues", "queues"),
            ("queueNumber", "queue_number"),
            ("queueLength", "queue_length"),
            ("markMask", "mark_mask"),
        )
        if raw.get(key) is not None
    }
    roles = frozenset(role for role in raw.get("roles") or () if role is not None)
    if roles:
        values["roles"] = roles
    if raw.get("metricsListen") is not None:
        values["metrics_host"], values["metrics_port"] = raw["metricsListen"]
    if raw.get("admission") is not None:
        values["admission"] = assemble_admission(raw["admission"])
    values["failsafe"] = tuple(
        failsafe
        for index, entry in enumerate(raw.get("failsafe") or ())
        if entry is not None
        for failsafe in (assemble_failsafe(entry, first_place.at("failsafe", index), report),)
        if failsafe is not None
    )
    values["flow_log"] = assemble_flow_log(raw.get("flowLog"))
    settings = DaemonSettings(**values)
    # Each by itself outside its bounds has been reported.
    are_within = settings.queue_number <= _LAST_QUEUE and settings.queues <= MOST_QUEUES
    if are_within and settings.queue_number + settings.queues - 1 > _LAST_QUEUE:
        report.add(
            first_place.at("queues"),
            f"{settings.queues} queues from {settings.queue_number} on are more than there are",
            f"set queueNumber to {_LAST_QUEUE + 1 - settings.queues} at most",
        )
        return _DEFAULTS
    return settings
