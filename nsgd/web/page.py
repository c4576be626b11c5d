"""What pages have in common: frame, navigation, and what of them changes while they are open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from nsgd.health.judge import Check, worst
from nsgd.web.markup import Content, Markup, element, link, markup

NAVIGATION = (
    ("/", "Overview"),
    ("/networks", "Networks"),
    ("/verify", "IP flow verify"),
    ("/denials", "Denials"),
    ("/flows", "Flows"),
)
_ACCESS = {"Allow": "\u2713", "Deny": "\u2715"}


class Live:
    """Collects what of a page is refreshed: texts by key, and parts of the page by key."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.parts: dict[str, str] = {}

    def value(self, key: str, value: object) -> Markup:
        """A text that is replaced while the page is open."""
        self.values[key] = text = number(value) if isinstance(value, int) else str(value)
        return element("span", text, data_live=key)

    def part(self, key: str, content: Markup) -> Markup:
        """A part of the page that is replaced as a whole."""
        self.parts[key] = content
        return element("div", content, data_part=key)


@dataclass(frozen=True, slots=True)
class Page:
    """A page's content; *section* is its entry in the navigation."""

    title: str
    section: str
    body: Markup
    live: Live = field(default_factory=Live)
    status: int = 200
    every_s: int = 2  # how often it asks for what is new; 0 for never


def render(page: Page, state: Markup, version: str) -> str:
    """The whole document; *state* is the line about the daemon at the top."""
    items = [
        element("li", link(url, text, aria_current="page" if url == page.section else None))
        for url, text in NAVIGATION
    ]
    title = page.title if page.section != "/" or page.status != 200 else "Overview"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} \u2013 nsgd"),
        element("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="/static/style.css"),
        element("script", src="/static/live.js", defer=True),
    )
    body = element(
        "body",
        link("#content", "Skip to the content", class_="skip"),
        element(
            "header",
            link("/", "nsgd", class_="brand", aria_label="nsgd, overview"),
            element("nav", element("ul", items), aria_label="Pages"),
        ),
        element("div", element("div", state, data_part="state"), class_="state", id="state"),
        element(
            "main",
            element("h1", page.title),
            page.body,
            id="content",
            tabindex="-1",
        ),
        element(
            "footer",
            element("p", f"nsgd {version}. This page reads and changes nothing."),
            element("p", id="updates", role="status"),
        ),
        data_every=page.every_s or None,
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def state_line(status: Mapping[str, Any] | None, judged: list[Check], now: datetime) -> Markup:
    """Policy, mode, and whether there is something to look at."""
    if status is None:
        return markup(badge("bad", "no answer from the daemon"))
    mode = None
    if status["mode"] == "audit":
        mode = badge("warn", "audit: nothing is dropped")
    kind = worst(judged)
    look = badge(kind, _trouble(judged))
    if kind != "ok":
        look = link("/#health", look)
    return markup(
        look,
        mode,
        element("span", f"policy {status['generation']} in force since "),
        moment(status["loadedAt"]),
        "; it is now ",
        moment(now.isoformat()),
    )


def _trouble(judged: list[Check]) -> str:
    wrong = sum(check.kind == "bad" for check in judged)
    look = sum(check.kind == "warn" for check in judged)
    if not wrong:
        return f"{plural(look, 'thing')} to look at" if look else "all well"
    return f"{wrong} wrong" + (f", {look} to look at" if look else "")


def badge(kind: str, text: Content) -> Markup:
    """A word of state: by its sign and its words, and only then by its colour."""
    sign = {"ok": "\u2713", "warn": "!", "bad": "\u2715", "plain": "\u2022"}[kind]
    return element(
        "span", element("span", sign, aria_hidden="true"), " ", text, class_=f"badge {kind}"
    )


def access(word: str) -> Markup:
    """Allow or Deny."""
    kind = "ok" if word == "Allow" else "bad"
    sign = element("span", _ACCESS.get(word, ""), aria_hidden="true")
    return element("span", sign, " ", word, class_=f"access {kind}")


def number(value: int) -> str:
    """With thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def plural(count: int, noun: str) -> str:
    """One thing, two things."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def moment(iso: str) -> Markup:
    """A time of the answers, for people: UTC, to the second."""
    try:
        found = datetime.fromisoformat(iso).astimezone(UTC)
    except ValueError:
        return markup(iso)
    return element("time", found.strftime("%Y-%m-%d %H:%M:%S UTC"), datetime=iso)


def clock(iso: str) -> Markup:
    """Day and time in UTC, where the heading says that it is."""
    try:
        found = datetime.fromisoformat(iso).astimezone(UTC)
    except ValueError:
        return markup(iso)
    return element("time", found.strftime("%Y-%m-%d %H:%M:%S"), datetime=iso)


def nic_link(name: str | None) -> Markup:
    """To an interface's page; a subnet's undeclared address has none."""
    if name is None:
        return markup("-")
    return markup(name) if "/" in name else link(f"/nics/{quote(name, safe='')}", name)


def group_link(name: str | None) -> Markup:
    """To a group's page."""
    if not name:
        return element("span", "none", class_="quiet")
    return link(f"/groups/{quote(name, safe='')}", name)


def url(path: str, **query: object) -> str:
    """An address of ours with a query; what is None or empty is left out."""
    words = urlencode({key: value for key, value in query.items() if value not in (None, "")})
    return f"{path}?{words}" if words else path


def end(address: str, port: int | None) -> str:
    """An address with its port."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
