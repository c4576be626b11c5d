"""Published templates, loaded as a user does: every security rule that is written comes out.

``python -m tests.corpus.templates`` prints what nsgd makes of each, and why.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.config.load import Document, load_documents
from tests.corpus.templates import load
from tests.corpus.test_arm import BROKEN, CORPUS, TEMPLATES
from tests.corpus.test_exports import TAG_FILE, Tags

pytestmark = pytest.mark.skipif(
    not TEMPLATES or not TAG_FILE.exists(), reason=f"no templates or tags in {CORPUS}"
)

# Those that refer to a network which is not theirs, with nothing beside.
REFER_TO_OTHERS = 11


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_published_template(path: Path, tmp_path: Path) -> None:
    """It is refused for a mistake that Azure would refuse too, or loads with all its rules.

    What is printed is the same policy, as YAML and as JSON.
    """
    outcome, printed = load(path, tmp_path, TAG_FILE)
    print(f"\n{outcome.line()}")
    if path.name in BROKEN:
        assert BROKEN[path.name] in outcome.refusal
        return
    assert outcome.refusal == ""
    assert outcome.converted == outcome.plain
    tags = Tags(False)
    model = load_documents([Document("printed.json", printed.encode())], tags=tags).model
    rules = sum(len(group.security_rules) for group in model.network_security_groups)
    assert rules == outcome.plain


def test_most_load_by_themselves(tmp_path: Path) -> None:
    """The others say which network they refer to."""
    beside = 0
    for number, path in enumerate(TEMPLATES):
        directory = tmp_path / str(number)
        directory.mkdir()
        outcome, _ = load(path, directory, TAG_FILE)
        beside += outcome.beside != ""
        if outcome.beside:
            export = json.loads((directory / "export.json").read_text())
            assert outcome.beside == ", ".join(network["name"] for network in export)
    assert 0 < beside <= REFER_TO_OTHERS
