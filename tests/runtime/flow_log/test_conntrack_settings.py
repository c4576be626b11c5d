"""What conntrack must keep, turned on or told."""

from __future__ import annotations

from pathlib import Path

from nsgd.runtime.flow_log.conntrack_settings import turn_on


def test_turned_on(tmp_path: Path) -> None:
    """All three, once."""
    names = ("nf_conntrack_acct", "nf_conntrack_events", "nf_conntrack_timestamp")
    for name, value in zip(names, "021", strict=True):
        (tmp_path / name).write_text(f"{value}\n")
    assert list(turn_on(tmp_path)) == []
    assert [(tmp_path / name).read_text().strip() for name in names] == ["1", "1", "1"]


def test_what_cannot_be_turned_on_is_told(tmp_path: Path) -> None:
    """With what is missing without it, and the way out."""
    (tmp_path / "nf_conntrack_events").write_text("1\n")
    (tmp_path / "nf_conntrack_timestamp").mkdir()
    first, second = turn_on(tmp_path)
    assert first.startswith("flow log: net.netfilter.nf_conntrack_acct is not 1 and cannot be set")
    assert "no such file" in first
    assert "no packets and bytes" in first
    assert "nsgd.sysctl" in first
    assert "nf_conntrack_timestamp" in second
