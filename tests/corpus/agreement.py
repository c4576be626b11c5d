"""Compare nsgd's decisions with the oracle's on the policies of the corpus.

As a script it judges many flows of each policy and prints one line for each::

    python -m tests.corpus.agreement --flows 10000 --jobs 2

nsgd reads Azure's JSON as it is. The oracle has the rules, and who has which group, from its own
reader of that JSON; of a template, from what nsgd.arm evaluates (test_arm.py compares that with
the template's text). The addresses of networks and interfaces it takes from what nsgd prints.
Groups that nothing in a policy is attached to get a network of their own, where one subnet and one
interface has each.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from nsgd.arm.evaluate import evaluate_template
from nsgd.azure.native import native_document
from nsgd.config.document import Document, Role
from nsgd.config.load import LoadedConfig, load_documents
from nsgd.policy.compile import compile_policy
from tests.corpus import templates
from tests.corpus.synthetic import SYNTHETIC, near_prefixes, network_beside
from tests.corpus.test_arm import BROKEN, TEMPLATES, read
from tests.corpus.test_exports import (
    EXAMPLES,
    EXPORTS,
    INCONSISTENT,
    NO_RESOURCES,
    TAG_FILE,
    UNPUBLISHED,
    Tags,
    bodies,
    companions,
)
from tests.oracle.agreement import Failure, Summary, product_answer
from tests.oracle.azure_json import read_attachments, read_groups
from tests.oracle.choose import RandomChooser
from tests.oracle.generate import Case
from tests.oracle.oracle import Oracle
from tests.oracle.packets import PacketSource

Raw = dict[str, Any]
FLOWS = 10_000


class Source(NamedTuple):
    """One policy: what nsgd is given, and its resources as the oracle's reader wants them."""

    documents: list[Document]
    resources: list[Raw]


class Outcome(NamedTuple):
    """What came of one policy; *trouble* is empty where all agree."""

    name: str
    rules: int
    decided: int  # the rules that decided some flow
    summary: Summary
    trouble: str

    def line(self) -> str:
        """For the table."""
        deciders = {
            row.removeprefix("decided by: "): count
            for row, count in self.summary.histogram.items()
            if row.startswith("decided by: ")
        }
        said = ", ".join(f"{name} {count}" for name, count in sorted(deciders.items()))
        verdict = "agrees" if not self.trouble else "DISAGREES"
        rules = f"{self.decided} of {self.rules} rules decided"
        return f"{verdict} {self.name}: {rules}, {self.summary.cases} flows ({said})"


# -- the policies ------------------------------------------------------------------------


def sources() -> dict[str, Callable[[], Source | None]]:
    """Every policy by its name, each read when it is called; None where nsgd refuses it."""
    found: dict[str, Callable[[], Source | None]] = {}
    for path in EXPORTS:
        found[f"export {path.stem}"] = partial(_export, path)
    for path in EXAMPLES:
        for status, body in bodies(path):
            if path.stem in NO_RESOURCES or (path.stem, status) in INCONSISTENT:
                continue
            found[f"example {path.stem} {status}"] = partial(_example, body)
    for path in TEMPLATES:
        if path.name not in BROKEN:
            found[f"template {path.stem}"] = partial(_template, path)
    return found


def _export(path: Path) -> Source:
    return Source([Document(path.name, path.read_bytes())], [json.loads(path.read_bytes())])


def _example(body: Any) -> Source:
    others = companions(body)
    documents = [Document("body.json", json.dumps(body).encode())]
    if others:
        documents.append(Document("others.json", json.dumps(others).encode()))
    return Source(documents, [*others, *body.get("value", [body])])


