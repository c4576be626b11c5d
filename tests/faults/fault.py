"""One row of the table of faults, and where its line is in the product."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

REPOSITORY = Path(__file__).parents[2]

BOTH = "queue, kernel"
MODES = "closed, open"
ANY = "any"

T = TypeVar("T")


class NotFound(Exception):
    """A row names a line that the product does not have, or has twice."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, what becomes of packets and policy, who is told, and what shows it.

    *line* is the beginning of a statement in *function* of *file*, one physical line, and there
    once. Its removal makes *test* fail: the whole statement where *changed* is empty, else that
    line with *changed* in its place.
    """

    name: str
    fault: str
    verdict: str
    metric: str
    log: str
    test: str
    file: str
    function: str  # as Class.method; empty for the module itself
    line: str
    changed: str = ""
    engines: str = ANY
    modes: str = ANY
    is_slow: bool = False
    # The test changes a setting of the whole machine, and runs only where it is told that it may.
    is_for_machine: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Faults under a heading."""

    heading: str
    faults: tuple[Fault, ...]


def mutated(fault: Fault, root: Path = REPOSITORY) -> str:
    """The source of the row's file without its line. Raises NotFound."""
    path = root / fault.file
    source = path.read_text()
    lines = source.splitlines(keepends=True)
    if not fault.file.endswith(".py"):
        numbers = [number for number, text in enumerate(lines) if text.strip() == fault.line]
        lines[_only(numbers, fault)] = f"{fault.changed}\n"
        return "".join(lines)
    scope = _scope(ast.parse(source), fault)
    if fault.changed:
        first, last = (1, len(lines)) if not fault.function else _extent(scope)
        found = [
            number for number in range(first, last + 1) if lines[number - 1].strip() == fault.line
        ]
        number = _only(found, fault)
        begin = end = number
        replacement = fault.changed
    else:
        statements = [
            node
            for node in ast.walk(scope)
            if isinstance(node, ast.stmt) and lines[node.lineno - 1].strip() == fault.line
        ]
        node = _only(statements, fault)
        begin, end = node.lineno, node.end_lineno or node.lineno
        replacement = "pass"
    text = lines[begin - 1]
    indent = text[: len(text) - len(text.lstrip())]
    lines[begin - 1 : end] = [f"{indent}{replacement}\n"]
    made = "".join(lines)
    ast.parse(made)
    return made


def _scope(tree: ast.Module, fault: Fault) -> ast.AST:
    scope: ast.AST = tree
    for name in filter(None, fault.function.split(".")):
        inside = [
            node
            for node in ast.walk(scope)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == name
        ]
        scope = _only(inside, fault)
    return scope


def _extent(scope: ast.AST) -> tuple[int, int]:
    assert isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    return scope.lineno, scope.end_lineno or scope.lineno


def _only(found: list[T], fault: Fault) -> T:
    if len(found) != 1:
        raise NotFound(
            f"{fault.name}: {fault.file} {fault.function}: {fault.line!r} is there"
            f" {len(found)} times"
        )
    return found[0]
