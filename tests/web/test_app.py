"""Each page's content by its address, without HTTP."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from nsgd.runtime.control_client import ControlError, ControlErrorKind
from nsgd.web.app import Application
from tests.web.fake import HOSTILE, LOGGED, FakeSource, denial, flow, policy_of, status
from tests.web.test_markup import read

PATHS = ("/", "/networks", "/nics/web2", "/groups/web", "/verify", "/denials", "/flows")
VERIFY = "/verify?direction=Inbound&protocol=TCP&local=10.0.1.5:80&remote=203.0.113.7:*"


NOW = datetime(2026, 3, 1, 12, 1, 0, tzinfo=UTC)


@pytest.fixture
def source() -> FakeSource:
    """The daemon's answers."""
    return FakeSource()


@pytest.fixture
def app(source: FakeSource) -> Application:
    """The pages."""
    return Application(source, lambda: NOW)


def text_of(app: Application, target: str, status: int = 200) -> str:
    """A page's text as read, its pieces joined."""
    response = app.respond(target)
    assert response.status == status, response.body
    main = response.body.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())


@pytest.mark.parametrize("path", PATHS)
def test_every_page_stands_on_landmarks(app: Application, path: str) -> None:
    """One heading of the first level, none left out below; the current page is marked."""
    response = app.respond(path)
    assert (response.status, response.content_type) == (200, "text/html; charset=utf-8")
    html = response.body.decode()
    tags = read(html).tags
    names = [tag for tag, _ in tags]
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert landmark in names
    assert names.count("h1") == names.count("main") == 1
    assert ("a", {"href": "#content", "class": "skip"}) in tags
    (current,) = (attributes for _, attributes in tags if "aria-current" in attributes)
    assert str(current["href"]) in path or path.startswith(("/nics", "/groups"))
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {a["for"] for tag, a in tags if tag == "label"}
    assert labelled == {a["id"] for tag, a in tags if tag in ("input", "select")}
    for _, attributes in tags:
        for word in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(word) or "").split()) <= set(ids)


@pytest.mark.parametrize("path", PATHS)
def test_no_style_and_no_script_within_the_page(app: Application, path: str) -> None:
    """The security policy would block them; every link stays here."""
    tags = read(app.respond(path).body.decode()).tags
    for tag, attributes in tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        if tag == "script":
            assert attributes["src"] == "/static/live.js"
        if "href" in attributes:
            assert str(attributes["href"]).startswith(("/", "#"))


def test_overview(app: Application) -> None:
    """Policy, totals and losses; the rules that deny most with a way to who was denied."""
    text = text_of(app, "/")
    for words in (
        "Last reload : in force",
        "0123456789abcdef",
        "DenyAllInBound Inbound web 130 recent denials",
        "Is anything lost unseen? \u2713 no: every count below is 0",
        "nsgd diff --against-running PATH",
    ):
        assert words in text
    assert "spoofed 8" in text


def test_overview_in_trouble(app: Application, source: FakeSource) -> None:
    """The line at the top of every page counts, the overview says what."""
    source.now["reloads"]["lastSucceeded"] = False
    source.now["worker"]["up"] = False
    source.now["mode"] = "audit"
    wrong = app.respond("/networks").body.decode()
    assert "2 wrong, 1 to look at" in wrong
    assert "it is now" in wrong
    assert "2026-03-01 12:01:00 UTC" in wrong
    assert 'class="badge bad"' in wrong
    assert "nsgd check PATH" in text_of(app, "/")


def test_networks(app: Application) -> None:
    """Networks, subnets and interfaces with both groups; a search by any of them."""
    text = text_of(app, "/networks")
    assert "web2 10.0.1.5, fd00:10:0:1::5 web web (subnet), web2 (own) veth-web2" in text
    assert "All of 6 network interfaces." in text
    found = text_of(app, "/networks?q=10.0.3.")
    assert "data1" in found
    assert "web1" not in found
    assert "None of 6 network interfaces is so." in text_of(app, "/networks?q=nothing")


def test_many_interfaces_come_page_by_page(app: Application, source: FakeSource) -> None:
    """With a way to the next ones."""
    nics = "".join(
        f"  - {{name: n{n}, subnet: lab/s, privateIPAddresses: [10.0.{n // 250}.{n % 250 + 4}]}}\n"
        for n in range(450)
    )
    network = "  - {name: lab, addressSpace: [10.0.0.0/16], subnets:"
    network += " [{name: s, addressPrefix: 10.0.0.0/16}]}"
    source.asked = policy_of(f"virtualNetworks:\n{network}\nnetworkInterfaces:\n{nics}".encode())
    first = app.respond("/networks").body.decode()
    assert first.count('href="/nics/') == 200
    assert 'href="/networks?first=200"' in first
    assert app.respond("/networks?first=400").body.decode().count('href="/nics/') == 50
    assert "first=600" not in app.respond("/networks?first=400").body.decode()


