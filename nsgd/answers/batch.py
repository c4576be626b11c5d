"""Many questions, each a JSON object on a line, answered in order and fast.

What the questions about one local address share is looked up once: the rules of each table that
its protocol and its address match. What is left of a question is two ports and an address, and the
answer is a line that was written before.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from nsgd.answers.ip_flow import FlowAnswer, flow_answer_as_json, tables_of, verify
from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.question import WITH_PORTS, FlowQuestion, read_question
from nsgd.answers.refused import QuestionRefused
from nsgd.config.wording import closest, show
from nsgd.model.rule import Access, Direction
from nsgd.policy.table import CompiledTable

FIELDS: Final = (
    "nic",
    "direction",
    "protocol",
    "localIPAddress",
    "localPort",
    "remoteIPAddress",
    "remotePort",
)
_FIELDS = frozenset(FIELDS)
_TEXTS = ("direction", "protocol", "localIPAddress", "remoteIPAddress")
_MOST_REMEMBERED = 1 << 16
_OCTETS = {str(number): number for number in range(256)}
_PORTS = {str(number): number for number in range(65536)}
_WITHOUT_GROUP = json.dumps(flow_answer_as_json(FlowAnswer(Access.ALLOW, ())))

# Of a rule that decides: the answer, or None where it says nothing; and whether no further table
# is asked.
_Outcome = tuple[str | None, bool]


class _Step(NamedTuple):
    """One table, as far as the local address and the protocol do not settle it."""

    candidates: int  # rules that these match, as bits
    remote_starts: list[int]
    remote_sets: list[int]
    local_port_starts: list[int]
    local_port_sets: list[int]
    remote_port_starts: list[int]
    remote_port_sets: list[int]
    outcomes: list[_Outcome]  # by rule


class _Context(NamedTuple):
    """What the questions about one local address, protocol and direction share."""

    tables: tuple[CompiledTable, ...]
    steps: tuple[_Step, ...] | None  # None: read word by word


class BatchVerifier:
    """Answers IP flow verify questions about one policy."""

    def __init__(self, policy: QuestionedPolicy) -> None:
        self._policy = policy
        # By the texts of a question, so that a text is read once.
        self._contexts: dict[tuple[Any, ...], _Context] = {}
        self._outcomes: dict[int, list[_Outcome]] = {}  # by the table's id

    def answer_line(self, line: bytes) -> tuple[str, bool]:
        """Answer a line of JSON by one, and tell whether it is an answer and no error."""
        try:
            question = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            return _error(f"not JSON: {_why_not_json(error)}"), False
        if type(question) is not dict:
            return _error(f"{show(question)} is no question; write an object"), False
        if line.count(b":") != len(question):
            # A field given twice, or a colon in a text, as IPv6 addresses have. A hook for each
            # line would cost four times as much as counting.
            twice = _given_twice(line)
            if twice is not None:
                return _error(f"{show(twice)} is given twice; keep one of them"), False
        try:
            return self.answer(question), True
        except QuestionRefused as refused:
            return _error(str(refused)), False

    def answer(self, question: Mapping[str, Any]) -> str:
        """The answer to a question, as JSON.

        Raises:
            QuestionRefused: There is none.
        """
        if not question.keys() <= _FIELDS:
            raise _unknown_field(question)
        get = question.get
        try:
            _, steps = self._contexts[
                get("nic"), get("direction"), get("protocol"), get("localIPAddress")
            ]
            first, second, third, fourth = question["remoteIPAddress"].split(".")
            octets = _OCTETS
            remote = (
                octets[first] << 24 | octets[second] << 16 | octets[third] << 8 | octets[fourth]
            )
            local_port = _PORTS[question["localPort"]]
            remote_port = _PORTS[question["remotePort"]]
        except (KeyError, TypeError, ValueError, AttributeError):
            # Not seen before, not as usual, or wrong.
            return self._answer_words(question)
        if steps is None:
            return self._answer_words(question)
        answer = _WITHOUT_GROUP
        # The loop of nsgd.answers.ip_flow.ask_each over nsgd.policy.table's match, with what is
        # settled taken out: a call for each table would cost as much as the table.
        for candidates, starts, sets, l_starts, l_sets, r_starts, r_sets, outcomes in steps:
            candidates &= sets[bisect_right(starts, remote) - 1]
            candidates &= l_sets[bisect_right(l_starts, local_port) - 1]
            candidates &= r_sets[bisect_right(r_starts, remote_port) - 1]
            said, is_last = outcomes[(candidates & -candidates).bit_length() - 1]
            if said is not None:
                answer = said
                if is_last:
                    break
        return answer

    def _answer_words(self, question: Mapping[str, Any]) -> str:
        texts = _texts(question)
        nic = question.get("nic")
        if nic is not None and not isinstance(nic, str):
            raise QuestionRefused(f"nic: {show(nic)} is not a name")
        asked = read_question(
            texts["direction"],
            texts["protocol"],
            texts["localIPAddress"],
            _port_text(question, "localPort"),
            texts["remoteIPAddress"],
            _port_text(question, "remotePort"),
        )
        key = (nic, texts["direction"], texts["protocol"], texts["localIPAddress"])
        context = self._contexts.get(key)
        if context is None:
            if len(self._contexts) >= _MOST_REMEMBERED:
                self._contexts.clear()
            context = self._contexts[key] = self._context(asked, nic)
        return json.dumps(flow_answer_as_json(verify(context.tables, asked)))

    def _context(self, question: FlowQuestion, nic: str | None) -> _Context:
        resource = self._policy.local_resource(question, nic)
        tables = tables_of(self._policy.policy, resource, question.direction)
        if question.local.version != 4 or question.protocol not in WITH_PORTS:
            return _Context(tables, None)
        return _Context(tables, tuple(self._step(table, question) for table in tables))

    def _step(self, table: CompiledTable, question: FlowQuestion) -> _Step:
        family = table.family_v4
        candidates = family.protocols.get(question.protocol, family.other_protocols)
        local, remote = family.sources, family.destinations
        local_ports, remote_ports = table.source_ports, table.destination_ports
        if question.direction is Direction.INBOUND:
            local, remote = remote, local
            local_ports, remote_ports = remote_ports, local_ports
        outcomes = self._outcomes.get(id(table))
        if outcomes is None:
            outcomes = [_outcome(table, rule) for rule in range(len(table.rule_names))]
            self._outcomes[id(table)] = outcomes
        return _Step(
            candidates & local.rules(question.local.value),
            remote.starts,
            remote.rule_sets,
            local_ports.starts,
            local_ports.rule_sets,
            remote_ports.starts,
            remote_ports.rule_sets,
            outcomes,
        )


def _outcome(table: CompiledTable, rule: int) -> _Outcome:
    if table.is_silent(rule):
        return None, False
    decision = table.decision(rule)
    answer = FlowAnswer(decision.access, (decision,))
    is_last = decision.access is Access.DENY or table.is_final(rule)
    return json.dumps(flow_answer_as_json(answer)), is_last


def _why_not_json(error: Exception) -> str:
    """In words for whoever wrote the line: some of Python's are for programmers of Python."""
    match error:
        case json.JSONDecodeError():
            return str(error)
        case UnicodeDecodeError():
            return f"byte {error.start} is not UTF-8"
        case RecursionError():
            return "nested too deeply"
    return "a number has too many digits"


