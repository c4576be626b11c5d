"""Watches the service tags files that the policy was made from, and leaves word of what it uses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from nsgd.config.tag_catalogue import TagCatalogue
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.tag_store import InstalledFile, InstalledTags, Stamp
from nsgd.runtime.tags_in_use import TagsInUseError, save_tags_in_use

log = logging.getLogger("nsgd")

INTERVAL_S = 10.0


class TagWatch:
    """A source that remembers which files it was asked for.

    Those are the files of the last load, whether it came into force or not: a reload that a bad
    file spoilt is tried again with the next one, and not with the same.
    """

    def __init__(self, tags: InstalledTags, state_directory: Path) -> None:
        """Watch what *tags* gives out; *state_directory* is where the tags in use are written."""
        self._tags = tags
        self._state_directory = state_directory
        self._stamps: dict[str, Stamp | None] = {}
        self._next_look_s = 0.0
        self._saved: dict[str, tuple[str, ...]] | None = None

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """As TagSource says."""
        # First the stamp: a file that changes between the two is read again.
        self._stamps[cloud] = self._tags.stamp(cloud)
        return self._tags.catalogue(cloud)

    def stamp(self, cloud: str) -> Stamp | None:
        """As InstalledTags says."""
        return self._tags.stamp(cloud)

    def installed(self, cloud: str) -> InstalledFile | None:
        """As InstalledTags says."""
        return self._tags.installed(cloud)

    def changed(self, now_s: float) -> str | None:
        """The cloud whose file is another one now; looks every INTERVAL_S, and tells it once."""
        if now_s < self._next_look_s:
            return None
        self._next_look_s = now_s + INTERVAL_S
        for cloud, before in self._stamps.items():
            stamp = self._tags.stamp(cloud)
            if stamp not in (None, before):
                self._stamps[cloud] = stamp
                return cloud
        return None

    def tend(self, reload: Callable[[], None]) -> None:
        """Reload where another file is installed than the policy was made from."""
        cloud = self.changed(time.monotonic())
        if cloud is not None:
            log.info("the service tags file of %s has changed: reloading", cloud)
            reload()

    def in_force(self, loaded: LoadedPolicy) -> None:
        """Write which tags the policy names, for whoever installs the next file."""
        file = loaded.tag_file
        asked = file.asked_cloud if file is not None else None
        self._stamps = {cloud: stamp for cloud, stamp in self._stamps.items() if cloud == asked}
        names = tuple(tag.name for tag in loaded.model.service_tags)
        tags = {file.cloud: names} if file is not None else {}
        if tags == self._saved:
            return
        try:
            save_tags_in_use(self._state_directory, tags)
            self._saved = tags
        except TagsInUseError as error:
            log.warning("%s: an update of service tags cannot know what is in use", error)
