"""Microsoft's service tags by the command that installs them, and the traffic that follows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
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
from tests.kernel.test_lifecycle import Session
from tests.tag_files import tag_file

# Twice as often as the daemon looks for another file.
NOTICED_S = 20
OTHER_V4, OTHER_V6 = "198.51.100.20", "2600:1f00::20"
# Two prefixes of each family: one more, or one of the four less, is no implausible change.
FRONTEND = ("192.0.2.0/28", f"{INTERNET_V4}/32", "2001:db8:2::/64", f"{INTERNET_V6}/128")
TAG = "AzureFrontDoor.Frontend"
TAGS: Mapping[str, Sequence[str]] = {
    TAG: FRONTEND,
    "AzureFrontDoor": ("192.0.2.64/28",),
    "Storage": ("192.0.2.128/28",),
    # The rest of the file: without one of the tags above it is no implausibly short one.
    "Sql": tuple(f"192.0.3.{octet}/32" for octet in range(20)),
}


def policy() -> dict[str, Any]:
    """The tag may ask the server, which may ask nobody but the tag in turn."""
    rules = [
        rule("AllowTag", 100, "Inbound", "Allow", "Tcp", "80", source="azurefrontdoor.FRONTEND"),
        rule("AllowToTag", 100, "Outbound", "Allow", destination=TAG),
        rule("DenyOut", 200, "Outbound", "Deny"),
    ]
    return document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": rules})


def write(net: Network, number: int, tags: Mapping[str, Sequence[str]]) -> Path:
    """A file as it was downloaded."""
    path = net.directory / f"ServiceTags_Public_{number}.json"
    path.write_bytes(tag_file(tags, number))
    return path


def start(net: Network) -> Network:
    """A server, two hosts of the internet, the first file, and the daemon."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4, INTERNET_V6)
    net.host("other", OTHER_V4, OTHER_V6)
    (net.directory / "state").mkdir(exist_ok=True)
    answer = net.tags_update(write(net, 1, TAGS))
    assert answer.returncode == 0, answer.stderr
    net.start(policy())
    return net


def installed(net: Network) -> bytes:
    """The file that the daemon reads."""
    return (net.directory / "state" / "service-tags" / "Public.json").read_bytes()


def test_a_rule_by_a_dotted_tag(net: Network) -> None:
    """In both directions and families, whatever its case, and never the name before the dot."""
    start(net)
    net.host("sibling", "192.0.2.65")
    for version in (4, 6):
        inward = net.decided_by(partial(net.tcp, "internet", "server", 80, version))
        assert inward == (True, [("web", "AllowTag")])
        outward = net.decided_by(partial(net.udp, "server", "internet", 53, version))
        assert outward == (True, [("web", "AllowToTag")])
        inward = net.decided_by(partial(net.tcp, "other", "server", 80, version))
        assert inward == (False, [("web", "DenyAllInBound")])
        outward = net.decided_by(partial(net.udp, "server", "other", 53, version))
        assert outward == (False, [("web", "DenyOut")])
    inward = net.decided_by(lambda: net.tcp("sibling", "server", 80))
    assert inward == (False, [("web", "DenyAllInBound")])


def test_an_update_while_flows_are_open(net: Network) -> None:
    """One prefix for another: taken up unasked; the open flow goes on, a new one is denied."""
    start(net)
    session = Session(net, "internet", "server", 80)
    prefixes = [p for p in FRONTEND if p != f"{INTERNET_V4}/32"] + [f"{OTHER_V4}/32"]
    answer = net.tags_update(write(net, 2, {**TAGS, TAG: prefixes}))
    assert answer.returncode == 0, answer.stderr
    assert session.works()
    net.wait(lambda: net.status()["generation"] == 2, "the update is not noticed", NOTICED_S)
    assert net.status()["serviceTags"]["changeNumber"] == 2
    assert session.works()
    assert net.tcp("other", "server", 80)
    assert not net.tcp("internet", "server", 80)
    assert net.tcp("internet", "server", 80, 6)
    assert not net.tcp("other", "server", 80, 6)
    session.close()


def test_a_reload_need_not_wait_for_the_daemon_to_look(net: Network) -> None:
    """The command has the new prefix in force when it returns."""
    start(net)
    assert not net.tcp("other", "server", 80)
    answer = net.tags_update(write(net, 2, {**TAGS, TAG: [*FRONTEND, f"{OTHER_V4}/32"]}))
    assert answer.returncode == 0, answer.stderr
    assert net.nsgd("reload").returncode == 0
    assert net.tcp("other", "server", 80)
    assert net.tcp("internet", "server", 80)
    assert net.status()["serviceTags"]["tags"] == [{"name": TAG, "prefixes": 5}]


def test_an_update_without_a_tag_in_use_changes_nothing(net: Network) -> None:
    """Refused by name, also by force; file, policy, traffic and open flows stay."""
    start(net)
    session = Session(net, "internet", "server", 80)
    before, generation = installed(net), net.status()["generation"]
    file = write(net, 2, {name: prefixes for name, prefixes in TAGS.items() if name != TAG})
    for options in ((), ("--force",)):
        answer = net.tags_update(file, *options)
        assert answer.returncode == 3
        problem, outcome = answer.stderr.splitlines()
        assert TAG in problem
        assert "in force" in problem
        assert "the installed file stays" in outcome
    assert installed(net) == before
    assert net.nsgd("reload").returncode == 0
    status = net.status()
    assert status["generation"] == generation + 1
    assert status["serviceTags"]["changeNumber"] == 1
    assert session.works()
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("other", "server", 80)
    # Once no rule names it, the same file is a good one.
    plain = policy()
    plain["networkSecurityGroups"][0]["securityRules"] = []
    net.reload(plain)
    answer = net.tags_update(file)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(installed(net))["changeNumber"] == 2
    session.close()
