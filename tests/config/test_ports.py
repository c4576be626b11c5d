"""Ports as Azure writes them."""

from __future__ import annotations

import pytest

from nsgd.config.ports import parse_port_range
from nsgd.config.problem import Refusal
from nsgd.model.address import ALL_PORTS, PortRange


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", ALL_PORTS),
        (0, PortRange(0, 0)),
        (65535, PortRange(65535, 65535)),
        ("0", PortRange(0, 0)),
        ("1", PortRange(1, 1)),
        ("65535", PortRange(65535, 65535)),
        ("0-65535", ALL_PORTS),
        ("80-80", PortRange(80, 80)),
        ("8000-8080", PortRange(8000, 8080)),
    ],
)
def test_port(value: object, expected: PortRange) -> None:
    """Text or an integer, both ends included."""
    assert parse_port_range(value) == expected


@pytest.mark.parametrize(
    ("value", "message", "way_out"),
    [
        (-1, "-1 is outside 0-65535", "write '*', a port from 0 to 65535"),
        (65536, "65536 is outside 0-65535", "write '*', a port from 0 to 65535"),
        ("65536", "'65536' is outside 0-65535", "write '*', a port from 0 to 65535"),
        ("80-65536", "'80-65536' is outside 0-65535", "write '*', a port from 0 to 65535"),
        ("81-80", "the range '81-80' runs backwards", "write '80-81'"),
        ("80,443", "'80,443' is not a port or a range", "write the plural field with a list: ["),
        ("80, 90-95", "is not a port or a range", "field with a list: ['80', '90-95']"),
        (",".join("123456789"), "is not", "field with a list: ['1', '2', '3', '4', '5', '6', '7',"),
        (",".join(["80"] * 11), "is not a port or a range", "write the plural field with a list"),
        ("80,http", "is not a port or a range", "write the plural field with a list"),
        ("80 - 90", "it has blanks", "write '80-90'"),
        ("80\n", "it has blanks", "write '80'"),
        ("any", "'any' is not a port or a range", "write '*'"),
        ("0100", "'0100' is not a port or a range", "write '*', a port"),
        ("22:30", "'22:30' is not a port or a range", "write '*', a port"),
        ("http", "'http' is not a port or a range", "write '*', a port"),
        ("-80", "'-80' is not a port or a range", "write '*', a port"),
        ("80-", "'80-' is not a port or a range", "write '*', a port"),
        ("\u0668\u0660", "is not a port or a range", "write '*', a port"),
        ("", "'' is not a port or a range", "write '*', a port"),
        ("9" * 5000, "is not a port or a range", "write '*', a port"),
        (80.0, "80.0 is not a port", "write '*', a port"),
        (True, "true is not a port", "write '*', a port"),
        (None, "null is not a port", "write '*', a port"),
        ([80], "a list is not a port", "write '*', a port"),
    ],
)
def test_a_port_that_is_refused(value: object, message: str, way_out: str) -> None:
    """With Azure's code and what to write instead."""
    with pytest.raises(Refusal) as caught:
        parse_port_range(value)
    assert caught.value.message.startswith("SecurityRuleInvalidPortRange: ")
    assert message in caught.value.message
    assert way_out in caught.value.way_out