def test_no_network_says_what_to_do(app: Application, source: FakeSource) -> None:
    """An empty policy filters nothing."""
    source.asked = policy_of(b"networkSecurityGroups: [{name: lone}]")
    assert "nsgd reload" in text_of(app, "/networks")


def test_interface(app: Application, source: FakeSource) -> None:
    """Inbound the subnet's group first, outbound its own; hits beside each rule."""
    text = text_of(app, "/nics/WEB2")
    assert "1. web , of the subnet lab/web Rule" in text
    assert text.index("1. web , of the subnet") < text.index("2. web2 , of the interface")
    outbound = text.partition(" Outbound ")[2]
    assert outbound.index("1. web2 , of the interface") < outbound.index("2. web , of the subnet")
    assert "DenyAllInBound default 65500 \u2715 Deny All * * * * 130" in text
    assert source.arguments == [{"nic": "web2", "limit": 10}]


def test_what_was_decided_at_an_interface(app: Application, source: FakeSource) -> None:
    """Where the daemon counts by interface, from nothing on."""
    counts = {"inbound": {"allow": 5, "deny": 7}, "outbound": {"allow": 1, "deny": 0}}
    source.now["networkInterfaces"] = [{"name": "web2", **counts}]
    text = text_of(app, "/nics/web2")
    assert "First packets inbound 5 allowed, 7 denied" in text
    assert "First packets outbound 1 allowed, 0 denied" in text
    assert "First packets inbound 0 allowed, 0 denied" in text_of(app, "/nics/web1")
    source.now["metricsDetail"] = "rules"
    assert "First packets" not in text_of(app, "/nics/web2")


def test_what_rules_let_through(app: Application, source: FakeSource) -> None:
    """Packets and bytes to the last one, where flows are logged, and what they are."""
    for path in ("/groups/web", "/nics/web2"):
        assert "Bytes" not in text_of(app, path)
    source.now["flowLog"] = LOGGED
    for path in ("/groups/web", "/nics/web2"):
        text = text_of(app, path)
        assert "Destination ports Hits Packets Bytes AllowWebFromInternet 100" in text
        assert "WebServers 80 443 0 1 234 5 000 000 001" in text
        assert "DenyAllInBound default 65500 \u2715 Deny All * * * * 130 - -" in text
        assert "the last to allow at either end" in text
    values = json.loads(app.respond("/groups/web?format=json").body)["values"]
    assert values["bytes/web/Inbound/AllowWebFromInternet/Allow"] == "5\u202f000\u202f000\u202f001"


def test_an_interface_without_groups(app: Application, source: FakeSource) -> None:
    """Everything passes, which is said."""
    source.asked = policy_of(
        b"virtualNetworks: [{name: v, addressSpace: [10.0.0.0/16], subnets:"
        b" [{name: s, addressPrefix: 10.0.0.0/24}]}]\n"
        b"networkInterfaces: [{name: a, subnet: v/s, privateIPAddresses: [10.0.0.4]}]\n"
    )
    assert "all traffic is allowed" in text_of(app, "/nics/a")


def test_what_is_not_declared(app: Application) -> None:
    """A name that is meant, or the list of all."""
    assert "Did you mean web2?" in text_of(app, "/nics/wbe2", 404)
    assert "has no network security group nothing" in text_of(app, "/groups/nothing", 404)
    assert "There is no page /nics/" in text_of(app, "/nics/", 404)


def test_group(app: Application, source: FakeSource) -> None:
    """Rules by priority with the default ones, and where it is asked."""
    text = text_of(app, "/groups/web")
    assert "AllowWebFromInternet 100 \u2713 Allow Tcp Internet * WebServers 80 443 0" in text
    assert "AllowVnetInBound default 65000" in text
    assert "web subnet lab" in text
    source.asked = policy_of(b"networkSecurityGroups: [{name: lone}]")
    assert "Nothing has this group" in text_of(app, "/groups/lone")


def test_verify_explains(app: Application) -> None:
    """Each group that was asked, each rule that was tried, and the one that decides."""
    text = text_of(app, VERIFY)
    for words in (
        "\u2715 Deny by DenyAllInBound of web2",
        "1. web , Inbound, at lab/web: 1 rule tried",
        "AllowWebFromInternet \u2713 Allow matches: this group allows it",
        "AllowHttpsFromInternet \u2713 Allow differs in destination port",
        "DenyAllInBound \u2715 Deny matches: this group denies it",
    ):
        assert words in text


