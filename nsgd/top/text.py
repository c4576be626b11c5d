"""The live view as plain text and as JSON: ``nsgd top --once``, and the words of its cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nsgd.observe.flow_log_state import flow_log_line
from nsgd.observe.text import format_table
from nsgd.top.view import DenialRow, View

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def rate_text(rate: float | None) -> str:
    """A rate to three digits; "-" where there is none."""
    if rate is None:
        return "-"
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def bytes_text(count: int | None) -> str:
    """Bytes to three digits, "-" where they are not known; ``-o json`` has the number itself."""
    if count is None:
        return "-"
    power = (len(str(count)) - 1) // 3
    size = count / 1000**power
    if size >= 999.5 and power:
        # It would be rounded to 1000.
        power, size = power + 1, size / 1000
    decimals = 0 if not power or size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{size:.{decimals}f} {_UNITS[power]}"


def flow_text(row: DenialRow) -> str:
    """Who asked whom for what."""
    to = f"[{row.destination}]" if ":" in row.destination else row.destination
    port = "" if row.destination_port is None else f":{row.destination_port}"
    return f"{row.protocol} {row.source} > {to if port else row.destination}{port}"


def by_text(row: DenialRow) -> str:
    """The rule, its group, its side, and whose rule it was."""
    group = f"{row.network_security_group}/" if row.network_security_group else ""
    nic = f" of {row.network_interface}" if row.network_interface else ""
    return f"{group}{row.rule} {row.direction}{nic}"


def as_json(view: View) -> dict[str, Any]:
    """Everything that is shown, for programs; *perSecond* is null without a reading before."""
    status = view.reading.status
    return {
        "time": _iso_utc(view.reading.unix_s),
        "seconds": None if view.seconds is None else round(view.seconds, 3),
        "policy": {
            "generation": status["generation"],
            "hash": status["policyHash"],
            "loadedAt": status["loadedAt"],
            "lastReloadSucceeded": status["reloads"]["lastSucceeded"],
            "engine": status["engine"],
            "mode": status["mode"],
            "roles": status["roles"],
        },
        "health": [{"level": each.level.name.lower(), "text": each.text} for each in view.findings],
        "flows": {
            "allowedPerSecond": _rounded(view.allowed_per_s),
            "deniedPerSecond": _rounded(view.denied_per_s),
        },
        "queue": status["queue"],
        "worker": status["worker"],
        "deniedOutsideRules": [
            {"reason": reason, "packets": count, "perSecond": _rounded(rate)}
            for reason, count, rate in view.outside_rules
        ],
        "flowLog": status.get("flowLog"),
        "rules": [
            {
                "networkSecurityGroup": row.network_security_group,
                "direction": row.direction,
                "rule": row.rule,
                "access": row.access,
                "hits": row.hits,
                "perSecond": _rounded(row.per_s),
                "packets": row.packets,
                "bytes": row.bytes,
            }
            for row in view.rules
        ],
        "denials": denials_as_json(view.denials),
        "denialsNotTold": view.reading.denials["notTold"] + status["kernelDenials"]["untold"],
    }


def denials_as_json(rows: Iterable[DenialRow]) -> list[dict[str, Any]]:
    """Grouped denials, for programs."""
    return [
        {
            "times": row.count,
            "timesLately": row.lately,
            "last": row.last,
            "protocol": row.protocol,
            "source": row.source,
            "destination": row.destination,
            "destinationPort": row.destination_port,
            "networkInterface": row.network_interface,
            "networkSecurityGroup": row.network_security_group,
            "direction": row.direction,
            "rule": row.rule,
        }
        for row in rows
    ]


def as_table(view: View) -> str:
    """The same for people, whole: nothing is cut."""
    status, queue = view.reading.status, view.reading.status["queue"]
    documents = f"documents {status['policyHash']}"
    summary = [
        ("time", _iso_utc(view.reading.unix_s)),
        ("policy", f"{status['generation']} in force since {status['loadedAt']}, {documents}"),
        (
            "flows",
            f"{rate_text(view.allowed_per_s)}/s allowed, {rate_text(view.denied_per_s)}/s denied",
        ),
        ("queue", "?" if queue is None else f"{queue['length']} of {queue['maxLength']} wait"),
        *(
            ("no rule", f"denied, {reason}: {count}, {rate_text(rate)}/s")
            for reason, count, rate in view.outside_rules
        ),
        *([("flow log", flow_log_line(status["flowLog"]))] if status.get("flowLog") else []),
        *(("health", f"{each.level.name.lower()}: {each.text}") for each in view.findings),
        *([] if view.findings else [("health", "nothing to report")]),
    ]
    is_logged = bool(status.get("flowLog"))
    rules = [
        (
            rate_text(row.per_s),
            row.hits,
            *((_or_none(row.packets), _or_none(row.bytes)) if is_logged else ()),
            row.access,
            row.direction,
            row.network_security_group or "-",
            row.rule,
        )
        for row in view.rules
    ]
    sizes = ("Packets", "Bytes") if is_logged else ()
    head = ("Per s", "Hits", *sizes, "Access", "Direction", "Network security group", "Rule")
    right = tuple(range(2 + len(sizes)))
    return "\n\n".join(
        (
            format_table(summary, right=()),
            format_table([head, *rules], right=right),
            denials_as_table(view.denials, hits_of(status)),
        )
    )


def hits_of(status: Mapping[str, Any]) -> dict[tuple[str | None, str, str], int]:
    """How often rules denied, by group, direction and name."""
    return {
        (row["networkSecurityGroup"], row["direction"], row["rule"]): row["hits"]
        for row in status["ruleHits"]
        if row["access"] == "Deny"
    }


def denials_as_table(
    rows: Sequence[DenialRow], hits: Mapping[tuple[str | None, str, str], int]
) -> str:
    """Grouped denials, each with all hits of its rule: these no limit concerns."""
    if not rows:
        return "no denials that were told"
    head = ("10 min", "Told", "Rule's hits", "Last", "Flow", "Denied by")
    cells = [
        (
            row.lately,
            row.count,
            hits.get((row.network_security_group, row.direction, row.rule), "-"),
            row.last,
            flow_text(row),
            by_text(row),
        )
        for row in rows
    ]
    return format_table([head, *cells], right=(0, 1, 2))


def _or_none(count: int | None) -> str:
    return "-" if count is None else str(count)


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 3)


def _iso_utc(time_s: float) -> str:
    found = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
    return found.replace("+00:00", "Z")
