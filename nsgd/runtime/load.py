"""Documents to a policy that is ready to go into force, or every reason why it is not."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nsgd.config.document import ReadLinked
from nsgd.config.fingerprint import documents_hash
from nsgd.config.load import Document, ReadDocuments, load_documents
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.tag_catalogue import TagCatalogue
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import Compiled, CompiledPolicy, compile_after
from nsgd.policy.numbers import DecisionNumbers, NumbersExhaustedError
from nsgd.policy.runnable import what_cannot_run
from nsgd.ruleset.guarded import Guarded
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime.collection import collecting_rarely, set_aside
from nsgd.runtime.documents import read_documents, read_linked
from nsgd.runtime.says import note_lines
from nsgd.runtime.tag_store import InstalledTags

log = logging.getLogger("nsgd")

# Settings that a running daemon cannot change: name in documents, attribute.
_FIXED_WHILE_RUNNING = (
    ("queueNumber", "queue_number"),
    ("queues", "queues"),
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
    content_hash: str  # of documents_hash()
    tag_file: TagFileInUse | None = None  # None where rules name no published tag
    documents: tuple[Document, ...] = ()  # as they were read

    @property
    def guarded(self) -> Guarded:
        """Whose traffic it is about."""
        return Guarded.of(self.model, self.settings)

    def make_trees(self) -> None:
        """Make the trees of all tables, for those who are about to ask for them in two threads."""
        with collecting_rarely():
            self.policy.make_trees()

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


@dataclass(slots=True)
class _Kept:
    """What the last good load made of its documents."""

    compiled: Compiled | None = None
    numbers: DecisionNumbers | None = None
    is_gateway: bool = True
    digests: dict[bytes, bytes] = field(default_factory=dict)  # by content of a document
    documents: tuple[Document, ...] = ()


class LoadedBefore(ReadDocuments):
    """What the last good load read, assembled and compiled.

    The next one takes over what is the same, as the same objects, and is otherwise as if there had
    been none before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loaded = _Kept()

    @property
    def contents(self) -> Mapping[str, bytes]:
        """Of those documents, by name."""
        return {each.name: each.content for each in self.loaded.documents}


def load_policy(
    paths: Sequence[Path],
    numbers: DecisionNumbers,
    running: DaemonSettings | None,
    read_before: ReadDocuments | None = None,
    tags: InstalledTags | None = None,
    parameters: Sequence[Path] = (),
    given: Sequence[Document] | None = None,
) -> LoadedPolicy:
    """Read, validate and compile; the log is told the notes on the documents.

    Args:
        paths: The documents, unless they are *given*.
        numbers: Decision numbers given so far.
        running: Settings in force; those fixed while running must not differ.
        read_before: Documents that need not be read again where they are the same; of a
            LoadedBefore nor need what was made of them be made again.
        tags: Where service tags files are installed.
        parameters: Files with values for the parameters of templates.
        given: All documents, with those that others link to: nothing is read.

    Raises:
        ConfigRefused: With every problem found.
    """
    is_first = isinstance(read_before, LoadedBefore) and read_before.loaded.compiled is None
    with collecting_rarely():
        if given is None:
            known = read_before.contents if isinstance(read_before, LoadedBefore) else {}
            documents = read_documents(paths, parameters, known)
        else:
            documents = list(given)
        linked = read_linked if given is None else None
        if isinstance(read_before, LoadedBefore):
            documents = _with_known_contents(documents, read_before.loaded.digests)
        loaded = _load(documents, linked, numbers, running, read_before, tags)
        if is_first:
            # Within, or the collector would look through it once more first.
            set_aside()
    return loaded


def _load(
    documents: list[Document],
    linked: ReadLinked | None,
    numbers: DecisionNumbers,
    running: DaemonSettings | None,
    read_before: ReadDocuments | None,
    tags: InstalledTags | None,
) -> LoadedPolicy:
    before = _Kept()
    if isinstance(read_before, LoadedBefore):
        before = read_before.loaded
    asked = None if tags is None else _AskedTags(tags)
    loaded = load_documents(documents, read_before, asked, linked)
    if linked is not None:
        documents += loaded.linked
    names = ", ".join(document.name for document in documents)
    problems = [
        _problem(names, "", *sentence.split("; ", 1))
        for sentence in _what_cannot_run(loaded.model, loaded.settings, before)
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
    compiled = compile_after(before.compiled, loaded.model)
    is_numbered = before.compiled is not None and before.numbers is numbers
    try:
        numbered = numbers.extended(
            compiled.policy,
            FIRST_RULE_NUMBER,
            MarkLayout(loaded.settings.mark_mask).capacity,
            before.compiled.policy if before.compiled is not None and is_numbered else None,
        )
    except NumbersExhaustedError as error:
        problem = _problem(names, "daemon.markMask", str(error), "or load fewer rules")
        raise ConfigRefused((problem,)) from error
    digests = {
        document.content: before.digests.get(document.content)
        or hashlib.sha256(document.content).digest()
        for document in documents
    }
    content_hash = documents_hash(
        [digests[document.content] for document in documents], loaded.model.service_tags
    )
    if isinstance(read_before, LoadedBefore):
        read_before.loaded = _Kept(
            compiled, numbered, loaded.settings.is_gateway, digests, tuple(documents)
        )
    for line in loaded.warnings:
        log.warning("%s", line)
    for line in note_lines([note for note in loaded.notes if note not in loaded.warnings]):
        log.info("%s", line)
    return LoadedPolicy(
        loaded.model,
        loaded.settings,
        compiled.policy,
        numbered,
        content_hash,
        None if asked is None else asked.file,
        tuple(documents),
    )


def _with_known_contents(documents: Iterable[Document], known: Iterable[bytes]) -> list[Document]:
    """The same documents; a content that is known already is not kept twice."""
    contents = {content: content for content in known}
    return [
        replace(document, content=contents.get(document.content, document.content))
        for document in documents
    ]


def _what_cannot_run(model: NetworkModel, settings: DaemonSettings, before: _Kept) -> list[str]:
    known = None if before.compiled is None else before.compiled.model
    if (
        known is not None
        and model.virtual_networks is known.virtual_networks
        and model.network_interfaces is known.network_interfaces
        and settings.is_gateway is before.is_gateway
    ):
        return []  # as it was of what was loaded
    return what_cannot_run(model, is_gateway=settings.is_gateway)


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
