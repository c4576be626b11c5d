"""What lint finds in the policies of the corpus: a table of counts, and findings to be read.

As a script it prints the table of docs/policy-analysis.md, or picks findings by chance::

    python -m tests.analysis.corpus
    python -m tests.analysis.corpus --pick 20 --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nsgd.analysis.findings import Finding, Kind
from nsgd.analysis.flow_text import packet_text
from nsgd.analysis.lint import lint
from nsgd.config.document import Document
from nsgd.config.load import load_documents
from nsgd.model.network import NetworkModel
from nsgd.spaces.budget import Budget
from tests.corpus.agreement import Source, _named_application_groups, _undeclared, sources
from tests.corpus.test_exports import Tags


class Linted(NamedTuple):
    """One policy with what is found in it."""

    name: str
    model: NetworkModel
    findings: tuple[Finding, ...]
    undetermined: int


def model_of(source: Source) -> NetworkModel:
    """The policy, with the application security groups that its rules name."""
    named = _named_application_groups(source.resources)
    missing = _undeclared(source.resources, named)
    documents = list(source.documents)
    if missing:
        content = json.dumps({"applicationSecurityGroups": missing}).encode()
        documents.append(Document("groups.json", content))
    return load_documents(documents, tags=Tags(True)).model


def linted(only: str = "") -> Iterator[Linted]:
    """Every policy that nsgd reads and that has groups."""
    for name, read in sources().items():
        if only not in name:
            continue
        source = read()
        if source is None:
            continue
        model = model_of(source)
        if model.network_security_groups:
            result = lint(model, Budget())
            yield Linted(name, model, result.findings, len(result.unfinished))


def rule_count(model: NetworkModel) -> int:
    """All rules of users."""
    return sum(len(group.security_rules) for group in model.network_security_groups)


def table(found: Sequence[Linted]) -> Iterator[str]:
    """In Markdown: policies with findings and their counts, and the sums of all."""
    yield "| policy | rules | findings |"
    yield "|---|---|---|"
    sums: Counter[Kind] = Counter()
    for each in found:
        counts = Counter(finding.kind for finding in each.findings)
        sums += counts
        if counts:
            yield f"| {each.name} | {rule_count(each.model)} | {_counts(counts)} |"
    rules = sum(rule_count(each.model) for each in found)
    without = sum(not each.findings for each in found)
    yield f"| {without} others | | none |"
    yield f"| **all {len(found)}** | {rules} | {_counts(sums)} |"


def _counts(counts: Counter[Kind]) -> str:
    return ", ".join(f"{kind.identity} {counts[kind]}" for kind in Kind if counts[kind])


def picked(found: Sequence[Linted], number: int, seed: int) -> Iterator[str]:
    """Findings by chance; the same seed picks the same ones."""
    every = [(each, finding) for each in found for finding in each.findings]
    for each, finding in random.Random(seed).sample(every, min(number, len(every))):
        shown = "" if finding.witness is None else f", such as {packet_text(finding.witness)}"
        rule = f"{finding.rule} of " if finding.rule else ""
        yield (
            f"{each.name}: {finding.kind.identity}: {rule}{finding.group} {finding.message}{shown}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table or the findings that are picked; 1 if anything was undetermined."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="policies with this in their name")
    parser.add_argument("--pick", type=int, default=0, help="so many findings by chance instead")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    found = list(linted(options.only))
    lines = picked(found, options.pick, options.seed) if options.pick else table(found)
    print("\n".join(lines))
    return 1 if any(each.undetermined for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