def test_verify_both_ends(app: Application) -> None:
    """All groups on the way."""
    text = text_of(app, "/verify?from=web1&to=app1&protocol=TCP&port=8080")
    assert "\u2713 Allow by AllowApiFromWebServers of app" in text
    assert "web Outbound network interface web1 \u2713 Allow AllowVnetOutBound" in text


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("direction=Inbound&protocol=TCP&local=10.0.1.5:80", "missing: Remote address:port"),
        ("direction=x&protocol=TCP&local=10.0.1.5:80&remote=1.2.3.4:5", "neither Inbound nor"),
        ("direction=Inbound&protocol=TCP&local=10.0.1.5&remote=1.2.3.4:5", "local port: missing"),
        ("direction=Inbound&protocol=TCP&local=10.9.1.5:80&remote=1.2.3.4:5", "in no declared"),
        ("direction=Inbound&protocol=Q&local=10.0.1.5&remote=1.2.3.4", "none of TCP, UDP, ICMP"),
        ("from=web9&to=app1&protocol=TCP&port=80", "there is no network interface 'web9'"),
        ("from=1:2&to=app1&protocol=TCP&port=80", "From: '1:2' is no IP address"),
    ],
)
def test_verify_refuses_as_the_command_does(app: Application, query: str, problem: str) -> None:
    """In its words, beside what was asked."""
    assert problem in text_of(app, f"/verify?{query}", 400)
    html = app.respond(f"/verify?{query}").body.decode()
    assert 'role="alert"' in html
    assert "10.0.1.5" not in query or 'value="10.0.1.5' in html


def test_denials(app: Application, source: FakeSource) -> None:
    """Grouped, one by one, and what is not among them; each with a way to its explanation."""
    source.denied = [denial(3), denial(2, source="198.51.100.9"), denial(1)]
    text = text_of(app, "/denials?nsg=web&port=22")
    seen = "203.0.113.7 10.0.1.4:3389 (web1) Tcp web / DenyAllInBound"
    assert f"{seen} 3 3 130 2026-03-01 12:00:00 explain" in text
    assert "3 denials, newest first" in text
    source.denied.append(denial(0, source="192.0.2.1", times=5000, timesLately=0))
    # A flood of yesterday is not what is denied most now.
    most = text_of(app, "/denials").partition("One by one")[0]
    assert most.index("203.0.113.7") < most.index("192.0.2.1")
    source.arguments.pop()
    assert "5 denials beyond the limits" in text
    assert "spoofed 8" in text
    assert source.arguments == [{"nsg": "web", "port": 22}]
    why = re.search(r'href="(/verify[?][^"]*)"', app.respond("/denials").body.decode())
    assert why
    assert "Deny by DenyAllInBound of web" in text_of(app, unescape(why[1]))


def test_no_denial(app: Application, source: FakeSource) -> None:
    """Says where all are counted."""
    source.denied = []
    assert "every one is counted in the hits of its rule" in text_of(app, "/denials")


def test_flows(app: Application, source: FakeSource) -> None:
    """Both sides' rules, age and counts; whether that is all."""
    text = text_of(app, "/flows?nsg=web")
    assert "1 open flow. Look again" in text
    assert (
        "203.0.113.7:40000 10.0.1.4:80 (web1) Tcp no group web / AllowWebFromInternet ESTABLISHED"
        " 1:02:05 1 / 60 B 1 200 / 1 000 000 B"
    ) in text
    source.is_whole = False
    assert "there may be more" in text_of(app, "/flows")
    source.open[0]["inbound"]["allowedBeforeBy"] = ["app", HOSTILE]
    assert "web / AllowWebFromInternet, after app , <script>" in text_of(app, "/flows")
    assert '<a href="/groups/app">app</a>' in app.respond("/flows").body.decode()


@pytest.mark.parametrize("path", ["/denials", "/flows"])
def test_a_filter_that_is_none(app: Application, source: FakeSource, path: str) -> None:
    """By us or by the daemon: the form comes back with what was given."""
    assert "'ssh' is not a port" in text_of(app, f"{path}?port=ssh", 400)
    problem = f"{path[1:]}: source: 'x' is not a prefix"

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ControlError(ControlErrorKind.USAGE, problem)

    source.denials = source.flows = refuse  # type: ignore[method-assign]
    text = text_of(app, f"{path}?source=x", 400)
    assert "source: 'x' is not a prefix" in text
    assert 'value="x"' in app.respond(f"{path}?source=x").body.decode()


