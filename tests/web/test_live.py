"""nsgd web beside a running daemon, without privileges, in a real Chromium, with real packets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.chromium import browser
from tests.web.live import URL, USER, ThreeTiers, three_tiers

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def net() -> Iterator[ThreeTiers]:
    """The hosts, the daemon and nsgd web."""
    with three_tiers() as made:
        made.start(made.example())
        made.serve()
        yield made


def test_it_has_no_privilege(net: ThreeTiers) -> None:
    """Another user's process without any capability, which may read over the socket alone."""
    found = {
        name: value.strip()
        for line in Path(f"/proc/{net.web.pid}/status").read_text().splitlines()
        for name, _, value in (line.partition(":"),)
    }
    assert found["Uid"].split() == [str(USER)] * 4
    for held in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"):
        assert int(found[held], 16) == 0
    assert found["NoNewPrivs"] == "1"
    assert "Overview" in net.get("/")
    assert net.web_log() == "nsgd web at http://127.0.0.1:9481/\n"


def test_what_packets_did_is_on_the_page(net: ThreeTiers) -> None:
    """Hits change while the page is open, a denial is named with its rule, a flow with its."""
    hits = "document.querySelector('[data-live=\"hits/{}\"]').textContent"
    allowed = hits.format("web/Inbound/AllowWebFromInternet/Allow")
    with browser(net.gateway.popen) as tab:
        tab.look()
        tab.open(f"{URL}/nics/web1")
        assert tab.run(allowed) == "0"
        assert net.tcp("internet", "web1", 80)
        assert not net.tcp("internet", "web1", 23, source_port=40023)
        tab.wait(f"{allowed} === '1'", "the hit is not shown")
        wanted = "203.0.113.10:40023"
        tab.wait(f"document.body.innerText.includes('{wanted}')", "the denial is not shown")
        # The same numbers as the status has.
        status = net.hits()
        shown = json.loads(net.get("/nics/web1?format=json"))["values"]
        for (group, direction, rule), count in status.items():
            for access in ("Allow", "Deny"):
                key = f"hits/{group}/{direction}/{rule}/{access}"
                assert shown.get(key) in (None, "0", str(count))
        assert shown["hits/web/Inbound/DenyAllInBound/Deny"] == "1"
        # Why, as the page itself asks it.
        tab.open(f"{URL}/denials?destination=10.0.1.4&port=23")
        tab.follow('a[href^="/verify?"]')
        verdict = tab.run("document.querySelector('.verdict').innerText")
        assert verdict == "\u2715 Deny by DenyAllInBound of web"
        tab.open(f"{URL}/flows?nsg=web&port=80")
        assert "web / AllowWebFromInternet" in tab.run("document.body.innerText")
        # A reload with other rules is told on a page that is open, and shown by the next one.
        tab.open(f"{URL}/groups/web")
        example = net.example()
        example["networkSecurityGroups"][0]["securityRules"][0]["name"] = "AllowSite"
        updates = "document.getElementById('updates').innerText"
        asked = "performance.getEntriesByType('resource').some(e => e.name.includes('format=json'))"
        tab.wait(asked, "nothing is asked for")
        net.reload(example)
        tab.wait(f"{updates}.includes('Another policy')", "the reload is not told")
        assert "AllowSite" in net.get("/groups/web")
        net.stop()
        tab.wait("document.body?.innerText.includes('does not run')", "the end is not told")
        complaints = [line for line in tab.console if "503" not in line]
    assert complaints == []
