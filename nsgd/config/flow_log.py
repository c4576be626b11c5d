"""The ``flowLog`` setting, in the words of Azure's flow log resource where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.config.compound import Field, ObjectOf
from nsgd.config.problem import Refusal
from nsgd.config.shape import Boolean, Choice, Integer, Parsed
from nsgd.config.wording import show
from nsgd.model.settings import FlowLog, FlowLogFormat

_DEFAULTS = FlowLog("/")
_PATH_ALLOWED = "write an absolute path, such as '/var/log/nsgd'"
_LONGEST_PATH = 1024


def parse_log_path(value: object) -> str:
    """Read the absolute path of a file or directory. Raises Refusal."""
    parts = value.split("/") if isinstance(value, str) else []
    if (
        not isinstance(value, str)
        or not value.startswith("/")
        or not value.isprintable()
        or not value.strip("/")
        or len(value) > _LONGEST_PATH
        or ".." in parts
    ):
        raise Refusal(f"{show(value)} is not the path of a flow log", _PATH_ALLOWED)
    return value


FLOW_LOG = ObjectOf(
    "a flow log",
    {
        "enabled": Field(Boolean(), default=True),
        "path": Field(Parsed("an absolute path", parse_log_path), is_required=True),
        "format": Field(
            Choice({format_.value: format_ for format_ in FlowLogFormat}),
            default=_DEFAULTS.format.value,
        ),
        "maxBytes": Field(Integer(1 << 20, 1 << 50), default=_DEFAULTS.max_bytes),
        "retentionPolicy": Field(
            ObjectOf(
                "a retention policy",
                {
                    "days": Field(Integer(0, 36500), is_required=True),
                    "enabled": Field(Boolean(), default=True),
                },
            ),
            default={"days": _DEFAULTS.retention_days},
        ),
        "intervalSeconds": Field(Integer(1, 3600), default=_DEFAULTS.interval_seconds),
        "flushSeconds": Field(Integer(1, 3600)),
    },
)


def assemble_flow_log(raw: Mapping[str, Any] | None) -> FlowLog | None:
    """The setting; None where flows are not to be logged, or a part was refused."""
    if raw is None or raw.get("enabled") is False or raw.get("path") is None:
        return None
    values = {
        name: raw[key]
        for key, name in (
            ("path", "path"),
            ("format", "format"),
            ("maxBytes", "max_bytes"),
            ("intervalSeconds", "interval_seconds"),
            ("flushSeconds", "flush_seconds"),
        )
        if raw.get(key) is not None
    }
    retention = raw.get("retentionPolicy")
    if retention is not None and retention.get("days") is not None:
        # As in Azure: a policy that is not enabled removes nothing.
        is_enabled = retention.get("enabled") is not False
        values["retention_days"] = retention["days"] if is_enabled else 0
    return FlowLog(**values)
