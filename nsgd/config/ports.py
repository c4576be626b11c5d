"""One text or number to one range of ports."""

from __future__ import annotations

import re

from nsgd.config.problem import Refusal
from nsgd.config.wording import show
from nsgd.model.address import ALL_PORTS, PortRange

_CODE = "SecurityRuleInvalidPortRange"
# Without leading zeros: 0100 is octal to some readers and decimal to others.
_RANGE = re.compile(r"(0|[1-9][0-9]{0,4})(?:-(0|[1-9][0-9]{0,4}))?")
_LARGEST = 65535
_ALLOWED = "write '*', a port from 0 to 65535, or a range such as '8000-8080'"


def parse_port_range(value: object) -> PortRange:
    """Read ``*``, a port or ``a-b``; a port may be an integer. Raises Refusal."""
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= _LARGEST:
            return PortRange(value, value)
        raise Refusal(f"{_CODE}: {show(value)} is outside 0-{_LARGEST}", _ALLOWED)
    if not isinstance(value, str):
        raise Refusal(f"{_CODE}: {show(value)} is not a port", _ALLOWED)
    if value == "*":
        return ALL_PORTS
    match = _RANGE.fullmatch(value)
    if match is None:
        raise _refuse(value)
    first_text, last_text = match.groups()
    first = int(first_text)
    last = first if last_text is None else int(last_text)
    if first > _LARGEST or last > _LARGEST:
        raise Refusal(f"{_CODE}: {show(value)} is outside 0-{_LARGEST}", _ALLOWED)
    if first > last:
        raise Refusal(f"{_CODE}: the range {show(value)} runs backwards", f"write '{last}-{first}'")
    return PortRange(first, last)


def _refuse(text: str) -> Refusal:
    message = f"{_CODE}: {show(text)} is not a port or a range"
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) <= 10 and all(_RANGE.fullmatch(part) for part in parts):
            ranges = ", ".join(f"'{part}'" for part in parts)
            return Refusal(message, f"write the plural field with a list: [{ranges}]")
        return Refusal(message, "write the plural field with a list")
    if text.lower() in ("any", "all"):
        return Refusal(message, "write '*'")
    joined = "".join(text.split())
    if joined != text and _RANGE.fullmatch(joined):
        return Refusal(f"{message}: it has blanks", f"write '{joined}'")
    return Refusal(message, _ALLOWED)
