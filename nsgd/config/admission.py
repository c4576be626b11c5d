"""The ``daemon.admission`` section: how many new flows a source may have decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nsgd.config.compound import Field, ObjectOf
from nsgd.config.shape import Boolean, Integer
from nsgd.model.settings import Admission

_DEFAULTS = Admission()
_MOST = 10_000_000

ADMISSION = ObjectOf(
    "an admission",
    {
        "enabled": Field(Boolean(), default=True),
        "flowsPerSecond": Field(Integer(1, _MOST), default=_DEFAULTS.per_worker),
        "sourceFlowsPerSecond": Field(Integer(1, _MOST), default=_DEFAULTS.per_source),
        "allowedSourceFlowsPerSecond": Field(
            Integer(1, _MOST), default=_DEFAULTS.per_allowed_source
        ),
        "sourceBurst": Field(Integer(1, _MOST), default=_DEFAULTS.source_burst),
    },
)

ADMISSION_DEFAULTS = {key: field.default for key, field in ADMISSION.fields.items()}


def assemble_admission(raw: Mapping[str, Any]) -> Admission | None:
    """The limits, or None where they are turned off."""
    if raw.get("enabled") is False:
        return None
    given = {
        name: raw[key]
        for key, name in (
            ("flowsPerSecond", "per_worker"),
            ("sourceFlowsPerSecond", "per_source"),
            ("allowedSourceFlowsPerSecond", "per_allowed_source"),
            ("sourceBurst", "source_burst"),
        )
        if raw.get(key) is not None
    }
    return Admission(**given)
