"""Requests drawn from bytes: a verb with arguments of its own, mostly of the right type."""

from __future__ import annotations

import base64
import json
from typing import Any

from nsgd.config.document import Role
from nsgd.runtime.control_wire import VERB_ARGUMENTS
from nsgd.runtime.packed_documents import compress

_POLICY = {
    "virtualNetworks": [
        {
            "name": "lab",
            "addressSpace": ["10.0.0.0/16"],
            "subnets": [
                {"name": "s", "addressPrefix": "10.0.1.0/24", "networkSecurityGroup": "web"}
            ],
        }
    ],
    "networkSecurityGroups": [{"name": "web", "securityRules": []}],
}
CONTENT = json.dumps(_POLICY).encode()


class Bytes:
    """Bytes that values are drawn from; zeros where they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def below(self, limit: int) -> int:
        """A number."""
        self._at += 1
        return self._data[self._at - 1] % limit if self._at <= len(self._data) else 0

    def take(self) -> bytes:
        """Some bytes."""
        length = self.below(64)
        self._at += length
        return self._data[self._at - length : self._at]


def drawn_request(drawn: Bytes) -> dict[str, Any]:
    """A verb with arguments of its own, mostly of the right type, and values of any kind."""
    verbs = sorted(VERB_ARGUMENTS)
    verb = verbs[drawn.below(len(verbs))]
    request: dict[str, Any] = {"verb": verb}
    for name, kind in VERB_ARGUMENTS[verb].items():
        chosen = drawn.below(4)
        if chosen == 3:
            request[name] = _drawn_value(drawn, 0)
        elif chosen:
            request[name] = _drawn_of_type(drawn, kind)
    if drawn.below(16) == 15:
        request[drawn.take().decode(errors="replace")] = _drawn_value(drawn, 0)
    return request


def _drawn_of_type(drawn: Bytes, kind: type) -> Any:
    if kind is bool:
        return drawn.below(2) == 1
    if kind is int:
        return (drawn.below(256) - 5) * 10 ** drawn.below(200)
    if kind is list:
        return [_drawn_document(drawn) for _ in range(drawn.below(4))]
    words = ("web", "Inbound", "10.0.1.4", "10.0.1.0/24", "::/0", "Tcp", "6", "AllowVnetInBound")
    chosen = drawn.below(len(words) + 3)
    if chosen < len(words):
        return words[chosen]
    if chosen == len(words):
        return drawn.take().decode(errors="replace")
    if chosen == len(words) + 1:
        return "".join(chr(0xD800 + byte) for byte in drawn.take())
    return chr(32 + drawn.below(224)) * (drawn.below(256) * 40)


def _drawn_document(drawn: Bytes) -> Any:
    chosen = drawn.below(6)
    if chosen == 0:
        return _drawn_value(drawn, 0)
    content = (CONTENT, drawn.take())[drawn.below(2)] * (1 + drawn.below(200) * (chosen == 1))
    packed: Any = compress(content)
    if chosen == 2:
        packed = packed[: drawn.below(len(packed))] + drawn.take().decode("latin-1")
    elif chosen == 3:
        packed = base64.b64encode(drawn.take()).decode()
    made: dict[str, Any] = {"name": "new.json", "content": packed}
    if chosen == 4:
        made[("name", "content", "role")[drawn.below(3)]] = _drawn_value(drawn, 0)
    if drawn.below(3):
        made["role"] = [*(role.value for role in Role), "none"][drawn.below(len(Role) + 1)]
    return made


def _drawn_value(drawn: Bytes, depth: int) -> Any:
    chosen = drawn.below(8 if depth < 3 else 6)
    if chosen == 0:
        return None
    if chosen == 1:
        return drawn.below(256) * 1e300
    if chosen < 5:
        return _drawn_of_type(drawn, (bool, int, str)[chosen - 2])
    if chosen == 5:
        return drawn.take().decode(errors="replace")
    if chosen == 6:
        return [_drawn_value(drawn, depth + 1) for _ in range(drawn.below(5))]
    return {
        drawn.take().decode(errors="replace"): _drawn_value(drawn, depth + 1)
        for _ in range(drawn.below(5))
    }
