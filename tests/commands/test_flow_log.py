"""nsgd flow-log read: what it prints, and what it says of files that it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.cli import main
from nsgd.flowlog.azure_v4 import FILE_END, FILE_START
from tests.flowlog.entries import v4_record
from tests.flowlog.records import BEGIN, DENIED, END, PING, TIME_MS, nsg_document


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with a file of version 4 and a later one of version 2 before it by name."""
    v4 = v4_record("lab", "02ABCDEF0123", TIME_MS, END, BEGIN, PING)
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "PT1H.json").write_bytes(FILE_START + v4.encode() + FILE_END)
    late = "1800000000,203.0.113.9,10.0.1.4,40000,443,T,I,A,E,1,60,1,40"
    (tmp_path / "a.json").write_text(json.dumps(nsg_document(2, late)))
    (tmp_path / "a.txt").write_text("not one of them")
    return tmp_path


def test_a_directory(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every flow log below it, by time, whatever the format."""
    assert main(["flow-log", "read", str(files)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["B", "B", "E", "E"]
    assert lines[-1].split()[-2:] == ["WEB", "AllowWeb"]
    assert err == ""


def test_json_and_csv(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs."""
    assert main(["flow-log", "read", str(files), "-o", "json"]) == 0
    assert [each["state"] for each in json.loads(capsys.readouterr().out)] == ["B", "B", "E", "E"]
    assert main(["flow-log", "read", str(files), "-o", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_version_2(files: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What it cannot say is counted on stderr, and its output is read again."""
    assert main(["flow-log", "read", str(files), "--format", "nsg-v2"]) == 0
    out, err = capsys.readouterr()
    assert err == "note: left out: 1 record of protocols that version 2 has no letter for\n"
    (tmp_path / "v2.log").write_text(out)
    assert main(["flow-log", "read", str(tmp_path / "v2.log"), "-o", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_problems(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What can be read is printed all the same; the exit code says that it was not all."""
    (files / "b.json").write_text(json.dumps(nsg_document(2, *["1,2"] * 30)))
    missing = files / "missing.json"
    assert main(["flow-log", "read", str(files), str(missing)]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 5
    lines = err.splitlines()
    assert lines[0].endswith(
        "b.json: records[0].properties.flows[0].flows[0].flowTuples[0]: 2 fields instead of 13"
    )
    assert lines[20].endswith("b.json: and 10 more problems")
    assert lines[21].endswith("no such file or directory; check the path")


def test_denied_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rule's group by name, though Azure's format has only its id."""
    v4 = v4_record("lab", "02ABCDEF0123", TIME_MS, DENIED)
    path = tmp_path / "PT1H.json"
    path.write_bytes(FILE_START + v4.encode() + FILE_END)
    assert main(["flow-log", "read", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == [
        "web",
        "DefaultRule_DenyAllInBound",
    ]


def test_a_directory_without_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said: an empty answer would pass for a log without flows."""
    assert main(["flow-log", "read", str(tmp_path)]) == 1
    assert f"{tmp_path}: has no .json or .jsonl files in it" in capsys.readouterr().err
