"""Kernel tests need root; each builds its own namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.network import Network, network


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder needs the kernel."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kernel)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    """A gateway without hosts yet."""
    with network(tmp_path) as made:
        yield made
