"""What is said of installed service tags files: one sentence an installation, one row a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.tag_catalogue import TagCatalogue
from nsgd.config.tag_update import difference, name_some
from nsgd.runtime.tag_install import Installation
from nsgd.runtime.tag_store import InstalledFile, TagFile, TagStore

_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One cloud's file; *catalogue* is None where none of its files can be used."""

    cloud: str
    path: str
    catalogue: TagCatalogue | None
    age_s: float | None
    problem: str | None  # of the newest file
    is_previous: bool


def file_statuses(store: TagStore | TagFile) -> tuple[FileStatus, ...]:
    """Every cloud's file, whole or not."""
    if isinstance(store, TagFile):
        try:
            file = store.read()
        except ConfigRefused as refused:
            return (_status("-", str(store.path), None, refused.problems[0]),)
        return (_status(file.catalogue.cloud, str(store.path), file, None),)
    # Where the directory itself cannot be read, no cloud is seen, and the reason is any file's.
    clouds = store.clouds() or ("Public",)
    statuses = (
        _status(cloud, str(store.newest_path(cloud)), store.installed(cloud), store.problem(cloud))
        for cloud in clouds
    )
    return tuple(each for each in statuses if each.catalogue is not None or each.problem)


def _status(
    cloud: str, path: str, found: InstalledFile | None, problem: Problem | None
) -> FileStatus:
    return FileStatus(
        cloud,
        path if found is None else str(found.path),
        None if found is None else found.catalogue,
        None if found is None else max(0.0, time.time() - found.installed_at_s),
        None if problem is None else str(problem),
        found is not None and found.is_previous,
    )


def installation_lines(done: Installation) -> Iterator[str]:
    """What an installation did, for its reader or a log."""
    new, old = done.catalogue, done.before
    what = f"service tags {new.cloud} {new.change_number}"
    if not done.is_new:
        yield f"nothing new: {what} is installed already"
        return
    counts = f"{len(new.names())} tags, {new.prefix_count} prefixes"
    yield f"{what} installed in {done.path}: {counts}"
    if old is not None:
        changed = difference(new, old)
        yield (
            f"before: {old.change_number}, {len(old.names())} tags, {old.prefix_count} prefixes;"
            f" {len(changed.new)} tags are new, {len(changed.gone)} are gone"
            + (f" ({name_some(changed.gone)})" if changed.gone else "")
        )
    for problem in done.forced:
        yield f"forced: {problem.message}"


def age_text(age_s: float) -> str:
    """An age in the largest unit that fits."""
    for unit_s, unit in ((_DAY_S, "day"), (3600, "hour"), (60, "minute")):
        number = int(age_s // unit_s)
        if number:
            return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    return "less than a minute"