def _template(path: Path) -> Source | None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        outcome, _ = templates.load(path, directory, TAG_FILE)
        if outcome.refusal:
            return None
        given = (directory / f"{path.stem}.parameters.json").read_bytes()
        documents = [
            Document(path.name, path.read_bytes()),
            Document("given.parameters.json", given, Role.PARAMETERS),
        ]
        beside = directory / "export.json"
        resources: list[Raw] = []
        if beside.exists():
            documents.append(Document("export.json", beside.read_bytes()))
            resources += json.loads(beside.read_bytes())
    resources += [
        {
            "type": one.type,
            "name": str(one.name),
            "id": str(one.id),
            "properties": one.properties,
        }
        for one in evaluate_template(read(path), json.loads(given)).resources
        if not one.is_existing
    ]
    return Source(documents, resources)


# -- reading them -----------------------------------------------------------------------


def _load(documents: Sequence[Document]) -> LoadedConfig:
    return load_documents(documents, tags=Tags(True))


def _load_with_network(source: Source) -> LoadedConfig:
    """The policy, with the network above for the groups that have none."""
    named = _named_application_groups(source.resources)
    declared = [
        Document("groups.json", json.dumps({"applicationSecurityGroups": missing}).encode())
        for missing in [_undeclared(source.resources, named)]
        if missing
    ]
    first = _load([*source.documents, *declared])
    model = first.model
    attached = {
        owner.network_security_group
        for owners in (
            model.network_interfaces,
            model.scale_sets,
            [subnet for network in model.virtual_networks for subnet in network.subnets],
        )
        for owner in owners
    }
    alone = [group.name for group in model.network_security_groups if group.name not in attached]
    if not alone:
        return first
    taken = {
        name.lower()
        for owners in (model.network_interfaces, model.scale_sets)
        for owner in owners
        for name in owner.application_security_groups
    }
    free = [name for name in named if name.lower() not in taken]
    printed: Raw = json.loads(json.dumps(native_document(model)))
    rules = read_groups(source.resources)
    near = {name: near_prefixes(rules[name.rpartition("/")[2].lower()]) for name in alone}
    extra = json.dumps(network_beside(printed, near, free)).encode()
    return _load([*source.documents, *declared, Document("network.json", extra)])


def _named_application_groups(resources: Sequence[Raw]) -> list[str]:
    found: dict[str, str] = {}
    for rules in read_groups(resources).values():
        for rule in rules:
            for side in ("source", "destination"):
                for name in rule.get(f"{side}ApplicationSecurityGroups") or []:
                    found.setdefault(name.lower(), name)
    return list(found.values())


def _undeclared(resources: Sequence[Raw], named: Sequence[str]) -> list[Raw]:
    declared = {
        resource["name"].lower()
        for resource in resources
        if str(resource.get("type")).lower().endswith("/applicationsecuritygroups")
    }
    return [{"name": name} for name in named if name.lower() not in declared]


# -- the comparison ----------------------------------------------------------------------


def oracle_document(printed: Any, resources: Sequence[Raw]) -> Raw:
    """What nsgd printed, with the rules of the oracle's own reading; raises where groups differ."""
    document: Raw = json.loads(json.dumps(printed))
    for network in document.get("virtualNetworks") or []:
        network.setdefault("subnets", [])
    groups = read_groups(resources)
    read_now: set[str] = set()
    for group in document.get("networkSecurityGroups") or []:
        name = group["name"].rpartition("/")[2].lower()
        group["securityRules"] = groups[name]
        read_now.add(name)
    if read_now != set(groups):
        raise AssertionError(f"other groups: {sorted(read_now ^ set(groups))}")
    attached = _attachments(document)
    if attached != read_attachments(resources):
        raise AssertionError(f"attached otherwise: {attached ^ read_attachments(resources)}")
    return document


def _attachments(document: Raw) -> set[tuple[str, str]]:
    owners = [(each["name"], each) for each in document.get("networkInterfaces") or []]
    for network in document.get("virtualNetworks") or []:
        for subnet in network.get("subnets") or []:
            name = network["name"].rpartition("/")[2]
            owners.append((f"{name}/{subnet['name']}", subnet))
    return {
        (name.lower(), owner["networkSecurityGroup"].rpartition("/")[2].lower())
        for name, owner in owners
        if owner.get("networkSecurityGroup") and not name.startswith(SYNTHETIC)
    }


