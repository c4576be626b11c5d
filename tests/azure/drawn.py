"""Random policies from the oracle's generator, for what is printed and read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.tag_catalogue import TagCatalogue, read_tag_file
from tests.oracle.choose import RandomChooser
from tests.oracle.generate import draw_document

DRAWN = 150  # policies for each test


class Drawn(NamedTuple):
    """A document, and the tag files that it needs, by cloud."""

    document: Mapping[str, Any]
    tag_files: Mapping[str, Any]

    def catalogue(self, cloud: str) -> TagCatalogue | None:
        """As TagSource."""
        file = self.tag_files.get(cloud)
        return None if file is None else read_tag_file(json.dumps(file).encode())

    def load(self, *texts: str) -> LoadedConfig:
        """Load other texts beside the same tag files; the document where there are none."""
        written = texts or (json.dumps(self.document),)
        documents = [Document(f"d{i}", text.encode()) for i, text in enumerate(written)]
        return load_documents(documents, tags=self)


def draw(seed: str) -> Drawn:
    """The same policy for the same seed."""
    return Drawn(*draw_document(RandomChooser(seed)))
