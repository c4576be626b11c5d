"""What may be missing is told by the verbs that load documents, without --notes and once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.cli import main

MISSING = "the linked template 'https://example.com/t.json' is not loaded"


@pytest.mark.parametrize("words", [["check"], ["check", "--notes"], ["convert", "--config"]])
def test_a_linked_template_that_is_missing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the error output, once; the verb goes on."""
    group = {
        "type": "Microsoft.Network/networkSecurityGroups",
        "apiVersion": "2020-11-01",
        "name": "g",
        "properties": {},
    }
    link = {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2020-10-01",
        "name": "d",
        "properties": {"templateLink": {"uri": "https://example.com/t.json"}},
    }
    tree = {"contentVersion": "1.0.0.0", "resources": [group, link]}
    path = tmp_path / "t.json"
    path.write_text(json.dumps(tree))
    assert main([*words, str(path)]) == 0
    said = capsys.readouterr().err
    assert said.count(MISSING) == 1
    assert f"warning: {path}: resources[1]: {MISSING}" in said
