"""Whether assertions about reach hold, with the packet that shows it where one does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from nsgd.analysis.assertions import Assertion
from nsgd.analysis.flow_text import decision_as_json, packet_as_json, packet_text
from nsgd.analysis.reach import Reach
from nsgd.analysis.reach_flows import Ruling
from nsgd.analysis.reach_rows import in_question, is_possible
from nsgd.analysis.reach_text import decisions_text
from nsgd.config.report import Located
from nsgd.model.decision import TableDecision
from nsgd.model.packet import PacketHeader
from nsgd.spaces.budget import OverBudget
from nsgd.spaces.flow_sets import FlowSet


class Outcome(Enum):
    """What comes of an assertion."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Checked:
    """An assertion with what came of it.

    *packet* is one that has the other verdict: where that of all flows was asserted, the
    counterexample; where that of any, one of all. It is None where there is no such flow at all.
    """

    assertion: Assertion
    outcome: Outcome
    packet: PacketHeader | None = None
    decisions: tuple[TableDecision | None, TableDecision | None] = (None, None)


def check(reach: Reach, assertions: Sequence[Assertion]) -> Iterator[Checked]:
    """Check all, each by itself."""
    asked_of = in_question(reach)
    for assertion in assertions:
        yield _check(reach, assertion, asked_of)


def _check(reach: Reach, assertion: Assertion, asked_of: Any) -> Checked:
    asked = reach.flows.of_box(assertion.flows, True, False)
    other: tuple[PacketHeader, tuple[int, int]] | None = None
    is_undetermined = is_met = False
    seen: set[int] = set()
    for pair, flows in _pairs(reach, assertion):
        if flows is None:
            is_undetermined = True
            continue
        if flows in seen:
            continue
        seen.add(flows)
        try:
            with reach.budget.question():
                in_scope = asked_of(flows, asked)
        except OverBudget:
            is_undetermined = True
            continue
        for ruling, box in reach.flows.boxes(in_scope):
            if not isinstance(ruling, Ruling):
                continue
            if ruling.is_allowed is assertion.expects_allow:
                is_met = True
            elif other is None and (packet := reach.witness(*pair, box)) is not None:
                other = packet, pair
        if (assertion.is_of_all and other is not None) or (not assertion.is_of_all and is_met):
            break
    if assertion.is_of_all:
        holds, fails = is_met and other is None and not is_undetermined, other is not None
    else:
        holds, fails = is_met, False
    if holds:
        return Checked(assertion, Outcome.HOLDS)
    if is_undetermined and not fails:
        return Checked(assertion, Outcome.UNDETERMINED)
    if other is None:
        return Checked(assertion, Outcome.FAILS)
    return Checked(assertion, Outcome.FAILS, other[0], reach.decided(*other[1], other[0]))


def _pairs(reach: Reach, assertion: Assertion) -> Iterator[tuple[tuple[int, int], FlowSet | None]]:
    for senders in assertion.senders:
        for receivers in assertion.receivers:
            for sender, seen in reach.pairs(senders, receivers):
                for receiver, flows in reach.flow_sets(sender, seen):
                    if is_possible(reach, (sender, receiver)):
                        yield (sender, receiver), flows


def checked_as_text(checked: Sequence[Checked]) -> str:
    """A line for each assertion that does not hold, with its packet, and a summary."""
    lines = [_line(each) for each in checked if each.outcome is not Outcome.HOLDS]
    counts = {outcome: sum(each.outcome is outcome for each in checked) for outcome in Outcome}
    summary = [f"{counts[Outcome.HOLDS]} of {len(checked)} assertions hold"]
    if counts[Outcome.UNDETERMINED]:
        summary.append(f"{counts[Outcome.UNDETERMINED]} undetermined")
    return "\n".join([*lines, ", ".join(summary)])


def _line(checked: Checked) -> str:
    assertion = checked.assertion
    head = f"{_where(assertion.at)}{assertion.name}: "
    if checked.outcome is Outcome.UNDETERMINED:
        return f"{head}undetermined: too many cases for --budget"
    if checked.packet is None:
        return f"{head}fails: there is no such flow that the policy judges"
    packet = packet_text(checked.packet)
    verdict = "denied" if assertion.expects_allow else "allowed"
    by = decisions_text(checked.decisions)
    if assertion.is_of_all:
        return f"{head}fails: {packet} is {verdict} ({by})"
    return f"{head}fails: all such flows are {verdict}, such as {packet} ({by})"


def _where(at: Located | None) -> str:
    if at is None:
        return ""
    line = f":{at.line}" if at.line else ""
    return f"{at.document}{line}: "


def checked_as_json(checked: Sequence[Checked]) -> dict[str, Any]:
    """Every assertion with its outcome; the form stays as it is, apart from new keys."""
    return {"assertions": [_as_json(each) for each in checked]}


def _as_json(checked: Checked) -> dict[str, Any]:
    assertion = checked.assertion
    found: dict[str, Any] = {
        "name": assertion.name,
        "outcome": checked.outcome.value,
        "packet": None if checked.packet is None else packet_as_json(checked.packet),
    }
    if assertion.at is not None:
        found |= {"document": assertion.at.document, "line": assertion.at.line}
    if checked.packet is not None:
        outbound, inbound = map(decision_as_json, checked.decisions)
        found |= {"outbound": outbound, "inbound": inbound}
    return found
