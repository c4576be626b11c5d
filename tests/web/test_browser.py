"""The pages in a real Chromium: nothing is blocked, on any width, and keys reach everything."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator

import pytest

from nsgd.runtime.control_client import ControlError, ControlErrorKind
from nsgd.web.app import Application
from tests.web.chromium import Browser, Navigated, browser
from tests.web.fake import LOGGED, FakeSource, denial
from tests.web.test_app import PATHS, VERIFY
from tests.web.test_server import serving

LONG = "a-name-of-eighty-characters-as-azure-lets-them-be-" + "0123456789" * 3
# What the keyboard stops at, in the page's order.
STOPS = (
    "[...document.querySelectorAll('a[href], button, input, select, summary, pre[tabindex]')]"
    ".filter(e => e.checkVisibility())"
)


class Site:
    """The pages of a daemon that says what it is told, in a browser."""

    def __init__(self, tab: Browser, source: FakeSource, url: str) -> None:
        self.tab = tab
        self.source = source
        self._url = url

    def open(self, path: str) -> None:
        """Load a page."""
        self.tab.open(self._url + path)


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    """One browser for all, in a network of its own where that can be had."""
    with browser() as made:
        yield made


@pytest.fixture
def site(tab: Browser) -> Iterator[Site]:
    """A fresh daemon and server."""
    with serving() as server:
        source = FakeSource()
        server.application = Application(source)
        tab.console.clear()
        tab.look()
        yield Site(tab, source, f"http://127.0.0.1:{server.port}")
        # Not before the server goes: a page that is left open would complain of that.
        tab.open("about:blank")


@pytest.mark.parametrize("path", [*PATHS, VERIFY, "/verify?from=web1&to=app1&protocol=TCP&port=80"])
def test_nothing_is_blocked_and_nothing_overflows(site: Site, path: str) -> None:
    """On a screen, in the dark, and on phones: no error, no violation, no scrolling sideways."""
    site.source.denied.append(denial(4, source="2001:db8:1111:2222:3333:4444:5555:6666", rule=LONG))
    # The widest tables.
    site.source.now["flowLog"] = LOGGED
    problem = f"/etc/nsgd/policy.yaml:118: networkSecurityGroups[0].{LONG}[4].priority: is taken"
    site.source.now["reloads"] |= {"lastSucceeded": False, "problems": [problem]}
    for width, dark in ((1280, False), (1280, True), (1030, False), (820, False), (390, True)):
        site.tab.look(width=width, dark=dark)
        site.open(path)
        # Not innerWidth: a phone's grows with what overflows.
        assert site.tab.run("document.documentElement.scrollWidth") <= width
    assert site.tab.console == []


def test_a_violation_would_be_seen(site: Site) -> None:
    """The test above has something to find: a script within the page does not run, and is told."""
    site.open("/")
    site.tab.run(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'window.ran = true'}))"
    )
    assert site.tab.run("window.ran") is None
    deadline_s = time.monotonic() + 10
    while not any("Content Security Policy" in line for line in site.tab.console):
        assert time.monotonic() < deadline_s, site.tab.console
        site.tab.run("0")  # What is told comes with an answer.


def test_a_page_that_gives_way_is_waited_for(site: Site) -> None:
    """What is asked of a page while another comes in its place is asked again of that one."""
    site.open("/")
    gives_way = (
        "sessionStorage.came ? true :"
        " (sessionStorage.came = 1, location.reload(), new Promise(() => {}))"
    )
    with pytest.raises(Navigated):
        site.tab.run(gives_way)
    site.tab.run("sessionStorage.clear()")
    site.tab.wait(gives_way, "the page that came is not asked")


@pytest.mark.parametrize("path", [*PATHS, VERIFY])
def test_the_keyboard_reaches_everything(site: Site, path: str) -> None:
    """Tab stops at each link, field and button once, in their order, where each can be seen."""
    # Nothing is replaced below the keyboard's feet here.
    site.open(path)
    wanted = site.tab.run(f"{STOPS}.length")
    site.tab.run(f"{STOPS}.forEach((e, i) => e.dataset.stop = i)")
    reached = []
    for _ in range(wanted):
        site.tab.press("Tab")
        reached.append(
            site.tab.run(
                "(() => { const e = document.activeElement, s = getComputedStyle(e),"
                " b = e.getBoundingClientRect();"
                " return [Number(e.dataset.stop), s.outlineStyle, b.width > 0 && b.bottom > 0 &&"
                " b.top < innerHeight]; })()"
            )
        )
    assert [number for number, _, _ in reached] == list(range(wanted))
    assert {outline for _, outline, _ in reached} == {"solid"}
    assert all(is_seen for _, _, is_seen in reached)


def test_skip_link(site: Site) -> None:
    """The first stop, seen when it has the focus, leads past the navigation."""
    site.open("/")
    site.tab.press("Tab")
    assert site.tab.run("document.activeElement.textContent") == "Skip to the content"
    assert site.tab.run("document.activeElement.getBoundingClientRect().top >= 0")
    site.tab.press("Enter")
    site.tab.wait("document.activeElement.id === 'content'", "the focus is not in the content")


def test_a_question_by_keyboard_alone(site: Site) -> None:
    """From the overview to an answer, and to the group that decided."""
    site.open("/")
    for _ in range(5):
        site.tab.press("Tab")
    assert site.tab.run("document.activeElement.textContent") == "IP flow verify"
    with site.tab.going():
        site.tab.press("Enter")
    assert site.tab.run("document.title").startswith("IP flow verify")
    site.tab.run("document.getElementById('both-from').focus()")
    for word in ("web1", "app1", "TCP", "8080"):
        site.tab.type(word)
        site.tab.press("Tab")
    assert site.tab.run("document.activeElement.textContent") == "Verify"
    with site.tab.going():
        site.tab.press("Enter")
    verdict = site.tab.run("document.querySelector('.verdict').innerText")
    assert verdict == "\u2713 Allow by AllowApiFromWebServers of app"
    assert site.tab.console == []


def test_light_and_dark(site: Site) -> None:
    """By the browser's preference."""
    colours = {}
    for dark in (False, True):
        site.tab.look(dark=dark)
        site.open("/")
        colours[dark] = site.tab.run(
            "(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))"
        )
    assert colours == {
        False: ["rgb(245, 246, 248)", "rgb(27, 31, 36)"],
        True: ["rgb(15, 19, 23)", "rgb(228, 232, 237)"],
    }


