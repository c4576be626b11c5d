"""What is sent in the lab, and what must be told of it, worked out from Azure's order of rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.kernel.documents import document, nic, rule, subnet

Rule = tuple[str, str, str]  # network security group, direction, rule
OUT, IN = "Outbound", "Inbound"

# By the numbers of subnet and host.
NICS = {"web1": (1, 4), "app1": (2, 4), "open1": (3, 4)}
GROUPS = ("front", "web", "back")
_HEADER_BYTES = {4: 20, 6: 40}
_OVERHEAD_BYTES = 8  # of UDP and of an ICMP echo


def policy(engine: str, log: str) -> dict[str, Any]:
    """A subnet and a network interface in it with a group each, one with a group, one without."""
    made = document(
        [subnet("front", 1, "front"), subnet("back", 2, "back"), subnet("open", 3)],
        [
            nic("web1", "front", 4, 1, networkSecurityGroup="web"),
            nic("app1", "back", 4, 2),
            nic("open1", "open", 4, 3),
        ],
        {
            "front": [
                rule("AllowHttp", 100, IN, "Allow", "Tcp", "80", "Internet"),
                rule("AllowDns", 110, IN, "Allow", "Udp", "53"),
                rule("AllowPing", 120, IN, "Allow", "Icmp"),
                rule("AllowMdns", 130, IN, "Allow", "Udp", "5353"),
                rule("DenyTelnet", 200, IN, "Deny", "Tcp", "23"),
                rule("AllowSql", 100, OUT, "Allow", "Tcp", "1433", "*", "VirtualNetwork"),
                rule("DenySmtp", 110, OUT, "Deny", "Udp", "25"),
            ],
            "web": [
                rule("WebHttp", 100, IN, "Allow", "Tcp", "80"),
                rule("WebDns", 110, IN, "Allow", "Udp", "53"),
                rule("WebPing", 120, IN, "Allow", "Icmp"),
                rule("DenyMdns", 130, IN, "Deny", "Udp", "5353"),
                rule("WebSql", 100, OUT, "Allow", "Tcp", "1433"),
                rule("DenyTftp", 110, OUT, "Deny", "Udp", "69"),
            ],
            "back": [
                rule("BackSql", 100, IN, "Allow", "Tcp", "1433", "10.0.1.0/24"),
                rule("BackSyslog", 110, IN, "Allow", "Udp", "514"),
                rule("DenySnmp", 120, IN, "Deny", "Udp", "161"),
            ],
        },
    )
    flow_log = {"path": log, "intervalSeconds": 1, "flushSeconds": 1}
    return made | {"daemon": {"engine": engine, "flowLog": flow_log}}


@dataclass(frozen=True, slots=True)
class Kind:
    """Flows that are alike."""

    protocol: str  # tcp, udp or icmp
    source: str
    destination: str
    port: int
    asked: tuple[Rule, ...]  # the rules that decide, in the order in which their groups are asked
    rounds: tuple[tuple[int, int], ...] = ((20, 0),)  # bytes that are sent, and answered
    version: int = 4
    flows: int = 1
    is_denied: bool = False

    @property
    def named(self) -> tuple[Rule, ...]:
        """The rules that records name: the last to allow at each end, or the one that denied."""
        if self.is_denied:
            return self.asked[-1:]
        last = {direction: (group, direction, name) for group, direction, name in self.asked}
        return tuple(last.values())

    def traffic(self) -> tuple[int, int, int, int]:
        """Packets and bytes sent and answered, of one flow of UDP or ICMP."""
        each = _HEADER_BYTES[self.version] + _OVERHEAD_BYTES
        sent = [size + each for size, _ in self.rounds]
        answers = [size + each for _, size in self.rounds if size]
        return len(sent), sum(sent), len(answers), sum(answers)


def _of(group: str, direction: str, *rules: str) -> tuple[Rule, ...]:
    return tuple((group, direction, name) for name in rules)


def _web_in(front: str, web: str) -> tuple[Rule, ...]:
    return *_of("front", IN, front), *_of("web", IN, web)


def _web_out(web: str, front: str) -> tuple[Rule, ...]:
    return *_of("web", OUT, web), *_of("front", OUT, front)


_VNET = _web_out("AllowVnetOutBound", "AllowVnetOutBound")
_INTERNET = _web_out("AllowInternetOutBound", "AllowInternetOutBound")
_HTTP = _web_in("AllowHttp", "WebHttp")
_DNS = _web_in("AllowDns", "WebDns")
_PING = _web_in("AllowPing", "WebPing")
_SYSLOG = _of("back", IN, "BackSyslog")

# Both ways, and of sizes that show which of them was added to what.
ALLOWED = (
    Kind("tcp", "internet", "web1", 80, _HTTP, ((3000, 70_001), (5, 0)), flows=2),
    Kind("tcp", "internet", "web1", 80, _HTTP, ((501, 20_003),), version=6),
    Kind("udp", "internet", "web1", 53, _DNS, ((101, 211), (307, 0)), flows=3),
    Kind("icmp", "internet", "web1", 0, _PING, ((57, 57),) * 3),
    Kind("icmp", "internet", "web1", 0, _PING, ((61, 61),) * 2, version=6),
    Kind(
        "tcp",
        "web1",
        "app1",
        1433,
        (*_web_out("WebSql", "AllowSql"), *_of("back", IN, "BackSql")),
        ((40_009, 307),),
        flows=2,
    ),
    Kind("udp", "web1", "app1", 514, (*_VNET, *_SYSLOG), ((701, 0), (13, 0)), flows=2),
    Kind("udp", "web1", "app1", 514, (*_VNET, *_SYSLOG), ((811, 17),), version=6),
    # One end without a group, and one that is nobody's.
    Kind("udp", "open1", "app1", 514, _SYSLOG, ((401, 23), (29, 31))),
    Kind("udp", "web1", "internet", 123, _INTERNET, ((48, 49),), flows=2),
    Kind("udp", "open1", "internet", 123, (), ((50, 51),)),
)
# Cut while they are open; nothing else is sent over IPv6 to this port.
CUT = Kind("udp", "internet", "web1", 53, _DNS, ((1009, 1201), (307, 43)), version=6)
DENIED = tuple(
    Kind(protocol, source, to, port, asked, version=version, flows=flows, is_denied=True)
    for protocol, source, to, port, asked, version, flows in (
        ("tcp", "internet", "web1", 23, _of("front", IN, "DenyTelnet"), 4, 3),
        ("tcp", "internet", "web1", 23, _of("front", IN, "DenyTelnet"), 6, 1),
        ("udp", "internet", "web1", 5353, _web_in("AllowMdns", "DenyMdns"), 4, 2),
        ("udp", "web1", "internet", 69, _of("web", OUT, "DenyTftp"), 4, 2),
        ("udp", "web1", "internet", 25, _web_out("AllowInternetOutBound", "DenySmtp"), 4, 1),
        ("udp", "web1", "app1", 161, (*_VNET, *_of("back", IN, "DenySnmp")), 4, 4),
        ("udp", "internet", "app1", 9, _of("back", IN, "DenyAllInBound"), 4, 2),
        ("icmp", "internet", "app1", 0, _of("back", IN, "DenyAllInBound"), 6, 1),
    )
)
KINDS = (*ALLOWED, CUT, *DENIED)


def hits(kinds: Iterable[Kind] = KINDS) -> Counter[Rule]:
    """First packets that each rule decides."""
    return _sum((rule, kind.flows) for kind in kinds for rule in kind.asked)


def denials(kinds: Iterable[Kind] = KINDS) -> Counter[Rule]:
    """First packets that each rule denies."""
    return _sum((kind.asked[-1], kind.flows) for kind in kinds if kind.is_denied)


def outcomes(kinds: Iterable[Kind] = KINDS) -> Counter[tuple[str, str, str]]:
    """Flows by the direction of the rule that had the last word, access, and reason."""
    return _sum(
        (
            (
                kind.asked[-1][1] if kind.asked else IN,
                "Deny" if kind.is_denied else "Allow",
                "rule" if kind.asked else "noNetworkSecurityGroup",
            ),
            kind.flows,
        )
        for kind in kinds
    )


def first_packets(kinds: Iterable[Kind] = KINDS) -> Counter[tuple[str, str, str]]:
    """By interface, direction and access: a sender's whatever the receiver's rules then say."""
    found: list[tuple[tuple[str, str, str], int]] = []
    for kind in kinds:
        denied_by = kind.asked[-1][1] if kind.is_denied else None
        if kind.source in NICS:
            access = "Deny" if denied_by == OUT else "Allow"
            found.append(((kind.source, OUT, access), kind.flows))
        if kind.destination in NICS and denied_by != OUT:
            access = "Deny" if denied_by == IN else "Allow"
            found.append(((kind.destination, IN, access), kind.flows))
    return _sum(found)


def _sum(pairs: Iterable[tuple[Any, int]]) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for key, count in pairs:
        found[key] += count
    return found
