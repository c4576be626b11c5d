"""What a lab of a policy found, for readers and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nsgd.lab.addresses import attached_groups
from nsgd.lab.candidates import GATEWAY, Candidate
from nsgd.lab.from_policy import Drawn, Result
from nsgd.lab.kept import LabDirectory, namespace_name
from nsgd.lab.prediction import RuleKey
from nsgd.lab.report import Row, format_table, rows_as_json
from nsgd.lab.traffic import Probe

_NAMES_SHOWN = 8
_ADDRESSES_SHOWN = 3
_RULES_SHOWN = 12


def format_result(result: Result, *, show_all: bool = False) -> str:
    """The hosts, what disagrees with the policy, and how far the probes reached."""
    drawn = result.drawn
    parts = [_format_hosts(drawn)]
    if lines := [
        *_left_out(drawn),
        *(f"changed setting: {change}" for change in drawn.policy.changes),
    ]:
        parts.append("\n".join(lines))
    rows = [row for row in result.rows if show_all or not row.is_match]
    if rows:
        parts.append(_format_rows(rows))
    if result.counter_differences:
        parts.append("\n".join(f"MISMATCH {line}" for line in result.counter_differences))
    parts.append("\n".join((*_not_hit(result), _summary(result))))
    return "\n\n".join(parts)


def _format_hosts(drawn: Drawn) -> str:
    rows = [
        (
            host.name,
            candidate.kind,
            _some(map(str, host.addresses), _ADDRESSES_SHOWN),
            f"behind {host.behind}" if host.behind else host.gateway_link,
        )
        for candidate in drawn.choice.chosen
        for host in candidate.hosts
    ]
    return format_table([("Host", "Is", "Addresses", "Link"), *rows])


def _left_out(drawn: Drawn) -> Iterator[str]:
    by_kind: dict[str, list[Candidate]] = {}
    for candidate in drawn.choice.left_out:
        by_kind.setdefault(candidate.kind, []).append(candidate)
    for kind, candidates in by_kind.items():
        yield f"left out, {kind}: {_some(candidate.name for candidate in candidates)}"
    not_shown: dict[str, list[str]] = {}
    for kind, name in drawn.choice.not_shown:
        not_shown.setdefault(kind, []).append(name)
    for kind, names in not_shown.items():
        yield f"no host of the lab shows (more --hosts would), {kind}: {_some(names)}"
    attached = attached_groups(drawn.policy.model)
    groups = [group.name for group in drawn.policy.model.network_security_groups]
    if detached := [name for name in groups if name not in attached]:
        yield f"attached to nothing, network security group: {_some(detached)}"


def _some(names: Iterable[str], limit: int = _NAMES_SHOWN) -> str:
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def _format_rows(rows: Sequence[Row]) -> str:
    heading = ("From", "To", "Probe", "Expected", "On the wire", "Decided by", "")
    return format_table([heading, *map(_cells, rows)])


def _cells(row: Row) -> tuple[str, ...]:
    observed = row.observation
    source, destination = _addresses(observed.probe)
    detail = f" ({observed.detail})" if observed.detail else ""
    return (
        f"{observed.probe.sender.name} {source}",
        f"{observed.probe.receiver.name} {destination}",
        observed.probe.service.name,
        row.expected.value,
        f"{observed.observed.value}{detail}",
        row.decided_by,
        "" if row.is_match else "MISMATCH",
    )


def _addresses(probe: Probe) -> tuple[str, str]:
    return str(probe.sender.address(probe.version)), str(probe.receiver.address(probe.version))


def _not_hit(result: Result) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for entry in _rules_not_hit(result):
        name = f"{entry['networkSecurityGroup'] or '-'} {entry['direction']} {entry['rule']}"
        by_reason.setdefault(entry["why"], []).append(name)
    for reason, names in by_reason.items():
        yield f"not hit, {reason}: {_some(names, _RULES_SHOWN)}"


def _rules_not_hit(result: Result) -> list[dict[str, Any]]:
    reasons = result.drawn.plan.not_reached

    def why(rule: RuleKey) -> str:
        return reasons.get(rule, "it was predicted, and no packet was counted")

    return [
        {
            "networkSecurityGroup": rule[0] or None,
            "direction": rule[1],
            "rule": rule[2],
            "why": why(rule),
        }
        for rule in sorted(result.rules - result.hit)
    ]


def _summary(result: Result) -> str:
    total, passed = len(result.rows), sum(row.is_match for row in result.rows)
    hit, rules = len(result.rules & result.hit), len(result.rules)
    repeated = f" ({result.repeated} at the second try)" if result.repeated else ""
    return (
        f"{passed} of {total} probes as the policy says{repeated}, {hit} rules hit of {rules},"
        f" {len(result.counter_differences)} rule counters differ; seed {result.drawn.seed}\n"
        "expected is what nsgd's evaluator predicts of the loaded policy"
    )


def result_as_json(result: Result, kept: LabDirectory | None) -> dict[str, Any]:
    """All of it for programs."""
    drawn = result.drawn
    return {
        "expectedBy": "nsgd.policy.evaluate",
        "seed": drawn.seed,
        "hosts": [
            {
                "name": host.name,
                "kind": candidate.kind,
                "resource": candidate.name,
                "addresses": [str(address) for address in host.addresses],
                "link": host.gateway_link,
                "behind": host.behind,
            }
            for candidate in drawn.choice.chosen
            for host in candidate.hosts
        ],
        "leftOut": [{"kind": c.kind, "resource": c.name} for c in drawn.choice.left_out],
        "notShown": [{"kind": kind, "name": name} for kind, name in drawn.choice.not_shown],
        "settingsChanged": list(drawn.policy.changes),
        "probes": [
            {**entry, "source": source, "destination": destination}
            for entry, (source, destination) in zip(
                rows_as_json(result.rows),
                (_addresses(row.observation.probe) for row in result.rows),
                strict=True,
            )
        ],
        "secondTries": result.repeated,
        "counterDifferences": list(result.counter_differences),
        "disagreements": result.disagreements,
        "rules": {
            "hit": len(result.rules & result.hit),
            "of": len(result.rules),
            "notHit": _rules_not_hit(result),
        },
        "kept": None if kept is None else {"name": kept.name, "directory": str(kept.path)},
        "status": result.status,
    }


def format_kept(directory: LabDirectory, drawn: Drawn) -> str:
    """How to use a lab that stays up."""
    hosts = [host.name for host in drawn.choice.hosts]
    namespaces = [namespace_name(directory.name, host) for host in (GATEWAY, *hosts)]
    options = directory.options
    return "\n".join(
        (
            f"lab {directory.name} stays up: {_some(namespaces, len(namespaces))}",
            f"  nsgd lab exec{options} {hosts[0]} ip address",
            f"  nsgd status --runtime-dir {directory.path}/run",
            f"  nsgd lab down{options}",
            f"the daemon reads {directory.path}/policy.json; its log is {directory.path}/nsgd.log",
        )
    )