def _given_twice(line: bytes) -> str | None:
    """The first key that an object of a line of JSON has twice."""
    twice: list[str] = []

    def take(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                twice.append(key)
            seen.add(key)

    json.loads(line.decode(), object_pairs_hook=take)
    return twice[0] if twice else None


def _texts(question: Mapping[str, Any]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for field in _TEXTS:
        value = question.get(field)
        if not isinstance(value, str):
            what = "missing" if value is None else f"{show(value)} is not text"
            raise QuestionRefused(f"{field}: {what}")
        texts[field] = value
    return texts


def _port_text(question: Mapping[str, Any], field: str) -> str | None:
    value = question.get(field)
    if value is None or isinstance(value, str):
        return value
    # Not isinstance: true would pass for a number.
    if type(value) is int:
        return show(value)
    raise QuestionRefused(f"{field}: {show(value)} is not a port")


def _unknown_field(question: Mapping[str, Any]) -> QuestionRefused:
    unknown = next(key for key in question if key not in _FIELDS)
    meant = closest(unknown, FIELDS)
    way_out = f"did you mean {meant}?" if meant else f"a question has {', '.join(FIELDS)}"
    return QuestionRefused(f"{show(unknown)} is no field of a question; {way_out}")


def _error(message: str) -> str:
    return json.dumps({"error": message})
