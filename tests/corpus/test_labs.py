"""Labs of published templates: real packets are judged and counted as each policy says.

Those with the most rules, of the templates that load without parameters; a sample of hosts and
probes each. ``-rs`` tells when the corpus is absent.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from nsgd.config.load import LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.lab.from_policy import draw
from nsgd.lab.netns import own_namespaces
from nsgd.lab.policy_report import format_result
from nsgd.lab.policy_run import run_once
from nsgd.runtime.documents import read_documents, read_linked

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("NSGD_CORPUS", REPOSITORY.parent / "shared" / "corpus"))
TEMPLATES = sorted((CORPUS / "arm").glob("*.json"))
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        not TEMPLATES, reason=f"no templates in {CORPUS}/arm; NSGD_CORPUS names the corpus"
    ),
]
LABS = 12
HOSTS, PROBES = 7, 120


@cache
def policies() -> list[tuple[str, LoadedConfig]]:
    """What loads and has a subnet with a group, or NICs with one; the most rules first."""
    found = []
    for path in TEMPLATES:
        try:
            loaded = load_documents(read_documents([path]), read_linked=read_linked)
        except ConfigRefused:
            continue
        model = loaded.model
        rules = sum(len(group.security_rules) for group in model.network_security_groups)
        if rules and any(network.subnets for network in model.virtual_networks):
            found.append((rules, path.name, loaded))
    return [(name, loaded) for _, name, loaded in sorted(found, key=lambda f: (-f[0], f[1]))]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", range(LABS))
def test_a_lab_of_a_published_template(number: int) -> None:
    """Every probe and every counter, and most rules are hit."""
    name, loaded = policies()[number]
    result = run_once(draw(loaded, None, HOSTS, PROBES, seed=number))
    report = format_result(result)
    print(f"\n{name}\n{report}")
    assert result.disagreements == 0, report
    assert len(result.rows) == PROBES
    assert len(result.hit & result.rules) > len(result.rules) / 2
    assert own_namespaces() == []
