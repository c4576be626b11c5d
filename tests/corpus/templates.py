"""What nsgd makes of each published template: ``python -m tests.corpus.templates`` prints a table.

Every template is loaded as a user does, by ``nsgd convert`` with a parameter file, which gives
something of the right type to each parameter without a default. Where a template refers to a
virtual network that it does not declare, an export of such a network is loaded too.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nsgd.cli import main
from tests.corpus.test_arm import TEMPLATES, plain_rules, read, stub_object

CONVERT_REFUSED = 3
_MISSING = re.compile(r"parameter '([^']+)' has neither a value nor a default")
_NO_NETWORK = re.compile(r"there is no virtual network named '([^']+)'")
_NO_SUBNET = re.compile(r"there is no subnet named '([^']+)'")
_NETWORK = "/subscriptions/5/resourceGroups/existing/providers/Microsoft.Network/virtualNetworks"

# What a parameter's name says of its use, and a value for that; {} is a number from the name.
_BY_NAME = (
    (r"^addressprefix$|networkaddressprefix$", "10.0.0.0/16"),
    (r"cidr|(address|subnet\d*)prefix|^prefix$", "10.0.{}.0/24"),
    (r"staticip|ipaddress$", "10.0.0.20"),
    (r"from$", "10.0.0.0/8"),
    (r"port", "{port}"),
    (r"subnet\d*ref$", f"{_NETWORK}/vnet/subnets/subnet"),
)


class Outcome(NamedTuple):
    """Of one template: *refusal* is empty where it loads, and *beside* where it does so alone."""

    name: str
    refusal: str
    beside: str
    parameters: int
    plain: int
    converted: int
    notes: int

    def line(self) -> str:
        """For the table."""
        if self.refusal:
            return f"refused  {self.name}: {self.refusal}"
        beside = f", beside an export of {self.beside}" if self.beside else ""
        return (
            f"loads    {self.name}: {self.converted} of {self.plain} rules,"
            f" {self.parameters} parameters given, {self.notes} notes{beside}"
        )


def value_for(template: dict[str, Any], name: str) -> Any:
    """Something of the type of a parameter that the template can use."""
    declaration = template["parameters"][name]
    kind = declaration["type"].lower()
    if declaration.get("allowedValues"):
        return declaration["allowedValues"][0]
    if kind == "int":
        return max(2, declaration.get("minValue", 0))
    if kind == "bool":
        return True
    if kind == "array":
        return [_text(name)]
    if kind in {"object", "secureobject"}:
        return _texts(stub_object(template, name), "")
    text = _text(name)[: declaration.get("maxLength")]
    return text.ljust(declaration.get("minLength", 0), "x")


def _text(name: str) -> str:
    name = name.lower()
    number = "".join(filter(str.isdigit, name)) or "0"
    # Two ports are two, as they would be with whoever deploys.
    port = 8000 + zlib.crc32(name.encode()) % 1000
    found = (text.format(number, port=port) for use, text in _BY_NAME if re.search(use, name))
    return next(found, name)


def _texts(value: Any, name: str) -> Any:
    """The stubs inside an object, each by its key, so that two names differ."""
    if isinstance(value, dict):
        return {key: _texts(inner, key) for key, inner in value.items()}
    return _text(name) if value == "stub" else value


def convert(*words: str) -> tuple[int, str, str]:
    """Exit code, output and messages of ``nsgd convert``."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["convert", "-o", "json", *words])
    return code, out.getvalue(), err.getvalue()


def load(path: Path, directory: Path, tags: Path | None) -> tuple[Outcome, str]:
    """Load a template, with what it needs; also what ``nsgd convert`` printed."""
    template = read(path)
    declared = template.get("parameters", {})
    values = {
        # Their defaults are empty text, which is no name and no object.
        name: value_for(template, name)
        for name, declaration in declared.items()
        if declaration.get("defaultValue") == ""
    }
    given, beside = directory / f"{path.stem}.parameters.json", directory / "export.json"
    words = ["--config", str(path), "--parameters", str(given)]
    words += [] if tags is None else ["--service-tags", str(tags)]
    missing: dict[str, list[str]] = {}
    while True:
        contents = {name: {"value": value} for name, value in values.items()}
        given.write_text(json.dumps({"parameters": contents}))
        code, printed, said = convert(*words)
        names = set(_MISSING.findall(said)) - values.keys()
        networks = set(_NO_NETWORK.findall(said)) - missing.keys()
        subnets = [n for n in _NO_SUBNET.findall(said) if all(n not in s for s in missing.values())]
        if code == CONVERT_REFUSED and names:
            values |= {name: value_for(template, name) for name in names}
        elif code == CONVERT_REFUSED and networks:
            missing |= {name: [] for name in networks}
            words += [] if beside.exists() else ["--config", str(beside)]
            beside.write_text(json.dumps(_export(missing)))
        elif code == CONVERT_REFUSED and missing and subnets:
            next(iter(missing.values())).extend(dict.fromkeys(subnets))
            beside.write_text(json.dumps(_export(missing)))
        else:
            break
    plain = len(list(plain_rules(template["resources"], values)))
    document = json.loads(printed) if code == 0 else {}
    converted = sum(
        len(group.get("securityRules", ())) for group in document.get("networkSecurityGroups", ())
    )
    refusal = "" if code == 0 else said.splitlines()[0].removeprefix(f"{path}:")
    names_beside = ", ".join(missing)
    notes = said.count("note: ")
    outcome = Outcome(path.name, refusal, names_beside, len(values), plain, converted, notes)
    return outcome, printed


def _export(networks: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Virtual networks as Azure would export them."""
    return [
        {
            "type": "Microsoft.Network/virtualNetworks",
            "id": f"{_NETWORK}/{name}",
            "name": name,
            "properties": {
                "addressSpace": {"addressPrefixes": [f"10.{number}.0.0/16"]},
                "subnets": [
                    {"name": subnet, "properties": {"addressPrefix": f"10.{number}.{at}.0/24"}}
                    for at, subnet in enumerate(subnets)
                ],
            },
        }
        for number, (name, subnets) in enumerate(networks.items())
    ]


def outcomes(tags: Path | None) -> Iterator[Outcome]:
    """Of all templates."""
    for path in TEMPLATES:
        with tempfile.TemporaryDirectory() as directory:
            yield load(path, Path(directory), tags)[0]


if __name__ == "__main__":
    from tests.corpus.test_exports import TAG_FILE

    all_outcomes = list(outcomes(TAG_FILE if TAG_FILE.exists() else None))
    print("\n".join(outcome.line() for outcome in all_outcomes))
    loaded = sum(not outcome.refusal for outcome in all_outcomes)
    alone = sum(not outcome.refusal and not outcome.beside for outcome in all_outcomes)
    print(f"{loaded} of {len(all_outcomes)} load, {alone} of them with nothing beside")
    sys.exit(any(o.plain != o.converted for o in all_outcomes if not o.refusal))
