"""From a request's target to its answer: which page, as HTML or, to refresh it, as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, unquote

import nsgd
from nsgd.config.names import fold
from nsgd.config.wording import closest
from nsgd.health.judge import checks
from nsgd.model.network import NetworkSecurityGroup
from nsgd.runtime.control_client import ControlError, ControlErrorKind
from nsgd.web.denials import denials_page
from nsgd.web.filters import FilterRefused, read_filter
from nsgd.web.flows import MOST_LISTED, flows_page
from nsgd.web.group import group_page
from nsgd.web.interface import DENIALS_SHOWN, interface_page
from nsgd.web.markup import Markup
from nsgd.web.networks import networks_page
from nsgd.web.overview import overview_page
from nsgd.web.page import Page, render, state_line
from nsgd.web.problems import no_answer_page, not_found_page, refused_page
from nsgd.web.source import Source, Status
from nsgd.web.verify import verify_page

log = logging.getLogger("nsgd.web")

_MOST_FIELDS = 32
_HTML = "text/html; charset=utf-8"
_STATIC = {
    "style.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back."""

    status: int
    content_type: str
    body: bytes


class Application:
    """Answers GET; nothing that is asked changes anything."""

    def __init__(self, source: Source, clock: Callable[[], datetime] | None = None) -> None:
        self._source = source
        self._clock = clock or partial(datetime.now, UTC)
        folder = files("nsgd.web") / "static"
        # Read once, by these names: no path of a request reaches the file system.
        self._static = {
            f"/static/{name}": Response(200, kind, (folder / name).read_bytes())
            for name, kind in _STATIC.items()
        }
        self._pages: Mapping[str, Callable[[Query], Page]] = {
            "/": self._overview,
            "/networks": self._networks,
            "/verify": self._verify,
            "/denials": self._denials,
            "/flows": self._flows,
        }

    def respond(self, target: str) -> Response:
        """The answer to a request's target, such as ``/denials?nsg=web``."""
        path, _, words = target.partition("?")
        if path in self._static:
            return self._static[path]
        try:
            query = _query(words)
        except ValueError:
            text = (
                f"The query has more than {_MOST_FIELDS} fields, or is none. Start at the overview."
            )
            return self.refusal(400, "Not a question", text)
        page = self._page(path, query)
        status = self._status()
        state = state_line(status, [] if status is None else checks(status), self._clock())
        if query.get("format") == "json":
            return _as_json(page, state, status)
        text = render(page, state, nsgd.__version__)
        return Response(page.status, _HTML, text.encode())

    def refusal(self, status: int, title: str, text: str) -> Response:
        """A page that says why a request is not answered."""
        page = refused_page(status, title, text)
        body = render(page, Markup(""), nsgd.__version__)
        return Response(status, _HTML, body.encode())

    def _page(self, path: str, query: Query) -> Page:
        try:
            make = self._pages.get(path)
            if make is not None:
                return make(query)
            kind, _, name = path[1:].partition("/")
            if kind == "nics" and name:
                return self._interface(_name(name))
            if kind == "groups" and name:
                return self._group(_name(name))
            return not_found_page(f"There is no page {path[:100]}.")
        except ControlError as error:
            return no_answer_page(error, path)

    def _status(self) -> Status | None:
        try:
            return self._source.status()
        except ControlError:
            return None

    def _overview(self, query: Query) -> Page:
        return overview_page(self._source.status())

    def _networks(self, query: Query) -> Page:
        text = query.get("first", "0")
        first = int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0
        return networks_page(self._source.policy().model, query.get("q", "").strip(), first)

    def _verify(self, query: Query) -> Page:
        return verify_page(self._source.policy(), query)

    def _denials(self, query: Query) -> Page:
        status = self._source.status()
        try:
            answer = self._source.denials(**read_filter(query))
        except (FilterRefused, ControlError) as error:
            return denials_page(None, status, query, _refusal(error))
        return denials_page(answer, status, query)

    def _flows(self, query: Query) -> Page:
        try:
            found = self._source.flows(MOST_LISTED, **read_filter(query))
        except (FilterRefused, ControlError) as error:
            return flows_page(None, query, _refusal(error))
        return flows_page(found, query)

    def _interface(self, name: str) -> Page:
        policy = self._source.policy()
        nics = {fold(nic.name): nic for nic in policy.model.network_interfaces}
        nic = nics.get(fold(name))
        if nic is None:
            meant = closest(name, tuple(each.name for each in nics.values()))
            return not_found_page(_missing("network interface", name, meant))
        denials = self._source.denials(nic=nic.name, limit=DENIALS_SHOWN)["denials"]
        return interface_page(policy, nic, self._source.status(), denials)

    def _group(self, name: str) -> Page:
        model = self._source.policy().model
        groups: dict[str, NetworkSecurityGroup] = {
            fold(group.name): group for group in model.network_security_groups
        }
        group = groups.get(fold(name))
        if group is None:
            meant = closest(name, tuple(each.name for each in groups.values()))
            return not_found_page(_missing("network security group", name, meant))
        return group_page(model, group, self._source.status())


def _refusal(error: Exception) -> str:
    """Why a filter is none; whatever else keeps the daemon from answering is raised again."""
    if isinstance(error, ControlError) and error.kind is not ControlErrorKind.USAGE:
        raise error
    # The verb's name before it is of no use here.
    return str(error).removeprefix("flows: ").removeprefix("denials: ")


def _missing(kind: str, name: str, meant: str | None) -> str:
    hint = f" Did you mean {meant}?" if meant else ""
    return f"The policy in force has no {kind} {name[:100]}.{hint}"


def _query(words: str) -> dict[str, str]:
    """Fields of a query, of each the last. Raises ValueError."""
    return dict(parse_qsl(words, keep_blank_values=True, max_num_fields=_MOST_FIELDS))


def _name(text: str) -> str:
    return unquote(text, errors="replace")


def _as_json(page: Page, state: Markup, status: Status | None) -> Response:
    content: dict[str, Any] = {
        "generation": None if status is None else [status["startedAt"], status["generation"]],
        "status": page.status,
        "values": page.live.values,
        "parts": {**page.live.parts, "state": state},
    }
    body = json.dumps(content, separators=(",", ":")).encode()
    return Response(200, "application/json", body)
