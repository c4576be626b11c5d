"""Judges facts: all checks, in the order in which one would repair what they find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nsgd.doctor.check import Check, ok, problem, unknown
from nsgd.doctor.conntrack_checks import conntrack_checks
from nsgd.doctor.facts import Facts
from nsgd.doctor.host_checks import host_checks
from nsgd.doctor.kernel_checks import kernel_checks
from nsgd.doctor.neighbour_checks import neighbour_checks
from nsgd.doctor.network_checks import network_checks
from nsgd.doctor.tag_checks import service_tags_check
from nsgd.ruleset.objects import TABLE


def judge(facts: Facts) -> tuple[Check, ...]:
    """Every check, whatever was found: a consumer can rely on the names."""
    return tuple(_judge(facts))


def _judge(facts: Facts) -> Iterator[Check]:
    yield from kernel_checks(facts)
    yield from conntrack_checks(facts)
    yield from neighbour_checks(facts)
    yield from network_checks(facts)
    yield from host_checks(facts)
    yield _policy(facts)
    yield service_tags_check(facts)
    yield _queue_numbers(facts)
    yield _daemon(facts)


def _policy(facts: Facts) -> Check:
    name = "policy documents"
    if facts.policy_problems:
        first, *others = facts.policy_problems
        more = f", and {len(others)} more" if others else ""
        return problem(name, f"refused: {first}{more}", "run 'nsgd check' on them")
    if facts.policy is None:
        return unknown(name, "none named", "name them with --config to have them looked at too")
    model = facts.policy.model
    scale_sets = f" and {len(model.scale_sets)} scale sets" if model.scale_sets else ""
    return ok(name, f"{len(model.network_interfaces)} network interfaces{scale_sets} declared")


def _queue_numbers(facts: Facts) -> Check:
    name = "queue number"
    numbers = facts.settings.queue_numbers
    first, *others = numbers
    queues = f"queues {first} to {others[-1]}" if others else f"queue {first}"
    if not facts.is_queue_readable:
        return unknown(name, f"the kernel shows the readers of {queues} to root alone")
    status = facts.status
    workers = {w["queueNumber"]: w["pid"] for w in status["workers"]} if status else {}
    read = []
    for number in numbers:
        reader = facts.queue_readers.get(number)
        if reader is None:
            continue
        worker = workers.get(number)
        if worker is None or reader.pid not in (worker, None):
            who = "another process"
            if reader.pid is not None:
                who = f"process {reader.pid} ({reader.command})"
            return problem(
                name,
                f"queue {number} is read by {who}, which is not the worker of a daemon seen here",
                f"end it, or set daemon.queueNumber to {_free_number(len(numbers))}",
            )
        read.append(number)
    if not read:
        return ok(name, f"nobody reads {queues}")
    if len(read) < len(numbers):
        missing = ", ".join(str(number) for number in numbers if number not in read)
        fix = "look at the daemon's log; other queues than it was started with need a restart"
        return problem(name, f"nobody reads queue {missing}", fix)
    if others:
        return ok(name, f"the daemon's workers read {queues}")
    return ok(name, f"the daemon's worker reads {queues}")


def _free_number(queues: int) -> str:
    return "a free number" if queues == 1 else f"the first of {queues} free numbers"


def _workers_down(status: Mapping[str, Any]) -> str:
    down = [str(each["queueNumber"]) for each in status["workers"] if not each["up"]]
    if len(status["workers"]) == 1:
        return "its worker is down"
    return f"no worker serves queue {', '.join(down)}"


def _daemon(facts: Facts) -> Check:
    name = "daemon"
    status = facts.status
    if status is not None:
        found = f"{status['version']} runs, policy {status['generation']} in force"
        if status["worker"]["up"]:
            return ok(name, found)
        return problem(name, f"{found}, but {_workers_down(status)}", "look at the daemon's log")
    if not facts.is_daemon_absent:
        return unknown(name, facts.status_error, "run this as root or as the daemon's user")
    if facts.nftables is None:
        return unknown(name, "none runs; whether one has left its rules is not seen")
    if any((chain.family, chain.table) == ("inet", TABLE) for chain in facts.nftables.chains):
        return problem(
            name,
            "none runs, and the rules of one are in place: new flows are not decided",
            "start it; 'nsgd stop --remove-rules' lets all traffic pass",
        )
    return ok(name, "none runs, and none has left rules")
