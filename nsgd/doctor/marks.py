"""Reads from nft's JSON listing which bits of packet and conntrack marks other tables use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nsgd.doctor.facts import MarkUse

_ALL = 0xFFFFFFFF
_MARKS = {"meta": "packet", "ct": "conntrack"}
# Extensions of iptables, whose arguments nft's JSON does not show.
_XTABLES = {
    ("target", "MARK"): ("packet", True),
    ("target", "CONNMARK"): ("conntrack", True),
    ("match", "mark"): ("packet", False),
    ("match", "connmark"): ("conntrack", False),
}


def mark_uses(listing: Mapping[str, Any], own_table: str) -> tuple[MarkUse, ...]:
    """Each use once; the table inet *own_table* is passed over."""
    found: dict[MarkUse, None] = {}
    for rule in _objects(listing, "rule"):
        if (rule.get("family"), rule.get("table")) == ("inet", own_table):
            continue
        place = f"{rule.get('family')} {rule.get('table')} {rule.get('chain')}"
        for statement in rule.get("expr", ()):
            for mark, is_write, bits in _uses(statement):
                found[MarkUse(place, mark, is_write, bits)] = None
    return tuple(found)


def flowtables(listing: Mapping[str, Any]) -> tuple[str, ...]:
    """Flowtables, whose flows pass every hook by."""
    return tuple(
        f"{each.get('family')} {each.get('table')} {each.get('name')}"
        for each in _objects(listing, "flowtable")
    )


def _objects(listing: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for entry in listing.get("nftables", ()):
        if isinstance(entry, dict) and isinstance(entry.get(kind), dict):
            yield entry[kind]


def _uses(statement: object) -> Iterator[tuple[str, bool, int | None]]:
    if not isinstance(statement, dict):
        return
    mangle, match, vmap, xt = (statement.get(key) for key in ("mangle", "match", "vmap", "xt"))
    if isinstance(mangle, dict):
        mark = _mark(mangle.get("key"))
        if mark:
            yield mark, True, _written(mangle.get("value"), mark)
    elif isinstance(match, dict):
        mark, bits = _compared(match.get("left"), match.get("right"))
        if mark:
            yield mark, False, bits
    elif isinstance(vmap, dict):
        mark, bits = _compared(vmap.get("key"), None)
        if mark:
            yield mark, False, bits
    elif isinstance(xt, dict):
        use = _XTABLES.get((str(xt.get("type")), str(xt.get("name"))))
        if use:
            yield *use, None


def _mark(expression: object) -> str | None:
    """packet or conntrack where the expression is a mark and nothing else."""
    if isinstance(expression, dict) and len(expression) == 1:
        ((kind, value),) = expression.items()
        if isinstance(value, dict) and value.get("key") == "mark":
            return _MARKS.get(kind)
    return None


def _written(value: object, mark: str) -> int:
    """The bits that an assignment can change: (mark and X or Y) keeps the bits of X without Y."""
    if isinstance(value, dict) and len(value) == 1:
        ((operator, operands),) = value.items()
        if _mark(value) == mark:
            return 0
        if isinstance(operands, list) and len(operands) == 2:
            left, right = operands
            if isinstance(right, int):
                inner = _written(left, mark)
                if operator in ("|", "^"):
                    return inner | right
                if operator == "&":
                    return inner | (_ALL & ~right)
    return _ALL


def _compared(left: object, right: object) -> tuple[str | None, int]:
    mark = _mark(left)
    if mark:
        return mark, _ALL
    if isinstance(left, dict) and isinstance(left.get("&"), list) and len(left["&"]) == 2:
        value, mask = left["&"]
        if isinstance(mask, int):
            return _mark(value), mask
    # What is compared with a mark may be on the other side, as in a set of marks.
    return _mark(right), _ALL
