"""A test suite for policies: what must be allowed, and what must not, read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nsgd.analysis.asked_flows import read_flows
from nsgd.analysis.ends import End, Ends
from nsgd.answers.refused import QuestionRefused
from nsgd.config.compound import Field, ListOf, ObjectOf
from nsgd.config.document import Document
from nsgd.config.problem import ConfigRefused, Refusal
from nsgd.config.report import Located, Place
from nsgd.config.shape import Choice, Parsed, Text
from nsgd.config.small_file import read_as
from nsgd.config.wording import show
from nsgd.spaces.flow_sets import FlowBox


def _texts(value: object) -> list[str | int]:
    """One text or number, or a list of such."""
    found: list[Any] = value if isinstance(value, list) else [value]
    for each in found:
        if isinstance(each, bool) or not isinstance(each, (str, int)):
            raise Refusal(f"{show(each)} is neither text nor a number", "write one, or a list")
    if not found:
        raise Refusal("the list is empty", "name something, or leave the key out")
    return found


_TEXTS = Parsed("text or a list", _texts)
_FILE = ObjectOf(
    "assertions about reach",
    {
        "assertions": Field(
            ListOf(
                ObjectOf(
                    "an assertion",
                    {
                        "name": Field(Text("a text")),
                        "from": Field(_TEXTS, is_required=True),
                        "to": Field(_TEXTS, is_required=True),
                        "protocol": Field(Parsed("a protocol", lambda value: str(value))),
                        "port": Field(_TEXTS),
                        "sourcePort": Field(_TEXTS),
                        "expect": Field(Choice({"Allow": True, "Deny": False}), is_required=True),
                        "of": Field(Choice({"all": True, "any": False})),
                    },
                )
            ),
            is_required=True,
        )
    },
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """What must hold of flows from some ends to others: of all of them, or of one at least."""

    name: str
    at: Located | None
    senders: tuple[End, ...]
    receivers: tuple[End, ...]
    flows: FlowBox
    expects_allow: bool
    is_of_all: bool


def read_assertions(document: Document, ends: Ends) -> tuple[Assertion, ...]:
    """Read a file, YAML or JSON.

    Raises:
        ConfigRefused: With everything that is wrong in it.
    """
    fields, report = read_as(_FILE, document)
    result: list[Assertion] = []
    if not report.has_problems:
        for index, entry in enumerate(fields["assertions"]):
            place = Place(0).at("assertions", index)
            try:
                result.append(_assertion(entry, index, report.where(place), ends))
            except QuestionRefused as refused:
                message, _, way_out = str(refused).partition("; ")
                report.add(place, message, way_out or "correct it")
    if report.has_problems:
        raise ConfigRefused(report.problems())
    return tuple(result)


def _assertion(entry: dict[str, Any], index: int, at: Located, ends: Ends) -> Assertion:
    return Assertion(
        entry.get("name") or f"assertions[{index}]",
        at,
        tuple(ends.find(str(each)) for each in entry["from"]),
        tuple(ends.find(str(each)) for each in entry["to"]),
        read_flows(entry.get("protocol"), entry.get("port", ()), entry.get("sourcePort", ())),
        entry["expect"],
        entry.get("of", True),
    )
