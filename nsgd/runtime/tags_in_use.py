"""Which service tags the policy in force names: left by the daemon for whoever installs a file."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from nsgd.config.names import fold
from nsgd.runtime.atomic_file import replace_file

FILE_NAME = "tags-in-use.json"
_VERSION = 1
# The user that fetches files reads it by the daemon's group.
_MODE = 0o640


class TagsInUseError(Exception):
    """Which tags are in use cannot be written or read; the text says why, and the way out."""


def save_tags_in_use(directory: Path, tags: Mapping[str, Collection[str]]) -> None:
    """Write the tags by cloud into the state directory. Raises TagsInUseError."""
    clouds = {cloud: sorted(names) for cloud, names in tags.items()}
    document = {"version": _VERSION, "clouds": clouds}
    path = directory / FILE_NAME
    try:
        replace_file(path, json.dumps(document, indent=1).encode(), _MODE)
    except OSError as error:
        raise TagsInUseError(f"{path} cannot be written: {error}") from error


def load_tags_in_use(directory: Path, cloud: str) -> tuple[str, ...]:
    """The tags of a cloud that the policy in force names; none where no daemon has said so.

    Raises:
        TagsInUseError: It is there and cannot be read: what is in use is then not known.
    """
    path = directory / FILE_NAME
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, RecursionError) as error:
        raise TagsInUseError(
            f"{path} cannot be read: {error}; be root or of the daemon's group, or reload the"
            " daemon, which writes it"
        ) from error
    try:
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']!r} is not {_VERSION}")
        found: list[str] = []
        for its_cloud, names in document["clouds"].items():
            if not isinstance(names, list):
                raise TypeError("the tags of a cloud are no list")
            if fold(its_cloud) == fold(cloud):
                found += names
        if not all(isinstance(name, str) for name in found):
            raise TypeError("a tag is not text")
        return tuple(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TagsInUseError(
            f"{path} is damaged ({error}); reload the daemon, which writes it again, or remove it"
        ) from error
