"""The findings of published policies are those that docs/policy-analysis.md tells of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.corpus import linted, table
from tests.corpus.recordings import CORPUS

PAGE = Path(__file__).parents[2] / "docs" / "policy-analysis.md"


@pytest.mark.skipif(not (CORPUS / "arm").is_dir(), reason=f"no policies in {CORPUS}")
def test_the_table_is_that_of_the_page() -> None:
    """Nothing is undetermined, and every line stands there."""
    found = list(linted())
    assert not any(each.undetermined for each in found)
    assert "\n".join(table(found)) in PAGE.read_text()
