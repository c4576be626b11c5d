"""Whatever the file: one document, a document a line, records a line, or none of these."""

from __future__ import annotations

import json

import pytest

from nsgd.flowlog.entry import Place
from nsgd.flowlog.fields import Problems
from nsgd.flowlog.plain import json_line, json_lines, plain_record
from nsgd.flowlog.read import read_flow_log
from nsgd.flowlog.record import FlowRecord
from nsgd.flowlog.show import as_csv, as_json, as_table
from nsgd.model.rule import Direction
from tests.flowlog.entries import entry_of, records_of
from tests.flowlog.records import BEGIN, DENIED, END, PING, nsg_document

V1 = "1700000000,203.0.113.9,10.0.1.4,40000,443,T,I,A"
RECORDS = [BEGIN, DENIED, END, PING, BEGIN._replace(bytes_sent=None, state=None)]


def read(content: str | bytes) -> tuple[list[FlowRecord], list[str]]:
    """The records, and what could not be read."""
    problems = Problems()
    content = content.encode() if isinstance(content, str) else content
    return list(read_flow_log(content, problems)), problems.lines


def test_our_lines() -> None:
    """A record a line, as nsgd writes them for Loki, comes back whole."""
    assert read("\n".join(map(json_line, RECORDS)) + "\n") == (RECORDS, [])


@pytest.mark.parametrize("record", [*RECORDS, BEGIN._replace(rule='a"b\n', source="", acl_id="")])
def test_a_line_is_the_object(record: FlowRecord) -> None:
    """Made by hand, it is what the encoder would make."""
    plain = plain_record(record)
    expected = json.dumps(
        {key: value or None if value == "" else value for key, value in plain.items()},
        separators=(",", ":"),
    )
    assert json_line(record) == expected


@pytest.mark.parametrize("record", [BEGIN, END, DENIED, PING, BEGIN._replace(bytes_sent=None)])
@pytest.mark.parametrize("group", ["web", "", 'a"b\n'])
def test_lines_of_an_entry_are_those_of_its_records(record: FlowRecord, group: str) -> None:
    """One for each side, made at once: the same to a letter."""
    six = record._replace(source="fd00::4", destination="2001:db8::10", rule="a\\b")
    for each in (record, six):
        one = entry_of(each._replace(network_security_group=group))
        other = entry_of(
            each._replace(network_security_group=group, direction=Direction.INBOUND),
            Place("a/lab", "000000000000"),
        )
        both = one._replace(sides=one.sides + other.sides)
        assert list(json_lines(both)) == [json_line(record) for record in records_of(both)]
        assert len(list(json_lines(both))) == 2


def test_what_is_printed_as_json() -> None:
    """A list of the same objects."""
    printed = "".join(as_json(RECORDS))
    assert len(json.loads(printed)) == len(RECORDS)
    assert read(printed) == (RECORDS, [])
    assert json.loads("".join(as_json([]))) == []


def test_documents_and_records_in_lines() -> None:
    """As event hubs and workspaces hand Azure's logs on."""
    document = nsg_document(1, V1)
    found, problems = read(f"{json.dumps(document)}\n{json.dumps(document['records'][0])}\n\n")
    assert (len(found), problems) == (2, [])


def test_a_byte_order_mark() -> None:
    """Some tools put one in front of what they save."""
    found, problems = read(b"\xef\xbb\xbf" + json.dumps(nsg_document(1, V1)).encode())
    assert (len(found), problems) == (1, [])


def test_a_line_that_is_cut_off() -> None:
    """The others are read."""
    lines = [json_line(BEGIN), json_line(END)[:40], json_line(DENIED)]
    assert read("\n".join(lines)) == ([BEGIN, DENIED], ["line 2: not JSON"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "file: empty"),
        ("  \n", "file: empty"),
        (b"\xff\xfe", "file: not UTF-8, at byte 0"),
        ('{"records": [', "file: not JSON: Expecting value"),
        ("[" * 100_000, "file: not JSON: "),
        ('{"records": 1}', ".records: not a list"),
        ('{"records": [{}]}', "records[0]: no flow log record"),
        ("{}", "file: no flow log record"),
        ("7", "file: not an object"),
    ],
)
def test_what_is_no_flow_log(content: str | bytes, problem: str) -> None:
    """It is said, and nothing is made of it."""
    found, problems = read(content)
    assert found == []
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize(
    "change",
    [
        {"time": "2020-01-01"},
        {"time": "2020-01-01T00:00:00"},
        {"time": 7},
        {"sourceAddress": "10.0.0"},
        {"sourceAddress": "10.0.0.1,10.0.0.2"},
        {"sourcePort": True},
        {"direction": "in"},
        {"state": "X"},
        {"state": 1},
        {"state": None, "access": "Deny"},
        {"packetsSent": -1},
        {"packetsSent": 1.5},
    ],
)
def test_a_record_that_is_wrong(change: dict[str, object]) -> None:
    """It is refused, whatever the field."""
    found, problems = read(json.dumps(json.loads(json_line(BEGIN)) | change))
    assert found == []
    assert len(problems) == 1


def test_csv() -> None:
    """A head and a line for each record, with nothing where nothing is known."""
    lines = list(as_csv(RECORDS))
    assert lines[0].startswith("time,macAddress,direction,state,access,protocol,sourceAddress,")
    assert lines[1].startswith("2023-11-14T22:13:20.123Z,02ABCDEF0123,Outbound,B,Allow,6,10.0.1.4,")
    assert ",AllowHttps,0,,0,0,NX," in lines[5]


def test_a_table() -> None:
    """Both ways' packets and bytes, brackets around IPv6, no ports where there are none."""
    lines = list(as_table(RECORDS))
    assert "5 / 4    400 / 5200" in lines[3]
    assert "[2001:db8::9]:40000" in lines[2]
    assert "10.0.1.4 " in lines[4]
    assert "Icmp" in lines[4]
    assert "0 / 0    ? / 0" in lines[5]


def test_a_table_shows_no_control_characters() -> None:
    """A file of somebody else's does not speak to the terminal."""
    assert not any("\x1b" in line for line in as_table([BEGIN._replace(rule="\x1b[2J")]))
