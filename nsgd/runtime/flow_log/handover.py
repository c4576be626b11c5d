"""What the supervisor hands to the flow log: its settings, and what flows are attributed by."""

from __future__ import annotations

import marshal
from dataclasses import dataclass

from nsgd.model.settings import FlowLog, FlowLogFormat
from nsgd.runtime.flow_log.attribution import Attribution


@dataclass(frozen=True, slots=True)
class Handover:
    """One policy's."""

    settings: FlowLog
    logs_denials: bool  # audit mode denies nothing
    attribution: Attribution

    def to_bytes(self) -> bytes:
        """For the hand-over between processes of this same Python; never for a file."""
        settings = self.settings
        return marshal.dumps(
            (
                settings.path,
                settings.format.value,
                settings.max_bytes,
                settings.retention_days,
                settings.interval_seconds,
                settings.flush_seconds,
                self.logs_denials,
                self.attribution.to_bytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Handover:
        """The inverse of to_bytes."""
        # Written by the supervisor, over a descriptor that nobody else holds.
        path, format_, *rest, logs_denials, attribution = marshal.loads(data)  # noqa: S302 # nosec B302
        settings = FlowLog(path, FlowLogFormat(format_), *rest)
        return cls(settings, logs_denials, Attribution.from_bytes(attribution))
