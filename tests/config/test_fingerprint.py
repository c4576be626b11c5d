"""The hash that names documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsgd.cli import main
from nsgd.config.fingerprint import documents_hash
from nsgd.model.address import Prefix
from nsgd.model.network import ServiceTagPrefixes
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.load import load_policy

POLICY = b"networkSecurityGroups: [{name: web}]\n"


def test_everything_counts() -> None:
    """Content, order, number, and the prefixes of tags."""
    tag = ServiceTagPrefixes("Storage", (Prefix.parse("20.60.0.0/16"),))
    other = ServiceTagPrefixes("Storage", (Prefix.parse("20.60.0.0/17"),))
    found = [
        documents_hash(digests, tags)
        for digests in ([b"a", b"b"], [b"b", b"a"], [b"ab"], [])
        for tags in ((), (tag,), (other,))
    ]
    assert len(set(found)) == 12
    assert all(len(name) == 16 for name in found)


def test_check_names_documents_as_the_daemon_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a reader can tell whether what he edited is in force; an edit changes it."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_bytes(POLICY.replace(b"web", name[:1].encode()))
    names = []
    for edit in (b"", b"# a remark\n"):
        (tmp_path / "b.yaml").write_bytes((tmp_path / "b.yaml").read_bytes() + edit)
        assert main(["check", str(tmp_path)]) == 0
        in_force = load_policy([tmp_path], DecisionNumbers(), None).content_hash
        assert f"\n{in_force} is what nsgd status calls them" in capsys.readouterr().out
        names.append(in_force)
    assert names[0] != names[1]
