"""Compare nsgd's decisions with the oracle's answers on drawn documents.

As a script it runs millions of cases over several processes and says what they were,
so that weak coverage shows::

    python -m tests.oracle.agreement --cases 5000000 --jobs 2

Each document has a seed of its own, named in the summary and in every failure; with
``--base BASE --only N`` the script draws document N again.
"""

from __future__ import annotations

import argparse
import copy
import ipaddress
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.tag_catalogue import TagCatalogue, read_tag_file
from nsgd.model.packet import PacketHeader
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.evaluate import decide

from .choose import Written
from .dialect_parts import FORMS
from .generate import Case, random_case_of_any_form
from .oracle import DEFAULT_RULES, Answer, Oracle, Packet

PACKETS_PER_DOCUMENT = 50
BASE = "nsgd"
DEFAULT_NAMES = frozenset(rule["name"] for rule in DEFAULT_RULES)
MOST_FAILURES_KEPT = 5


@dataclass
class Failure:
    """One disagreement, complete enough to be read on its own."""

    seed: str
    case: Case  # its packets are the one below
    packet: Packet
    expected: Answer
    decided: Answer | str

    def __str__(self) -> str:
        return (
            f"document {self.seed}:\n{json.dumps(self.case.document, indent=1)}\n"
            f"tag files:\n{json.dumps(self.case.tag_files)}\n"
            f"packet: {self.packet}\noracle: {self.expected}\nnsgd:   {self.decided}"
        )


@dataclass
class Summary:
    """What a run did."""

    cases: int = 0
    documents: int = 0
    disagreements: int = 0
    histogram: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Summary) -> None:
        self.cases += other.cases
        self.documents += other.documents
        self.disagreements += other.disagreements
        self.histogram.update(other.histogram)
        room = MOST_FAILURES_KEPT - len(self.failures)
        self.failures += other.failures[: max(room, 0)]

    def count(self, packet: Packet, answer: Answer) -> None:
        """Add one case to the histogram."""
        self.cases += 1
        if answer.rule is None:
            decider = answer.reason
        elif answer.rule.startswith("securityAdminRules/"):
            decider = "security admin rule"
        elif answer.rule.startswith("platformRules/"):
            decider = "platform rule"
            self.histogram[f"platform: {answer.rule.partition('/')[2]}"] += 1
        elif answer.rule in DEFAULT_NAMES:
            decider = "default rule"
            self.histogram[f"default: {answer.rule}"] += 1
        else:
            decider = "user rule"
            self.histogram[f"user: {answer.direction} {answer.access}"] += 1
        for row in (
            f"decided by: {decider}",
            f"family: IPv{packet.version}",
            f"access: {answer.access}",
            f"groups consulted: {len(answer.consulted)}",
            f"links known: {(packet.in_link is not None) + (packet.out_link is not None)}",
            f"protocol: {packet.protocol}",
        ):
            self.histogram[row] += 1

    def __str__(self) -> str:
        lines = [
            f"cases {self.cases}, documents {self.documents}, disagreements {self.disagreements}"
        ]
        for row, count in sorted(self.histogram.items()):
            lines.append(f"  {row:<42} {count:>9} {100 * count / max(self.cases, 1):6.2f} %")
        return "\n".join(lines)


class InstalledTags:
    """Drawn tag files as the product's source of them: through its own reader."""

    def __init__(self, tag_files: Mapping[str, Written]) -> None:
        self._files = tag_files

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """The file of a cloud, if one was drawn."""
        file = self._files.get(cloud)
        return None if file is None else read_tag_file(json.dumps(file).encode())


def load_case(case: Case) -> LoadedConfig:
    """What the product reads of a case's document; raises what the product raises."""
    content = json.dumps(case.document).encode()
    return load_documents([Document("drawn.json", content)], tags=InstalledTags(case.tag_files))


def as_header(packet: Packet) -> PacketHeader:
    """A packet of the oracle's as the product has it."""
    return PacketHeader(
        4 if packet.version == 4 else 6,
        packet.protocol,
        int(ipaddress.ip_address(packet.source)),
        int(ipaddress.ip_address(packet.destination)),
        packet.source_port,
        packet.destination_port,
        False,
    )


