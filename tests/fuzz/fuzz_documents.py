"""Fuzzes the loader of documents: ``python -m tests.fuzz.fuzz_documents [SECONDS]``.

Whatever the bytes, documents are loaded or ConfigRefused: anything else that is raised, or an input
that takes over ten seconds or 2 GiB, ends the run with a trace and the input. Needs atheris.
"""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from typing import Any

try:
    import atheris
except ImportError:
    sys.exit("atheris is missing: pip install -e '.[dev]'")

with atheris.instrument_imports(include=["nsgd.config", "nsgd.azure", "nsgd.arm"]):
    from nsgd.config.load import Document, load_documents
    from nsgd.config.problem import ConfigRefused

from nsgd.azure.export import rest_resources
from nsgd.config.parse import parse_document
from tests.config.documents import FULL
from tests.config.documents import TAGS as _TAGS

_FULL: Any = parse_document(FULL.encode()).tree
_REST: Any = rest_resources(
    load_documents([Document("full", FULL.encode())], tags=_TAGS).model
).resources
_TEMPLATE: Any = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "parameters": {"name": {"type": "string", "defaultValue": "web"}},
    "variables": {"ports": ["80", "443"]},
    "resources": [
        {
            "type": "Microsoft.Network/networkSecurityGroups",
            "apiVersion": "2020-05-01",
            "name": "[concat(parameters('name'), '-nsg')]",
            "properties": {
                "copy": [
                    {
                        "name": "securityRules",
                        "count": "[length(variables('ports'))]",
                        "input": {
                            "name": "[concat('rule', copyIndex('securityRules'))]",
                            "properties": {
                                "priority": "[add(100, copyIndex('securityRules'))]",
                                "direction": "Inbound",
                                "access": "Allow",
                                "protocol": "Tcp",
                                "sourceAddressPrefix": "*",
                                "sourcePortRange": "*",
                                "destinationAddressPrefix": "*",
                                "destinationPortRange": (
                                    "[variables('ports')[copyIndex('securityRules')]]"
                                ),
                            },
                        },
                    }
                ]
            },
        }
    ],
}
_TREES = (_FULL, _REST, _TEMPLATE)
_SEEDS = tuple(json.dumps(tree).encode() for tree in _TREES)
_WORDS = ("*", "Internet", "10.0.0.0/8", "[parameters('name')]", "[copyIndex()]", "0-65535", "Sql")
_LONGEST_S = 10
_MOST_MIB = 2048


def test_one_input(data: bytes) -> None:
    """Bytes as they come, a good document with some replaced, or values of its tree replaced."""
    provider = atheris.FuzzedDataProvider(data)
    which = provider.ConsumeIntInRange(0, len(_TREES) - 1)
    kind = provider.ConsumeIntInRange(0, 2)
    if kind == 0:
        content = provider.ConsumeBytes(sys.maxsize)
    elif kind == 1:
        good = _SEEDS[which]
        start = provider.ConsumeIntInRange(0, len(good))
        end = provider.ConsumeIntInRange(start, min(start + 40, len(good)))
        content = good[:start] + provider.ConsumeBytes(sys.maxsize) + good[end:]
    else:
        tree = deepcopy(_TREES[which])
        for _ in range(provider.ConsumeIntInRange(1, 4)):
            _replace_some(tree, provider)
        content = json.dumps(tree).encode(errors="surrogatepass")
    try:
        load_documents([Document("fuzzed", content)], tags=_TAGS)
    except ConfigRefused as refused:
        text = str(refused)
        if not all(line.isprintable() for line in text.split("\n")):
            raise AssertionError(f"not printable: {text!r}") from refused


def _replace_some(tree: Any, provider: Any) -> None:
    """Walk some way into the tree and put something else there."""
    holder = tree
    for _ in range(provider.ConsumeIntInRange(0, 7)):
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return
        key = provider.PickValueInList(keys)
        inner = holder[key]
        if not isinstance(inner, (dict, list)) or provider.ConsumeIntInRange(0, 9) == 0:
            holder[key] = _value(provider)
            return
        holder = inner


def _value(provider: Any) -> object:
    kind = provider.ConsumeIntInRange(0, 6)
    if kind == 0:
        return provider.ConsumeUnicodeNoSurrogates(40)
    if kind == 1:
        return provider.PickValueInList(list(_WORDS))
    if kind == 2:
        return provider.ConsumeInt(8)
    if kind == 3:
        return [_value(provider) for _ in range(provider.ConsumeIntInRange(0, 3))]
    if kind == 4:
        return {provider.ConsumeUnicodeNoSurrogates(12): _value(provider)}
    if kind == 5:
        return provider.ConsumeBool()
    return None


def main() -> None:
    """Run for so many seconds, 60 unless given."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={_LONGEST_S}",
        f"-rss_limit_mb={_MOST_MIB}",
        "-max_len=8192",
    ]
    atheris.Setup([sys.argv[0], *options], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
