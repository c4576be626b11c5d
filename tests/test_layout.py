"""Imports point one way, pure layers stay pure, and modules stay short and say what they do."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nsgd"
MODULES = {
    ".".join(("nsgd", *path.relative_to(PACKAGE).with_suffix("").parts)): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

# Each layer and the layers that it may import beside itself. nsgd/__init__.py holds the version
# and is open to all.
BELOW_RUNTIME = {"model", "wire", "config", "policy", "ruleset", "observe", "flowlog"}
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "model": set(),
    "wire": {"model"},
    "arm": set(),
    "azure": {"model"},
    "config": {"model", "azure", "arm"},
    "policy": {"model"},
    "answers": {"model", "config", "policy"},
    "spaces": {"model", "policy"},
    "analysis": {"model", "config", "policy", "answers", "spaces"},
    "ruleset": {"model", "wire", "policy"},
    "kernel": {"model", "wire", "ruleset"},
    # Of the standard library alone, for servers of any process.
    "serving": set(),
    "observe": {"model", "serving"},
    "health": set(),
    "flowlog": {"model", "wire"},
    # Without kernel: it is handed protocols. The worker binds its own queue.
    "runtime": BELOW_RUNTIME,
    "tag_fetch": {"config", "runtime"},
    "web": {"model", "config", "answers", "health", "runtime", "serving"},
    "lab": {"model", "azure", "config", "policy"},
    "bench": {"model", "config", "policy", "ruleset", "wire", "kernel", "lab"},
    "doctor": BELOW_RUNTIME | {"kernel", "runtime"},
    "top": {"observe", "health", "runtime"},
    "selftest": {"lab", "doctor"},
    "daemon": BELOW_RUNTIME | {"kernel", "runtime", "lab"},
    "commands": BELOW_RUNTIME
    | {
        "analysis",
        "answers",
        "azure",
        "kernel",
        "runtime",
        "lab",
        "bench",
        "doctor",
        "selftest",
        "daemon",
        "spaces",
        "top",
        "web",
    },
    "cli": {"commands"},
    "manual": {"config", "commands", "cli"},
    "__main__": {"cli"},
}
ALSO_MAY_IMPORT = {
    "nsgd.runtime.worker": ("nsgd.kernel.queue", "nsgd.kernel.process"),
    "nsgd.runtime.flow_log.process": ("nsgd.kernel.flow_events", "nsgd.kernel.error"),
}

# The fetcher speaks with the internet: of the runtime it gets what installs a file, no more. The
# web page's process asks the control socket, and does nothing by itself.
OF_RUNTIME_ONLY: dict[str, tuple[str, ...]] = {
    "tag_fetch": ("nsgd.runtime.tag",),
    "web": ("nsgd.runtime.control_client", "nsgd.runtime.policy_in_force"),
}

PURE_LAYERS = {
    "analysis",
    "answers",
    "arm",
    "azure",
    "config",
    "flowlog",
    "health",
    "model",
    "policy",
    "ruleset",
    "spaces",
    "wire",
}
EFFECTS = {
    "asyncio",
    "logging",
    "multiprocessing",
    "netfilterqueue",
    "os",
    "prometheus_client",
    "pyroute2",
    "scapy",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
}
STANDARD_LIBRARY_ONLY = {"model", "health"}
SCAPY_LAYERS = {"lab"}
SCAPY_MODULES = {"nsgd.bench.naive_scapy"}
# Drawing at a terminal is an extra that no other verb needs, the daemon least of all.
RICH_LAYERS = {"top"}

MAXIMUM_LINES = 300
# Modules that are longer, each with the reason why it has no seam.
LONG_MODULES: dict[str, str] = {}


def imported_modules(module: str, source: str, is_package: bool = False) -> Iterator[str]:
    """Every module that the source imports, at any depth, relative names resolved.

    ``from nsgd.kernel import queue`` names nsgd.kernel.queue where that is a module.
    """
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join((*parents, *base.split("."))) if base else ".".join(parents)
            if base == "nsgd" or base.startswith("nsgd."):
                yield from (f"{base}.{alias.name}" for alias in node.names)
            else:
                yield base


def layer_of(module: str) -> str:
    """The part of the tree that a dotted name under nsgd belongs to."""
    parts = module.split(".")
    # A name that nsgd/__init__.py itself defines, such as __version__, is no layer.
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "__init__"


def violations(module: str, source: str, is_package: bool = False) -> list[str]:
    """What the module imports and should not, with the rule that it breaks."""
    name = module.split(".")[1]
    if name not in MAY_IMPORT:
        return [f"{module}: {name} has no place in MAY_IMPORT"]
    problems = []
    layers = {name}
    for imported in imported_modules(module, source, is_package):
        root = imported.split(".")[0]
        if root == "nsgd":
            layer = layer_of(imported)
            exceptions = ALSO_MAY_IMPORT.get(module, ())
            if any(imported == e or imported.startswith(f"{e}.") for e in exceptions):
                continue
            layers.add(layer)
            if layer not in {name, "__init__"} | MAY_IMPORT[name]:
                problems.append(f"{module}: {name} may not import {imported}")
            elif layer == "runtime" and not imported.startswith(OF_RUNTIME_ONLY.get(name, ("",))):
                problems.append(f"{module}: {name} may import {OF_RUNTIME_ONLY[name]} only")
            continue
        if name in PURE_LAYERS and root in EFFECTS:
            problems.append(f"{module}: {name} has no effects, but imports {imported}")
        elif root == "scapy" and name not in SCAPY_LAYERS and module not in SCAPY_MODULES:
            problems.append(f"{module}: scapy is for the lab only")
        elif root == "rich" and name not in RICH_LAYERS:
            problems.append(f"{module}: rich is for nsgd top only")
        elif name in STANDARD_LIBRARY_ONLY and not _is_standard(root):
            problems.append(f"{module}: {name} may not import {imported}")
    if {"kernel", "runtime"} <= layers and not module.startswith("nsgd.daemon"):
        problems.append(f"{module}: only nsgd.daemon joins kernel and runtime")
    return problems


def _is_standard(root: str) -> bool:
    return root in sys.stdlib_module_names


@pytest.mark.parametrize("module", MODULES)
def test_imports(module: str) -> None:
    """Imports point from the edge to the values, and effects stay at the edge."""
    path = MODULES[module]
    assert violations(module, path.read_text(), path.name == "__init__.py") == []


@pytest.mark.parametrize("module", MODULES)
def test_docstring(module: str) -> None:
    """Every module opens with its promise."""
    assert ast.get_docstring(ast.parse(MODULES[module].read_text()))


@pytest.mark.parametrize("module", MODULES)
def test_length(module: str) -> None:
    """A module past 300 lines is listed with its reason, and leaves the list when shorter."""
    is_long = len(MODULES[module].read_text().splitlines()) > MAXIMUM_LINES
    assert is_long == (module in LONG_MODULES)


def test_every_module_is_seen() -> None:
    """The tests above run over the real tree, and no exception outlives its module."""
    assert {"nsgd.model.packet", "nsgd.policy.evaluate", "nsgd.wire.packet"} <= MODULES.keys()
    assert LONG_MODULES.keys() <= MODULES.keys()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nsgd.model.rule", "import nsgd.policy.table"),
        ("nsgd.model.rule", "from nsgd.policy import table"),
        ("nsgd.model.rule", "from nsgd import policy"),
        ("nsgd.model.rule", "from ..policy import table"),
        ("nsgd.model.rule", "from .. import policy"),
        ("nsgd.model.rule", "import yaml"),
        ("nsgd.model.rule", "def f() -> None:\n    import socket"),
        ("nsgd.policy.table", "from nsgd.config.native import load"),
        ("nsgd.policy.table", "if TYPE_CHECKING:\n    from nsgd.kernel.queue import Queue"),
        ("nsgd.config.native", "import os.path"),
        ("nsgd.spaces.explore", "from nsgd.answers.policy import QuestionedPolicy"),
        ("nsgd.spaces.explore", "import time"),
        ("nsgd.wire.netlink", "from time import monotonic"),
        ("nsgd.ruleset.text", "import subprocess as run"),
        ("nsgd.ruleset.text", "from nsgd.kernel.nft import Table"),
        ("nsgd.kernel.queue", "from nsgd.runtime.worker import Worker"),
        ("nsgd.kernel.queue", "from nsgd.policy.evaluate import decide"),
        ("nsgd.kernel.queue", "from scapy.layers.inet import IP"),
        ("nsgd.observe.metrics", "from nsgd.policy.table import CompiledTable"),
        ("nsgd.runtime.reload", "from nsgd.kernel.nft import Table"),
        ("nsgd.runtime.reload", "from nsgd.kernel.queue import Queue"),
        ("nsgd.runtime.worker", "from nsgd.kernel.nft import Table"),
        ("nsgd.runtime.worker", "from nsgd.daemon import run"),
        ("nsgd.runtime.worker", "from nsgd.lab.topology import build"),
        ("nsgd.lab.topology", "from nsgd.kernel.links import Link"),
        ("nsgd.lab.topology", "from nsgd.runtime.worker import Worker"),
        ("nsgd.tag_fetch.fetch", "from nsgd.runtime.supervisor import Supervisor"),
        ("nsgd.tag_fetch.fetch", "from nsgd.kernel import table"),
        ("nsgd.web.source", "from nsgd.runtime.supervisor import Supervisor"),
        ("nsgd.web.source", "from nsgd.kernel import table"),
        ("nsgd.daemon", "from nsgd.cli import main"),
        ("nsgd.commands.daemon", "import nsgd.kernel.nft\nimport nsgd.runtime.worker"),
        ("nsgd.commands.daemon", "from rich.console import Console"),
        ("nsgd.helpers", "import ast"),
    ],
)
def test_a_bad_import_is_caught(module: str, source: str) -> None:
    """The check itself: each of these breaks one rule."""
    assert len(violations(module, source)) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nsgd.model.rule", "from dataclasses import dataclass\nfrom .address import Prefix"),
        ("nsgd.config.native", "import yaml\nfrom nsgd.model.rule import Access"),
        ("nsgd.kernel.queue", "import socket\nfrom nsgd.wire.packet import parse_packet"),
        ("nsgd.runtime.worker", "from nsgd.kernel.queue import Queue\nimport nsgd.policy.table"),
        ("nsgd.runtime.worker", "from nsgd.kernel import queue"),
        ("nsgd.lab.traffic", "from scapy.layers.inet import IP"),
        ("nsgd.top.screen", "from rich.console import Console"),
        ("nsgd.daemon", "import nsgd.kernel.nft\nimport nsgd.runtime.worker"),
        ("nsgd.tag_fetch.fetch", "from nsgd.runtime.tag_install import install"),
        ("nsgd.web.source", "from nsgd.runtime.control_client import request"),
        ("nsgd.analysis.lint", "from nsgd.spaces.explore import find"),
        ("nsgd.cli", "from nsgd import __version__\nfrom nsgd.commands import daemon"),
    ],
)
def test_a_good_import_passes(module: str, source: str) -> None:
    """The check itself: none of these breaks a rule."""
    assert violations(module, source) == []


def test_the_guide_lists_every_layer() -> None:
    """A newcomer finds each in the table of CONTRIBUTING.md, and which of them have no effects."""
    guide = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    listed = set(re.findall(r"^\| `nsgd/(\w+)(?:\.py)?` \|", guide, re.MULTILINE))
    assert listed == set(MAY_IMPORT) - {"__init__", "__main__"}
    (sentence,) = re.findall(r"^(`model`,[^.]*) have no effects", guide, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", sentence)) == PURE_LAYERS
