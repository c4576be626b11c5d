"""Bits of marks in nft's JSON, as nft 1.0.6 writes it."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.doctor.facts import MarkUse
from nsgd.doctor.marks import flowtables, mark_uses

META, CT = {"meta": {"key": "mark"}}, {"ct": {"key": "mark"}}
ALL = 0xFFFFFFFF


def listing(*statements: Any, family: str = "ip", table: str = "f") -> dict[str, Any]:
    """One rule."""
    rule = {"family": family, "table": table, "chain": "c", "expr": list(statements)}
    return {"nftables": [{"metainfo": {}}, {"rule": rule}]}


def write(key: Any, value: Any) -> dict[str, Any]:
    """mark set value."""
    return {"mangle": {"key": key, "value": value}}


def compare(left: Any, right: Any) -> dict[str, Any]:
    """left == right."""
    return {"match": {"op": "==", "left": left, "right": right}}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (write(META, 5), ("packet", True, ALL)),
        (write(META, {"|": [META, 0x10]}), ("packet", True, 0x10)),
        (write(META, {"^": [META, 3]}), ("packet", True, 3)),
        (write(META, {"&": [META, 0xFF00FFFF]}), ("packet", True, 0x00FF0000)),
        (
            write(META, {"|": [{"&": [META, 0xFF00FFFF]}, 0x1010000]}),
            ("packet", True, 0x01FF0000),
        ),
        (write(CT, META), ("conntrack", True, ALL)),
        (write(META, {"&": [CT, 0xFF]}), ("packet", True, ALL)),
        (write(META, {"map": {"key": {}, "data": {}}}), ("packet", True, ALL)),
        (compare(META, 0x4000), ("packet", False, ALL)),
        (compare({"&": [CT, 15]}, 3), ("conntrack", False, 15)),
        (compare(CT, {"set": [1, 2]}), ("conntrack", False, ALL)),
        ({"vmap": {"key": {"&": [CT, 0xFF00]}, "data": {}}}, ("conntrack", False, 0xFF00)),
        ({"vmap": {"key": META, "data": {}}}, ("packet", False, ALL)),
        ({"xt": {"type": "target", "name": "MARK"}}, ("packet", True, None)),
        ({"xt": {"type": "target", "name": "CONNMARK"}}, ("conntrack", True, None)),
        ({"xt": {"type": "match", "name": "connmark"}}, ("conntrack", False, None)),
    ],
)
def test_uses(statement: Any, expected: tuple[str, bool, int | None]) -> None:
    """Which bits a statement can change, or depends on."""
    assert mark_uses(listing(statement), "nsgd") == (MarkUse("ip f c", *expected),)


@pytest.mark.parametrize(
    "statement",
    [
        {"accept": None},
        {"xt": {"type": "target", "name": "NFQUEUE"}},
        write({"meta": {"key": "priority"}}, 1),
        compare({"payload": {"protocol": "tcp", "field": "dport"}}, 80),
        compare({"ct": {"key": "state"}}, ["new"]),
        {"vmap": {"key": {"ct": {"key": "state"}}, "data": {}}},
        "odd",
        {"match": "odd"},
        {"mangle": {}},
    ],
)
def test_no_use(statement: Any) -> None:
    """What has nothing to do with marks, and what is not understood."""
    assert mark_uses(listing(statement), "nsgd") == ()


def test_own_table_and_repetitions() -> None:
    """Our own rules are no use by others; a use is told once."""
    statement = write(META, 5)
    assert mark_uses(listing(statement, family="inet", table="nsgd"), "nsgd") == ()
    assert len(mark_uses(listing(statement, family="ip", table="nsgd"), "nsgd")) == 1
    assert len(mark_uses(listing(statement, statement), "nsgd")) == 1
    assert mark_uses({}, "nsgd") == ()


def test_flowtables() -> None:
    """By family, table and name."""
    found = {"flowtable": {"family": "inet", "table": "f", "name": "ft"}}
    assert flowtables({"nftables": [found, {"table": {}}]}) == ("inet f ft",)
