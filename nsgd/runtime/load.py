"""Documents to a policy that is ready to go into force, or every reason why it is not."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nsgd.config.load import Document, ReadDocuments, load_documents
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.tag_catalogue import TagCatalogue
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.numbers import DecisionNumbers, NumbersExhaustedError
from nsgd.policy.runnable import what_cannot_run
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime.documents import read_documents, read_linked
from nsgd.runtime.says import note_lines
from nsgd.runtime.tag_store import InstalledTags

log = logging.getLogger("nsgd")

# Settings that a running daemon cannot change: name in documents, attribute.
_FIXED_WHILE_RUNNING = (
    ("queueNumber", "queue_number"),
    ("queueLength", "queue_length"),
    ("markMask", "mark_mask"),
    ("metricsListen", "metrics_host"),
    ("metricsListen", "metrics_port"),
)


@dataclass(frozen=True, slots=True)
class TagFileInUse:
    """The service tags file that the prefixes of tags in rules are from."""

    asked_cloud: str  # as the documents spell it
    cloud: str
    change_number: int
    installed_at_s: float  # unix time
    is_previous: bool  # the newest file cannot be used


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """Everything that the kernel and the worker get, from one reading of the documents."""

    model: NetworkModel
    settings: DaemonSettings
    policy: CompiledPolicy
    numbers: DecisionNumbers
    # Of the documents' bytes, in the order given, and of the service tags that rules name.
    content_hash: str
    tag_file: TagFileInUse | None = None  # None where rules name no published tag
    documents: tuple[Document, ...] = ()  # as they were read

    @property
    def summary(self) -> str:
        """What is loaded, for a log line."""
        model = self.model
        rules = sum(len(group.security_rules) for group in model.network_security_groups)
        admin = model.security_admin_rules
        admin_rules = f", {admin} security admin rules" if admin else ""
        scale_sets = f" {len(model.scale_sets)} scale sets," if model.scale_sets else ""
        return (
            f"{len(model.virtual_networks)} virtual networks,"
            f" {len(model.network_interfaces)} network interfaces,{scale_sets}"
            f" {len(model.network_security_groups)} network security groups,"
            f" {rules} security rules{admin_rules} (documents {self.content_hash})"
        )


def load_policy(
    paths: Sequence[Path],
    numbers: DecisionNumbers,
    running: DaemonSettings | None,
    read_before: ReadDocuments | None = None,
    tags: InstalledTags | None = None,
    parameters: Sequence[Path] = (),
) -> LoadedPolicy:
    """Read, validate and compile; the log is told the notes on the documents.

    Args:
        paths: The documents.
        numbers: Decision numbers given so far.
        running: Settings in force; those fixed while running must not differ.
        read_before: Documents that need not be read again where they are the same.
        tags: Where service tags files are installed.
        parameters: Files with values for the parameters of templates.

    Raises:
        ConfigRefused: With every problem found.
    """
    documents = read_documents(paths, parameters)
    asked = None if tags is None else _AskedTags(tags)
    loaded = load_documents(documents, read_before, asked, read_linked)
    documents += loaded.linked
    names = ", ".join(document.name for document in documents)
    problems = [
        _problem(names, "", *sentence.split("; ", 1)) for sentence in what_cannot_run(loaded.model)
    ]
    if running is not None:
        changed = dict.fromkeys(
            name
            for name, attribute in _FIXED_WHILE_RUNNING
            if getattr(running, attribute) != getattr(loaded.settings, attribute)
        )
        problems += [
            _problem(
                names, f"daemon.{name}", "cannot change while the daemon runs", "restart the daemon"
            )
            for name in changed
        ]
    if problems:
        raise ConfigRefused(tuple(problems))
    policy = compile_policy(loaded.model)
    try:
        numbered = numbers.extended(
            policy, FIRST_RULE_NUMBER, MarkLayout(loaded.settings.mark_mask).capacity
        )
    except NumbersExhaustedError as error:
        problem = _problem(names, "daemon.markMask", str(error), "or load fewer rules")
        raise ConfigRefused((problem,)) from error
    digest = hashlib.sha256()
    for document in documents:
        digest.update(len(document.content).to_bytes(8, "big"))
        digest.update(document.content)
    for tag in loaded.model.service_tags:
        digest.update(repr((tag.name, [(p.network, p.length) for p in tag.prefixes])).encode())
    for line in note_lines(loaded.notes):
        log.info("%s", line)
    return LoadedPolicy(
        loaded.model,
        loaded.settings,
        policy,
        numbered,
        digest.hexdigest()[:16],
        None if asked is None else asked.file,
        tuple(documents),
    )


class _AskedTags:
    """Remembers which file the documents were read with."""

    def __init__(self, tags: InstalledTags) -> None:
        self._tags = tags
        self.file: TagFileInUse | None = None

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        catalogue = self._tags.catalogue(cloud)
        found = self._tags.installed(cloud)
        if catalogue is None or found is None:
            return catalogue
        # The file that is told of is the one whose prefixes are used.
        catalogue = found.catalogue
        self.file = TagFileInUse(
            cloud,
            catalogue.cloud,
            catalogue.change_number,
            found.installed_at_s,
            found.is_previous,
        )
        return catalogue


def _problem(document: str, path: str, message: str, way_out: str) -> Problem:
    return Problem(document, path, None, message, way_out)