@pytest.mark.parametrize("kind", list(ControlErrorKind))
@pytest.mark.parametrize("path", ["/", "/networks", "/nics/web1", "/verify"])
def test_no_daemon(app: Application, source: FakeSource, kind: ControlErrorKind, path: str) -> None:
    """Every page says what is wrong; most causes have a command to look with."""
    source.error = ControlError(kind, "no daemon listens at /run/nsgd/nsgd.sock")
    text = text_of(app, path, 503)
    assert "no daemon listens at /run/nsgd/nsgd.sock" in text
    if kind is ControlErrorKind.UNREACHABLE:
        assert "systemctl start nsgd" in text
        assert "The daemon does not run" in text
    answer = json.loads(app.respond(f"{path}?format=json").body)
    assert (answer["status"], answer["generation"]) == (503, None)


def test_what_is_refreshed(app: Application, source: FakeSource) -> None:
    """The same page as JSON: texts and parts by the keys that stand in it."""
    html = app.respond("/nics/web2").body.decode()
    answer = json.loads(app.respond("/nics/web2?format=json").body)
    keys = {a["data-live"] for _, a in read(html).tags if "data-live" in a}
    assert keys == answer["values"].keys()
    assert answer["values"]["hits/web/Inbound/DenyAllInBound/Deny"] == "130"
    parts = {a["data-part"] for _, a in read(html).tags if "data-part" in a}
    assert parts == answer["parts"].keys() == {"denials", "state"}
    assert all(part in html for part in answer["parts"].values())
    assert answer["generation"] == [source.now["startedAt"], 4]


def test_hostile_names_stay_text(app: Application, source: FakeSource) -> None:
    """Whatever the daemon, a document or the address says, no tag and no attribute comes of it."""
    source.now = status(version=HOSTILE, policyHash=HOSTILE, mode=HOSTILE, engine=HOSTILE)
    source.now["packets"]["denied"] = {HOSTILE: 1}
    source.now["ruleHits"] = [
        {
            "networkSecurityGroup": HOSTILE,
            "direction": "Inbound",
            "rule": HOSTILE,
            "access": "Deny",
            "hits": 1,
        }
    ]
    names: dict[str, Any] = dict.fromkeys(
        ("networkSecurityGroup", "rule", "to", "networkInterface"), HOSTILE
    )
    source.denied = [denial(time=HOSTILE, source=HOSTILE, protocol=HOSTILE, **names)]
    side = {"networkSecurityGroup": HOSTILE, "rule": HOSTILE, "access": "Allow", "reason": "rule"}
    source.open = [flow(state=HOSTILE, to=HOSTILE, inbound=side)]
    word = quote(HOSTILE, safe="")
    targets = [
        *PATHS,
        *(f"/nics/{word}", f"/groups/{word}", f"/{word}", f"/networks?q={word}"),
        f"/verify?direction={word}&protocol={word}&local={word}&remote={word}&nic={word}",
        f"/verify?from={word}&to={word}&protocol=TCP&port={word}",
        f"/denials?source={word}&port={word}",
        f"/flows?nsg={word}&rule={word}",
    ]
    for target in targets:
        html = app.respond(target).body.decode()
        tags = read(html).tags
        assert [a for tag, a in tags if tag == "script"] == [
            {"src": "/static/live.js", "defer": None}
        ], target
        assert "img" not in {tag for tag, _ in tags}, target
        assert not [n for _, a in tags for n in a if n.startswith("on")], target
        joint = "&" if "?" in target else "?"
        for part in json.loads(app.respond(f"{target}{joint}format=json").body)["parts"].values():
            assert not {"script", "img"} & {tag for tag, _ in read(part).tags}, target


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/",
        "/static/style.css/",
        "//etc/passwd",
        "/../../etc/passwd",
        "/nics/../../../etc/passwd",
        "/favicon.ico",
    ],
)
def test_no_path_reaches_the_file_system(app: Application, path: str) -> None:
    """There are three files, read at the start, by their exact names."""
    response = app.respond(path)
    assert response.status == 404
    assert b"root:" not in response.body
    assert b"import" not in response.body


def test_static_files(app: Application) -> None:
    """With their types."""
    assert app.respond("/static/style.css").content_type == "text/css; charset=utf-8"
    assert app.respond("/static/live.js").content_type == "text/javascript; charset=utf-8"
    assert app.respond("/static/icon.svg").content_type == "image/svg+xml"


def test_too_many_fields(app: Application) -> None:
    """A query has some."""
    assert app.respond("/?" + "&".join(f"a{n}=1" for n in range(100))).status == 400