@cache
def _tag_entries() -> dict[str, Raw]:
    entries = json.loads(TAG_FILE.read_bytes())["values"]
    found = {entry["name"].lower(): entry for entry in entries}
    for name, prefixes in UNPUBLISHED.items():
        found[name.lower()] = {"name": name, "properties": {"addressPrefixes": prefixes}}
    return found


def tags_of(document: Raw) -> dict[str, Raw]:
    """Microsoft's file, cut down to the tags that rules name."""
    texts: set[str] = set()
    for group in document.get("networkSecurityGroups") or []:
        for rule in group["securityRules"]:
            for key, value in rule.items():
                if "AddressPrefix" in key and value:
                    texts |= {value.lower()} if isinstance(value, str) else {*map(str.lower, value)}
    values = [entry for name, entry in _tag_entries().items() if name in texts]
    return {"Public": {"cloud": "Public", "changeNumber": 1, "values": values}}


def compare(name: str, source: Source, flows: int) -> Outcome:
    """Judge *flows* drawn flows of one policy twice."""
    loaded = _load_with_network(source)
    printed = native_document(loaded.model, loaded.settings, loaded.reading)
    document = oracle_document(printed, source.resources)
    tag_files = tags_of(document)
    own = {
        (group["name"], rule["name"])
        for group in document.get("networkSecurityGroups") or []
        for rule in group["securityRules"]
    }
    hit: set[tuple[str, str]] = set()
    summary = Summary(documents=1)
    if not document.get("virtualNetworks"):
        return Outcome(name, 0, 0, summary, "")
    policy = compile_policy(loaded.model)
    oracle = Oracle(document, tag_files)
    drawn = PacketSource(document, tag_files)
    chooser = RandomChooser(name)
    for _ in range(flows):
        packet = drawn.draw(chooser)
        expected = oracle.judge(packet)
        summary.count(packet, expected)
        hit |= {(step[0], step[2]) for step in expected.consulted} & own
        decided = product_answer(policy, packet)
        if decided != expected:
            summary.disagreements += 1
            if not summary.failures:
                case = Case(document, tag_files, [packet])
                summary.failures.append(Failure(name, case, packet, expected, decided))
    trouble = "\n".join(str(failure)[:20_000] for failure in summary.failures)
    return Outcome(name, len(own), len(hit), summary, trouble)


def outcome(name: str, flows: int) -> Outcome | None:
    """Compare the policy of a name; None where nsgd refuses it."""
    source = sources()[name]()
    return None if source is None else compare(name, source, flows)


def _outcome(task: tuple[str, int]) -> tuple[str, Outcome | None]:
    name, flows = task
    try:
        return name, outcome(name, flows)
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
        return name, Outcome(name, 0, 0, Summary(), trouble)


def outcomes(names: Sequence[str], flows: int, jobs: int) -> Iterator[tuple[str, Outcome | None]]:
    """Of all these policies, in their order."""
    tasks = [(name, flows) for name in names]
    if jobs == 1:
        yield from map(_outcome, tasks)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap(_outcome, tasks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line for each policy; 1 if any flow was judged in two ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flows", type=int, default=FLOWS, help="of each policy")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="policies with this in their name")
    options = parser.parse_args(arguments)
    started_s = time.monotonic()
    names = [name for name in sources() if options.only in name]
    total, refused, troubled, rules, decided = Summary(), 0, 0, 0, 0
    for name, found in outcomes(names, options.flows, options.jobs):
        if found is None:
            refused += 1
            print(f"refused {name}")
            continue
        print(found.line(), flush=True)
        if found.trouble:
            troubled += 1
            print(found.trouble)
        total.add(found.summary)
        rules, decided = rules + found.rules, decided + found.decided
    print(total)
    print(
        f"{len(names)} policies, {refused} refused, {troubled} with a disagreement,"
        f" {decided} of {rules} rules decided, {time.monotonic() - started_s:.0f} s"
    )
    return 1 if troubled else 0


if __name__ == "__main__":
    sys.exit(main())