def test_a_table_is_cards_on_a_phone_and_still_a_table(site: Site) -> None:
    """Each cell has its column's name before it; what assistive programs see does not change."""
    site.tab.look(width=390)
    site.open("/nics/web2")
    label = "getComputedStyle(document.querySelector('td[data-label=Hits]'), '::before').content"
    assert site.tab.run(label) == '"Hits"'
    tree = site.tab.ask("Accessibility.getFullAXTree")["nodes"]
    roles = {node["role"]["value"] for node in tree if "role" in node}
    assert {"table", "row", "columnheader", "rowheader", "cell", "main", "banner"} <= roles
    assert site.tab.run("document.querySelector('thead').offsetWidth") <= 1


def test_numbers_are_refreshed(site: Site) -> None:
    """Hits and denials change in place; Pause leaves them, and the focus stays where it is."""
    site.open("/nics/web2")
    hits = (
        "document.querySelector('[data-live=\"hits/web/Inbound/DenyAllInBound/Deny\"]').textContent"
    )
    assert site.tab.run(hits) == "130"
    site.tab.run("document.querySelector('main a').focus()")
    site.source.now["ruleHits"][1]["hits"] = 131
    site.source.denied = [denial(4, source="198.51.100.77")]
    site.tab.wait(f"{hits} === '131'", "the hits are not refreshed")
    assert site.tab.run("document.querySelector('[data-part=denials]').innerText.includes('.77:')")
    assert site.tab.run("document.activeElement.textContent") == "Networks"
    site.tab.run("[...document.querySelectorAll('button')].at(-1).click()")
    assert "Not updated any more" in site.tab.run("document.getElementById('updates').innerText")
    assert site.tab.console == []


def test_another_policy_is_told(site: Site) -> None:
    """The page shows rules of the one before: it says so, and is not changed below its reader."""
    site.open("/nics/web2")
    updates = "document.getElementById('updates').innerText"
    site.tab.wait(f"{updates}.includes('Updated every')", "it does not refresh")
    # Not before it has seen the first one.
    site.tab.wait(
        "performance.getEntriesByType('resource').some(e => e.name.includes('format=json'))",
        "nothing is asked for",
    )
    site.source.now["generation"] = 5
    site.tab.wait(f"{updates}.includes('Another policy is in force')", "the page says nothing")


def test_the_daemon_goes_and_comes_back(site: Site) -> None:
    """An open page becomes the one that says what to do, and itself again."""
    site.open("/")
    site.source.error = ControlError(ControlErrorKind.UNREACHABLE, "no daemon listens at /x")
    site.tab.wait("document.body?.innerText.includes('The daemon does not run')", "nothing is told")
    assert site.tab.run("document.body.innerText.includes('systemctl start nsgd')")
    site.source.error = None
    site.tab.wait("document.body?.innerText.includes('all well')", "it does not come back")


def test_pages_are_whole_without_scripts(site: Site) -> None:
    """Nothing is missing but the refresh."""
    site.tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        site.open("/denials")
    finally:
        site.tab.ask("Emulation.setScriptExecutionDisabled", value=False)
    assert site.tab.run("document.querySelectorAll('tbody tr').length") > 1
    assert site.tab.run("document.getElementById('updates').textContent") == ""


def test_the_browser_is_there() -> None:
    """Where CI runs as root it may not be left out."""
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        assert shutil.which("chromium-headless-shell") or shutil.which("chromium")
