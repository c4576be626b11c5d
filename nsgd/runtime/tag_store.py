"""Installed service tags files: one of each cloud in a directory, and the one before it."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from nsgd.config.names import fold
from nsgd.config.problem import ConfigRefused, Problem
from nsgd.config.tag_catalogue import (
    MAXIMUM_TAG_FILE_BYTES,
    TagCatalogue,
    TagFileRefused,
    TagSource,
    is_cloud_name,
    read_tag_file,
)

log = logging.getLogger("nsgd")

DIRECTORY_NAME = "service-tags"  # in the state directory
_SUFFIX = ".json"
_PREVIOUS_SUFFIX = ".previous.json"

Stamp = tuple[int, int, int]  # inode, mtime in ns, size: another one means another file


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """A file that is whole; *is_previous* where the newest one is damaged and this one serves."""

    path: Path
    catalogue: TagCatalogue
    installed_at_s: float  # unix time
    is_previous: bool = False


class InstalledTags(TagSource, Protocol):
    """A source whose files may change while the daemon runs."""

    def stamp(self, cloud: str) -> Stamp | None:
        """What tells the newest file of a cloud from the one before; None where there is none."""

    def installed(self, cloud: str) -> InstalledFile | None:
        """The file that serves; None where none is installed, or none of them is whole."""


def read_bytes(path: Path) -> tuple[bytes, os.stat_result]:
    """A regular file's content and state.

    Raises:
        OSError, TagFileRefused: It cannot be read, or is no file of tags at first sight.
    """
    # No links: the directory may belong to the user that fetches files, who should not choose
    # what the daemon reads. And no waiting for a pipe's writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise TagFileRefused("this is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAXIMUM_TAG_FILE_BYTES + 1), state
    finally:
        os.close(descriptor)


class TagStore:
    """The files of a directory, CLOUD.json each; what was read is kept until a file changes."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet; the directory need not exist."""
        self.path = path
        self._read: dict[Path, tuple[Stamp, TagCatalogue | TagFileRefused]] = {}
        self._warned: set[str] = set()  # clouds whose newest file cannot be used

    def clouds(self) -> tuple[str, ...]:
        """Clouds that a file is there for, whole or not."""
        try:
            names = sorted(os.listdir(self.path))
        except OSError:
            return ()
        stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        return tuple(stem for stem in stems if is_cloud_name(stem))

    def newest_path(self, cloud: str) -> Path:
        """Where the newest file of a cloud is or would be. Raises ValueError for a bad name."""
        return self._path(cloud, _SUFFIX)

    def previous_path(self, cloud: str) -> Path:
        """Where the file before it is or would be. Raises ValueError for a bad name."""
        return self._path(cloud, _PREVIOUS_SUFFIX)

    def _path(self, cloud: str, suffix: str) -> Path:
        if not is_cloud_name(cloud):
            raise ValueError(f"not the name of a cloud: {cloud!r}")
        # Documents may spell it in another case than the file does.
        known = (name for name in self.clouds() if fold(name) == fold(cloud))
        return self.path / f"{next(known, cloud)}{suffix}"

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """The catalogue that serves, as TagSource says.

        Raises:
            ConfigRefused: A file is installed, and neither it nor the one before can be used.
        """
        found = self.installed(cloud)
        problem = self.problem(cloud) if found is None else None
        if problem is not None:
            raise ConfigRefused((problem,))
        return None if found is None else found.catalogue

    def stamp(self, cloud: str) -> Stamp | None:
        """Which file is the newest."""
        if not is_cloud_name(cloud):
            return None
        try:
            return _stamp(os.stat(self.newest_path(cloud), follow_symlinks=False))
        except OSError:
            return None

    def installed(self, cloud: str) -> InstalledFile | None:
        """The newest file, or the one before where that cannot be used, which is logged."""
        if not is_cloud_name(cloud):
            return None
        try:
            return self._load(self.newest_path(cloud), cloud)
        except FileNotFoundError:
            return None
        except (OSError, TagFileRefused) as error:
            refusal = error
        try:
            found = self._load(self.previous_path(cloud), cloud)
        except (OSError, TagFileRefused):
            return None
        if cloud not in self._warned:
            self._warned.add(cloud)
            path = self.newest_path(cloud)
            log.warning("%s cannot be used (%s); %s serves in its place", path, refusal, found.path)
        return replace(found, is_previous=True)

    def problem(self, cloud: str) -> Problem | None:
        """What is wrong with the newest file; None where nothing is, or there is none."""
        if not is_cloud_name(cloud):
            return None
        path = self.newest_path(cloud)
        try:
            self._load(path, cloud)
        except FileNotFoundError:
            return None
        except TagFileRefused as refused:
            way_out = "install it again with 'nsgd tags update FILE'"
            return Problem(str(path), "", None, refused.message, way_out)
        except OSError as error:
            return _unreadable(path, error, "be root, or name a copy of it with --service-tags")
        return None

    def _load(self, path: Path, cloud: str) -> InstalledFile:
        state = os.stat(path, follow_symlinks=False)
        known = self._read.get(path)
        if known is None or known[0] != _stamp(state):
            found: TagCatalogue | TagFileRefused
            self._warned.discard(cloud)
            try:
                content, state = read_bytes(path)
                found = _of_cloud(read_tag_file(content), cloud)
            except TagFileRefused as refused:
                found = refused
            known = self._read[path] = _stamp(state), found
        if isinstance(known[1], TagFileRefused):
            raise known[1]
        return InstalledFile(path, known[1], state.st_mtime)


