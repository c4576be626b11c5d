"""The live view as it is drawn, at any size, with colour where a terminal has it."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from nsgd.top.screen import Shown, draw
from nsgd.top.view import Choice, RuleSort, View, view
from tests.top.readings import DENIAL, LATER, LOG, OTHER, hits, reading

RULES = hits(AllowHttp=100, AllowHttps=40, DenyAllInBound=30)
SHOWN = Shown(2.0)


def some_view(count: int = 0, **changes: Any) -> View:
    """Three rules and *count* more, three denials."""
    more = [{**RULES[0], "rule": f"AllowNumber{number:02}", "hits": 0} for number in range(count)]
    before = reading(0, ruleHits=hits(AllowHttp=90, AllowHttps=40, DenyAllInBound=29))
    now = reading(2, LATER, OTHER, DENIAL, ruleHits=[*RULES, *more], **changes)
    return view(now, before, Choice())


def drawn(
    found: View | None,
    shown: Shown = SHOWN,
    size: tuple[int, int] = (80, 24),
    choice: Choice = Choice(),  # noqa: B008
) -> list[str]:
    """The lines, without colour."""
    width, height = size
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(draw(found, choice, shown, height))
    return [line.rstrip() for line in console.export_text().splitlines()]


PICTURE = """\
nsgd top  gateway+host, engine queue, mode enforce       09:14:12 UTC  every 2 s
policy   4 in force since 2023-11-14T22:13:20Z, documents 0123456789abcdef
flows    0.0/s allowed  0.0/s denied   queue 3 of 4096 wait   worker up
no rule  denied: spoofed 8
health   nothing to report
   Per s       Hits Access Direction Security group    Rules by rate
     5.0        100 Allow  Inbound   web               AllowHttp
     0.5         30 Deny   Inbound   web               DenyAllInBound
     0.0         40 Allow  Inbound   web               AllowHttps
10min Last     Denials, newest first                Denied by
    2 09:14:09 Tcp 203.0.113.7 > 10.0.1.4:22        web/DenyAllInBound Inbound …
    1 09:14:08 Udp 2001:db8:1234:5678:9abc:def0:12… web/DenyAllInBound Inbound …
 q  quit   s  sort rules   d  denials   a  denies only   p  pause   +-  every"""


LOGGED = """\
   Per s     Hits    Bytes Access Direction Security group Rules by rate
     5.0      100   123 MB Allow  Inbound   web            AllowHttp
     0.5       30        - Deny   Inbound   web            DenyAllInBound
     0.0       40      0 B Allow  Inbound   web            AllowHttps"""


def test_the_smallest_terminal() -> None:
    """80 columns and 24 lines."""
    assert drawn(some_view()) == PICTURE.splitlines()


def test_bytes_where_flows_are_logged() -> None:
    """To three digits, within 80 columns."""
    traffic = [
        {**row, "packets": 2, "bytes": size}
        for row, size in zip(RULES, (123_456_789, 0), strict=False)
    ]
    lines = drawn(some_view(flowLog=LOG | {"ruleTraffic": traffic}))
    assert "\n".join(lines[6:10]) == LOGGED


@pytest.mark.parametrize("size", [(80, 24), (80, 10), (200, 60), (40, 12), (20, 5)])
def test_any_size(size: tuple[int, int]) -> None:
    """No line is longer than the terminal is wide; the keys stay, however many rules there are."""
    width, height = size
    lines = drawn(some_view(200), size=size)
    assert max(map(len, lines)) <= width
    if height >= 10:
        assert len(lines) == height
        assert lines[-1].startswith(" q  quit")


def test_a_wide_terminal_cuts_nothing() -> None:
    """Of IPv6 either."""
    lines = "\n".join(drawn(some_view(), size=(180, 30)))
    assert f"Udp {OTHER['source']} > [{OTHER['destination']}]:53" in lines
    assert "web/DenyAllInBound Inbound of web1" in lines
    assert "…" not in lines


def test_what_is_hidden_is_counted() -> None:
    """Rules beyond the screen."""
    lines = drawn(some_view(100))
    shown = sum("AllowNumber" in line for line in lines)
    (head,) = (line for line in lines if "Rules by rate" in line)
    assert f"{100 - shown} more" in head


def test_denials_have_room_whatever_the_rules() -> None:
    """And rules have what denials leave."""
    found = some_view(100)
    many = replace(found, denials=found.denials * 30)
    lines = drawn(many)
    assert len(lines) == 24
    assert sum("203.0.113.7" in line or "2001:db8" in line for line in lines) >= 3
    assert sum("AllowNumber" in line for line in lines) >= 3


def test_the_daemon_is_gone_and_comes_back() -> None:
    """What was last seen stays; a restart is said."""
    gone = drawn(some_view(), Shown(2.0, trouble="no daemon listens at /run/nsgd/nsgd.sock"))
    assert gone[1] == "NO ANSWER: no daemon listens at /run/nsgd/nsgd.sock; trying again"
    assert any("AllowHttp" in line for line in gone)
    back = drawn(some_view(), Shown(2.0, restarted="2026-05-02T09:14:00Z"))
    assert back[1].startswith("the daemon was restarted at 2026-05-02T09:14:00Z")
    assert drawn(None, Shown(2.0, trouble="x"))[1] == "NO ANSWER: x; trying again"
    assert drawn(None)[1] == "waiting for the daemon"


def test_what_else_is_said() -> None:
    """Pause, the order, notes, the flow log, problems, and that there are more of them."""
    lines = drawn(
        some_view(flowLog=LOG, mode="audit"),
        Shown(0.5, is_paused=True, note="only nic web1"),
        choice=Choice(rule_sort=RuleSort.NAME),
    )
    text = "\n".join(lines)
    assert lines[0].endswith("PAUSED  09:14:12 UTC  every 0.5 s")
    assert lines[1] == "only nic web1"
    assert "flow log azure at /log, 3 open flows, 9 records written" in text
    assert "health   Mode: audit: denials are counted and logged, and nothing" in text
    assert "Rules by name" in text
    table = {"changedByOthers": 3, "repaired": 1, "foreignBaseChainsDeleted": 2}
    ill = some_view(
        worker={"up": False, "restarts": 1},
        mode="audit",
        table=table,
        reloads={"lastSucceeded": False},
    )
    text = "\n".join(drawn(ill))
    assert "worker DOWN" in text
    assert "Worker: DOWN: what it would decide follows failureMode closed" in text
    assert "and 1 more: nsgd top --once" in text


@pytest.mark.parametrize(("environment", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour(environment: dict[str, str], is_coloured: bool) -> None:
    """On a terminal, unless NO_COLOR says no."""
    file = io.StringIO()
    console = Console(
        width=80,
        height=24,
        file=file,
        force_terminal=True,
        _environ={"TERM": "xterm"} | environment,
    )
    console.print(draw(some_view(), Choice(), SHOWN, 24))
    assert ("\x1b[32m" in file.getvalue()) is is_coloured
    assert "AllowHttp" in file.getvalue()


def test_names_are_no_markup() -> None:
    """Whatever is in brackets is shown."""
    found = view(reading(ruleHits=hits(**{"[red]Rule[/red]": 1})), None, Choice())
    assert any("[red]Rule[/red]" in line for line in drawn(found, size=(120, 24)))
