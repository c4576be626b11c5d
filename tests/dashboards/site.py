"""A gateway with groups, interfaces, service tags and a flow log, and flows of every fate."""

from __future__ import annotations

import contextlib
import random
import re
import socket
from typing import Any

from scapy.layers.inet import IP, UDP

from nsgd.runtime.tag_install import install
from tests.kernel.documents import INTERNET_V4, document, nic, nic_addresses, rule, subnet
from tests.kernel.network import Network
from tests.tag_files import tag_file

# By the numbers of subnet and host.
HOSTS = {"web1": (1, 4), "web2": (1, 5), "app1": (2, 4)}
# Ports of services: TCP ones listen, UDP ones answer.
HTTP, DNS, SQL, FAILSAFE = 80, 53, 1433, 2222


def policy(net: Network, engine: str) -> dict[str, Any]:
    """A web tier and an application tier; the flow log writes each second."""
    made = document(
        [subnet("web", 1, "web"), subnet("app", 2)],
        [
            nic("web1", "web", *reversed(HOSTS["web1"])),
            nic("web2", "web", *reversed(HOSTS["web2"])),
            nic("app1", "app", *reversed(HOSTS["app1"]), networkSecurityGroup="app"),
        ],
        {
            "web": [
                rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", str(HTTP), "Internet"),
                rule("AllowDns", 110, "Inbound", "Allow", "Udp", str(DNS)),
                rule("DenyPartners", 120, "Inbound", "Deny", "Udp", "161", "Storage"),
                rule("DenySmtp", 130, "Outbound", "Deny", "Udp", "25"),
            ],
            "app": [
                rule("AllowSql", 100, "Inbound", "Allow", "Udp", str(SQL), "10.0.1.0/24"),
                rule("DenyRest", 4000, "Inbound", "Deny"),
            ],
        },
    )
    log = {
        "path": str(net.directory / "flows.jsonl"),
        "format": "jsonLines",
        "intervalSeconds": 1,
        "flushSeconds": 1,
    }
    failsafe = {
        "protocol": "Tcp",
        "destinationPortRange": str(FAILSAFE),
        "sourceAddressPrefix": "*",
    }
    return made | {"daemon": {"engine": engine, "flowLog": log, "failsafe": [failsafe]}}


class Site:
    """The network with its daemon."""

    def __init__(self, net: Network, engine: str, port: int = 0) -> None:
        """Start it; its metrics are at *port*, or any free one."""
        self.net = net
        self._engine = engine
        self._draw = random.Random(7)
        for name, place in HOSTS.items():
            net.host(name, *nic_addresses(*place))
        net.host("internet", INTERNET_V4)
        net.host("other", "192.0.2.9")  # an address that nobody declares
        (net.directory / "state").mkdir(exist_ok=True)
        install(net.directory / "state", tag_file())
        self._port = port
        net.start(self._listening(policy(net, engine)))
        self.port = int(re.findall(r"metrics at http://[^:]+:(\d+)/", net.log.read_text())[-1])

    def udp(self, source: str, to: str, port: int, size: int = 40) -> None:
        """One datagram of a flow of its own, which nobody answers."""
        made = self.net[source].open_socket(socket.SOCK_DGRAM)
        with made:
            made.bind((self.net[source].address(), 0))
            made.sendto(bytes(size), (to, port))

    def some_traffic(self, busy: int = 1) -> None:
        """Flows that are allowed, denied by either tier, denied outside of rules, and not ours."""
        web1, web2, app1 = (self.net[name].address() for name in HOSTS)
        for _ in range(busy * self._draw.randint(4, 6)):
            self.udp("internet", self._draw.choice((web1, web1, web2)), DNS, 200)
        for _ in range(busy * self._draw.randint(2, 4)):
            self.udp(self._draw.choice(("web1", "web2")), app1, SQL, 300)
        for _ in range(busy * self._draw.randint(1, 3)):
            self.udp("internet", self._draw.choice((web1, web2)), self._draw.randint(6000, 6999))
        self.udp("internet", web1, 161)
        self.udp("web2", INTERNET_V4, 25)
        self.udp("web2", app1, 9)
        self.udp("internet", self.net["other"].address(), 7)
        self.net["internet"].send_raw(bytes(IP(src="10.0.2.200", dst=web1) / UDP(sport=1, dport=2)))

    def connections(self) -> None:
        """A whole connection, and one to what is never blocked."""
        assert self.net.tcp("internet", "web1", HTTP)
        assert self.net.tcp("internet", "web2", FAILSAFE)

    def _listening(self, made: dict[str, Any]) -> dict[str, Any]:
        made["daemon"]["metricsListen"] = f"127.0.0.1:{self._port}"
        return made

    def changed(self) -> dict[str, Any]:
        """The policy with one rule more."""
        made = self._listening(policy(self.net, self._engine))
        group = made["networkSecurityGroups"][0]
        group["securityRules"].append(rule("DenyRdp", 200, "Inbound", "Deny", "Udp", "3389"))
        return made

    def refused_reload(self) -> None:
        """A document with a mistake, which changes nothing."""
        before = self.net.config.read_text()
        self.net.config.write_text(before.replace('"Tcp"', '"Tpc"'))
        with contextlib.suppress(Exception):
            self.net.nsgd("reload")
        self.net.config.write_text(before)