class TagFile:
    """One file outside of any store, as an option names it; it is read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path
        self._read: tuple[Stamp, InstalledFile] | None = None

    def read(self, cloud: str | None = None) -> InstalledFile:
        """The file, which must be of *cloud* where that is given.

        Raises:
            ConfigRefused: It cannot be read, or is of another cloud: who names a file means it.
        """
        try:
            # Of a link, the file that it leads to: here the one who starts the command chose it.
            state = os.stat(self.path)
            if self._read is None or self._read[0] != _stamp(state):
                content, state = read_bytes(self.path.resolve())
                found = InstalledFile(self.path, read_tag_file(content), state.st_mtime)
                self._read = _stamp(state), found
            if cloud is not None:
                _of_cloud(self._read[1].catalogue, cloud)
            return self._read[1]
        except TagFileRefused as refused:
            problem = Problem(str(self.path), "", None, refused.message, refused.way_out)
        except OSError as error:
            problem = _unreadable(self.path, error, "check --service-tags")
        raise ConfigRefused((problem,))

    def catalogue(self, cloud: str) -> TagCatalogue:
        """The file's catalogue. Raises ConfigRefused, as read() says."""
        return self.read(cloud).catalogue

    def stamp(self, cloud: str) -> Stamp | None:
        """Which file it is."""
        try:
            return _stamp(os.stat(self.path))
        except OSError:
            return None

    def installed(self, cloud: str) -> InstalledFile | None:
        """The file; None where it cannot be used."""
        try:
            return self.read(cloud)
        except ConfigRefused:
            return None


def open_tags(path: Path) -> TagStore | TagFile:
    """What an option names: a directory of installed files, or one file."""
    return TagStore(path) if path.is_dir() else TagFile(path)


def _unreadable(path: Path, error: OSError, way_out: str) -> Problem:
    reason = (error.strerror or str(error)).lower()
    return Problem(str(path), "", None, f"cannot be read: {reason}", way_out)


def _stamp(state: os.stat_result) -> Stamp:
    return state.st_ino, state.st_mtime_ns, state.st_size


def _of_cloud(catalogue: TagCatalogue, cloud: str) -> TagCatalogue:
    if fold(catalogue.cloud) != fold(cloud):
        raise TagFileRefused(
            f"the file is of the cloud {catalogue.cloud}, not of {cloud}",
            f"take the file of {cloud}, or set serviceTags.cloud in the documents",
        )
    return catalogue
