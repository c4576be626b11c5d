"""Questions to the running daemon are answered by the policy that its packets are judged by."""

from __future__ import annotations

import json
import signal
from typing import Any

from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network

SERVER = nic_addresses(1, 4)[0]


def web(access: str) -> dict[str, Any]:
    """One server whose group allows or denies HTTP from the internet."""
    http = rule(f"{access}Http", 100, "Inbound", access, "Tcp", "80", source="Internet")
    return document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": [http]})


def verify(net: Network) -> str:
    """The rule that ip-flow-verify names."""
    answer = net.nsgd(
        "ip-flow-verify",
        "--running",
        "--direction=Inbound",
        "--protocol=TCP",
        f"--local={SERVER}:80",
        f"--remote={INTERNET_V4}:*",
        "--output=json",
    )
    assert answer.returncode == 0, answer.stderr
    name: str = json.loads(answer.stdout)["ruleName"]
    return name


def listed(net: Network) -> list[str]:
    """The names of the interface's effective rules."""
    answer = net.nsgd("effective-rules", "--running", "--nic=server", "--output=json")
    assert answer.returncode == 0, answer.stderr
    (element,) = json.loads(answer.stdout)["value"]
    return [each["name"] for each in element["effectiveSecurityRules"]]


def test_a_refused_reload_leaves_the_answers_as_they_were(net: Network) -> None:
    """Answers and packets change together, at a reload that is accepted."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.start(web("Allow"))
    assert verify(net) == "securityRules/AllowHttp"
    before = listed(net)
    assert before[0] == "securityRules/AllowHttp"
    assert net.tcp("internet", "server", 80)

    bad = web("Deny")
    bad["networkSecurityGroups"][0]["securityRules"][0]["priority"] = 99
    net.write(bad)
    assert net.daemon is not None
    net.daemon.send_signal(signal.SIGHUP)
    net.wait(lambda: net.status()["reloads"]["refused"] == 1, "not refused")
    assert verify(net) == "securityRules/AllowHttp"
    assert listed(net) == before
    assert net.tcp("internet", "server", 80)

    net.reload(web("Deny"))
    assert verify(net) == "securityRules/DenyHttp"
    assert not net.tcp("internet", "server", 80)
    # The daemon is what was asked, and nothing else: without it there is no answer.
    net.stop()
    answer = net.nsgd("effective-rules", "--running", "--nic=server")
    assert (answer.returncode, answer.stdout) == (4, "")
