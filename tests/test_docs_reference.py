"""docs/azure-reference.md: the tests that it names exist, and its commands say what it shows."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsgd.cli import main
from nsgd.model.dialect import DIALECTS, NOW

REPOSITORY = Path(__file__).parent.parent
PAGE = REPOSITORY / "docs" / "azure-reference.md"
TEXT = PAGE.read_text()
TEST_NAME = re.compile(r"tests/[\w/]+\.py::[\w:]+")


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command line of a console block, and what it prints, line by line."""
    for block in re.findall(r"^```console\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *output = shown.splitlines()
            yield line, output


def spans() -> Iterator[str]:
    """Each command within the text; words such as FILE stand for a user's."""
    yield from re.findall(r"`(nsgd [^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))


def rows(heading: str) -> list[list[str]]:
    """The cells of each row of the tables below a second-level heading, without heads and rules."""
    lines = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    heads = {number - 1 for number, line in enumerate(lines) if line.startswith("|---")}
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for number, line in enumerate(lines)
        if line.startswith("| ") and number not in heads
    ]


def test_every_test_that_is_named_exists() -> None:
    """Collected by pytest: of root's tests too, where nobody is root, by their source."""
    named = set(TEST_NAME.findall(TEXT))
    assert len(named) > 100
    files = sorted({name.partition("::")[0] for name in named})
    missing_files = [file for file in files if not (REPOSITORY / file).is_file()]
    assert missing_files == []
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *files],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    collected = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert collected, done.stdout + done.stderr
    absent = {name for name in named - collected if not is_kernel_test(name)}
    assert absent == set()


def is_kernel_test(name: str) -> bool:
    """Tell whether the source has this test among those that only root collects."""
    file, _, test = name.partition("::")
    source = (REPOSITORY / file).read_text()
    return file.startswith("tests/kernel/") and f"\ndef {test}(" in source


def test_a_test_that_does_not_exist_is_seen() -> None:
    """The exception for root's tests lets none pass that has no source."""
    assert is_kernel_test("tests/kernel/test_vectors.py::test_how_groups_filter")
    assert not is_kernel_test("tests/kernel/test_vectors.py::test_how_groups")
    assert not is_kernel_test("tests/policy/test_evaluate.py::test_unmanaged")


@pytest.mark.parametrize(("line", "output"), list(commands()))
def test_a_command_prints_what_is_shown(
    line: str,
    output: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Asked from the repository; the first line of an answer is enough to show."""
    monkeypatch.chdir(REPOSITORY)
    program, *words = shlex.split(line)
    assert program == "nsgd"
    assert main(words) == 0
    assert output
    assert capsys.readouterr().out.splitlines()[: len(output)] == output


def test_there_are_commands() -> None:
    """The page has not lost them, nor changed how they are written."""
    assert len(list(commands())) == 5
    assert "nsgd tags update FILE" in spans()


@pytest.mark.parametrize("span", sorted(set(spans())))
def test_a_command_in_the_text_is_one(span: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It parses: a verb that would run is stopped before it does."""
    parsed: list[list[str]] = []
    parse_args = argparse.ArgumentParser.parse_args

    def parse_only(self: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
        found = parse_args(self, words)
        parsed.append(words)
        found.run = lambda args: 0
        return found

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    _, *words = shlex.split(span)
    assert main(words) == 0
    assert parsed == [words]


def test_every_sentence_is_shown_or_explained() -> None:
    """A row of the overview has a test, or says that it is a non-goal or untested."""
    overview = rows("Part 2: The overview of 2017")
    assert [row[0] for row in overview] == [str(number + 1) for number in range(len(overview))]
    for _, sentence, behaviour, test in overview:
        assert sentence
        assert behaviour
        assert (
            TEST_NAME.search(test)
            or test == "no test yet"
            or (test == "-" and "non-goal" in behaviour)
        ), sentence


def test_every_choice_is_there() -> None:
    """In their order, each with a reason."""
    choices = rows("Choices")
    assert [row[0] for row in choices] == [str(number) for number in range(1, 20)]
    assert all(len(row) == 4 and all(row) for row in choices)


def test_every_fact_of_today_has_its_source() -> None:
    """And a test, or says that there is none."""
    facts = [row for row in rows("Part 1: Azure now") if len(row) == 4]
    assert len(facts) > 50
    for azure, nsgd, source, test in facts:
        assert all((azure, nsgd, source))
        assert TEST_NAME.search(test) or test == "no test yet", azure


def test_every_dialect_has_its_tests() -> None:
    """In each row that compares the three; limits are compared with what the dialects say."""
    compared = [row for row in rows("Part 1: Azure now") if len(row) == 5]
    limits = [row for row in compared if row[1].strip("`") in NOW.limits]
    assert len(compared) - len(limits) > 10
    assert all(TEST_NAME.search(row[-1]) for row in compared if row not in limits)
    assert [row[1].strip("`") for row in limits] == list(NOW.limits)
    for row in limits:
        for dialect, shown in zip(DIALECTS.values(), row[2:], strict=True):
            limit = dialect.limits.get(row[1].strip("`"))
            words = "-" if limit is None else f"{limit.default}, to {limit.maximum}"
            assert shown.replace(" ", "") == words.removesuffix(", to None").replace(" ", "")


def test_what_is_built_is_not_called_unbuilt() -> None:
    """Nothing of the overview waits any more."""
    assert not any(
        "not yet" in cell for row in rows("Part 2: The overview of 2017") for cell in row
    )


def test_it_is_found() -> None:
    """From the README and from the policy document."""
    assert "docs/azure-reference.md" in (REPOSITORY / "README.md").read_text()
    assert "azure-reference.md" in (REPOSITORY / "docs" / "policy-document.md").read_text()
