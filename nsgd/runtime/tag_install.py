"""Installs a service tags file: checked whole, beside the one before, and then put in its place."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nsgd.config.names import fold
from nsgd.config.tag_catalogue import TagCatalogue, TagFileRefused, read_tag_file
from nsgd.config.tag_update import UpdateProblem, check_update
from nsgd.runtime.atomic_file import replace_file
from nsgd.runtime.tag_store import DIRECTORY_NAME, TagStore, read_bytes
from nsgd.runtime.tags_in_use import load_tags_in_use

# Published data, which the daemon's user reads whoever installed it.
_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


class UpdateRefused(Exception):
    """The file is whole, and should not take the other's place; nothing was changed."""

    def __init__(self, problems: tuple[UpdateProblem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Installation:
    """What was done; *is_new* is False where the very same file was installed before."""

    path: Path
    catalogue: TagCatalogue
    before: TagCatalogue | None
    is_new: bool
    forced: tuple[UpdateProblem, ...] = ()  # what --force disregarded


def install(
    state_directory: Path,
    content: bytes,
    *,
    cloud: str | None = None,
    force: bool = False,
) -> Installation:
    """Check a file and install it; one that is refused changes nothing.

    The daemon of this state directory has left word of the tags that its policy names, and will
    notice the new file by itself.

    Args:
        state_directory: The daemon's.
        content: The file's bytes.
        cloud: The cloud that it must be of; None for that of the files installed before.
        force: Disregard problems that can be.

    Raises:
        TagFileRefused: It is not one of Microsoft's files, or not whole.
        UpdateRefused: It should not take the installed one's place.
        TagsInUseError: Which tags are in use cannot be read.
        OSError: It cannot be written, or another installation is under way (BlockingIOError).
    """
    catalogue = read_tag_file(content)
    in_use = load_tags_in_use(state_directory, catalogue.cloud)
    store = TagStore(state_directory / DIRECTORY_NAME)
    if not store.path.exists():
        store.path.mkdir(parents=True, exist_ok=True)
        store.path.chmod(_DIRECTORY_MODE)  # whatever the umask is
    with _locked(store.path):
        _check_cloud(store, catalogue.cloud, cloud)
        before = store.installed(catalogue.cloud)
        path = store.newest_path(catalogue.cloud)
        if before is not None and not before.is_previous:
            old_content, old_state = read_bytes(path)
            if old_content == content:
                return Installation(path, catalogue, before.catalogue, is_new=False)
        old = None if before is None else before.catalogue
        problems = check_update(catalogue, old, in_use)
        if any(not (force and problem.can_be_forced) for problem in problems):
            raise UpdateRefused(problems)
        if before is not None and not before.is_previous:
            previous = store.previous_path(catalogue.cloud)
            # Copied, as the name must not be free for a moment, and a link needs the same owner.
            replace_file(previous, old_content, _FILE_MODE, old_state.st_mtime_ns)
        replace_file(path, content, _FILE_MODE)
    return Installation(path, catalogue, old, is_new=True, forced=problems)


def _check_cloud(store: TagStore, found: str, wanted: str | None) -> None:
    if wanted is not None:
        if fold(found) != fold(wanted):
            raise TagFileRefused(
                f"cloud: the file is of the cloud {found}, not of {wanted}",
                f"take the file of {wanted}, or name {found} with --cloud",
            )
        return
    installed = store.clouds()
    if installed and fold(found) not in map(fold, installed):
        raise TagFileRefused(
            f"cloud: the file is of the cloud {found}, and the installed one of "
            f"{', '.join(installed)}",
            f"take that cloud's file; --cloud {found} installs this one beside it",
        )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep a second installation out, which would compare with a file that is being replaced."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
