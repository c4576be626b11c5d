"""Runs policies one after the other through the engines, and tells every disagreement."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nsgd.lab.netns import Lab
from tests.kernel.agreement.expected import (
    KERNEL,
    QUEUE,
    CounterKey,
    Expected,
    answers_of,
    disagreements_of_evaluator,
    expected_of,
)
from tests.kernel.agreement.flows import compare_flows, expected_decisions
from tests.kernel.agreement.frames import is_forwarded_copy
from tests.kernel.agreement.site import BINDABLE, PolicyRefused, Received, Site
from tests.kernel.agreement.summary import Summary
from tests.kernel.agreement.traffic import Traffic, drawn_traffic
from tests.oracle.oracle import Answer

ENGINES = (KERNEL, QUEUE)


def run(
    base: str,
    engines: Sequence[str],
    is_done: Callable[[Sequence[Summary]], bool],
    *,
    packets_per_policy: int = 1000,
    first: int = 0,
    told: Callable[[str], None] = lambda line: None,
) -> list[Summary]:
    """Send the policies of a series through the engines, until it is enough.

    Args:
        base: The series.
        engines: Each gets the same packets.
        is_done: Asked before each policy.
        packets_per_policy: So many are drawn for each.
        first: Number of the first policy in the series.
        told: Called with each disagreement as it is found.
    """
    summaries = [Summary(engine) for engine in engines]
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lab = stack.enter_context(Lab())
        sites = []
        for engine in engines:
            sites.append(Site(lab, directory / engine, engine))
            stack.callback(sites[-1].close)
        for traffic in drawn_traffic(base, BINDABLE, packets_per_policy, first):
            if is_done(summaries):
                break
            answers = answers_of(traffic)
            of_evaluator = disagreements_of_evaluator(traffic, answers)
            for site, summary in zip(sites, summaries, strict=True):
                before = len(summary.told)
                try:
                    site.bring_into_force(traffic)
                except PolicyRefused as refused:
                    summary.tell(traffic, [str(refused)])
                else:
                    expected = expected_of(traffic, answers, site.engine)
                    found = _run_one(site, traffic, answers, expected)
                    summary.add(traffic, answers, expected)
                    summary.tell(traffic, [*of_evaluator, *found])
                for line in summary.told[before:]:
                    told(line)
    return summaries


def _run_one(
    site: Site, traffic: Traffic, answers: Sequence[Answer], expected: Expected
) -> list[str]:
    before = site.counts()
    received = site.send(traffic.packets, expected.passing)
    counted = site.counts()
    counted.subtract(before)
    return [
        *_compare_packets(traffic, answers, expected, received),
        *_compare_counts(expected, counted),
        *compare_flows(expected_decisions(traffic, answers, expected), site.flows()),
    ]


def _compare_packets(
    traffic: Traffic, answers: Sequence[Answer], expected: Expected, received: Received
) -> Iterator[str]:
    for sent, answer in zip(traffic.packets, answers, strict=True):
        found = received.pop(sent.number, None)
        told = f"packet {sent.way} {sent.shape.value}\n  oracle: {answer}"
        if (found is not None) != (sent.number in expected.passing):
            yield f"{'denied' if found is None else 'passed'}: {told}"
        elif found is not None:
            link, content = found
            if link != sent.way.packet.out_link:
                yield f"left by {link}: {told}"
            if not is_forwarded_copy(content, sent.content):
                yield f"changed on its way to {content.hex()} from {sent.content.hex()}: {told}"
    for number in received:
        yield f"came too late, or was never sent: {number >> 32}, {number & 0xFFFFFFFF}"


def _compare_counts(expected: Expected, counted: Counter[CounterKey]) -> Iterator[str]:
    for key in sorted({*expected.counts, *counted}):
        if counted[key] != expected.counts[key]:
            yield f"counter {'/'.join(key)}: {counted[key]}, oracle: {expected.counts[key]}"