def product_answer(policy: CompiledPolicy, packet: Packet) -> Answer:
    """The product's decision in the oracle's words."""
    decision = decide(
        policy,
        as_header(packet),
        packet.in_link,
        packet.out_link,
    )
    return Answer(
        "Unmanaged" if decision.access is None else decision.access.value,
        decision.reason.value,
        decision.network_security_group,
        decision.rule,
        None if decision.direction is None else decision.direction.value,
        tuple(
            (step.network_security_group, step.direction.value, step.rule, step.access.value)
            for step in decision.consulted
        ),
    )


def compare(seed: str, case: Case) -> Summary:
    """Judge a case's packets twice. A document that the product refuses is a failure of each."""
    summary = Summary(documents=1)
    oracle = Oracle(case.document, case.tag_files)
    refused: str | None = None
    try:
        policy = compile_policy(load_case(case).model)
    except Exception as error:
        refused = f"{type(error).__name__}: {error}"
    for packet in case.packets:
        expected = oracle.judge(packet)
        summary.count(packet, expected)
        decided: Answer | str
        if refused is not None:
            decided = refused
        else:
            try:
                decided = product_answer(policy, packet)
            except Exception as error:
                decided = f"{type(error).__name__}: {error}"
        if decided != expected:
            summary.disagreements += 1
            if not summary.failures:
                alone = case._replace(packets=[packet])
                summary.failures.append(Failure(seed, alone, packet, expected, decided))
    return summary


def run(base: str, first: int, last: int, packets: int, form: str | None = None) -> Summary:
    """Compare documents *first* to *last* - 1 of the series *base*, all of one *form* or of any."""
    total = Summary()
    for number in range(first, last):
        seed = f"{base}-{number}"
        total.add(compare(seed, random_case_of_any_form(seed, packets, form)))
    return total


def reduce_failure(failure: Failure) -> Failure:
    """The same kind of disagreement in a smaller document, by leaving out what can be.

    A failure in which the product refused or raised stays one of the same exception.
    """

    def fails(case: Case) -> Failure | None:
        try:
            found = compare(failure.seed, case).failures
        except Exception:
            return None  # not a document any more
        if not found or type(found[0].decided) is not type(failure.decided):
            return None
        if isinstance(found[0].decided, str) and isinstance(failure.decided, str):
            kept = found[0].decided.split(":")[0] == failure.decided.split(":")[0]
            return found[0] if kept else None
        return found[0]

    smallest = failure
    smaller = True
    while smaller:
        smaller = False
        for candidate in _one_part_less(smallest.case):
            found = fails(candidate)
            if found is not None:
                smallest, smaller = found, True
                break
    return smallest


def _one_part_less(case: Case) -> Iterator[Case]:
    """Copies of *case*, each without one entry of one list or mapping of its document or files."""
    for document in _smaller(case.document):
        yield case._replace(document=document)
    for tag_files in _smaller(case.tag_files):
        yield case._replace(tag_files=tag_files)


def _smaller(written: Written) -> Iterator[Written]:
    for path in _paths(written):
        smaller = copy.deepcopy(written)
        owner: Any = smaller
        for step in path[:-1]:
            owner = owner[step]
        del owner[path[-1]]
        yield smaller


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    entries: Sequence[tuple[Any, Any]]
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    else:
        return
    for key, _ in entries:
        yield (key,)
    for key, inner in entries:
        for path in _paths(inner):
            yield (key, *path)


def _run_share(share: tuple[str, int, int, int, str | None]) -> Summary:
    return run(*share)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison and print its summary; 1 if any case disagreed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--packets", type=int, default=PACKETS_PER_DOCUMENT, help="per document")
    parser.add_argument("--base", default=BASE, help="name of the series of documents")
    parser.add_argument("--only", type=int, help="number of the one document to draw")
    parser.add_argument("--form", choices=[name for _, name in FORMS], help="of all documents")
    options = parser.parse_args(arguments)

    started_s = time.monotonic()
    if options.only is not None:
        total = run(options.base, options.only, options.only + 1, options.packets, options.form)
    else:
        documents = -(-options.cases // options.packets)
        step = 200
        shares = [
            (options.base, first, min(first + step, documents), options.packets, options.form)
            for first in range(0, documents, step)
        ]
        total = Summary()
        if options.jobs == 1:
            for share in shares:
                total.add(_run_share(share))
        else:
            with multiprocessing.Pool(options.jobs) as pool:
                for part in pool.imap_unordered(_run_share, shares):
                    total.add(part)
    for failure in total.failures:
        print(f"--- disagreement\n{reduce_failure(failure)}")
    print(total)
    print(f"series {options.base}, seconds {time.monotonic() - started_s:.1f}")
    return 1 if total.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
