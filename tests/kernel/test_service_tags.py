"""The running daemon and its service tags file: traffic follows it, a bad one changes nothing."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest

from nsgd.runtime.tag_install import install
from nsgd.runtime.tags_in_use import load_tags_in_use
from tests.kernel.documents import INTERNET_V4, document, nic, nic_addresses, rule, subnet
from tests.kernel.network import Network
from tests.tag_files import tag_file

# As often as the daemon looks, and some time for the reload.
NOTICED_S = 20


def policy(tag: str) -> dict[str, Any]:
    """A server that the tag's addresses may ask at port 80."""
    allow = rule("AllowTag", 100, "Inbound", "Allow", "Tcp", "80", source=tag)
    return document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": [allow]})


def install_prefix(net: Network, number: int, prefix: str) -> None:
    """A tag file whose tag Partner holds one prefix."""
    tags = {"Partner": [prefix], "Other": ["192.0.2.0/24"]}
    install(net.directory / "state", tag_file(tags, number))


@pytest.mark.kernel
def test_a_new_file_is_followed(net: Network) -> None:
    """Without anybody asking; refused ones leave the traffic as it is."""
    net.host("server", *nic_addresses(1, 4))
    net.host("internet", INTERNET_V4)
    (net.directory / "state").mkdir(exist_ok=True)
    install_prefix(net, 1, f"{INTERNET_V4}/32")
    net.start(policy("partner"))
    assert net.tcp("internet", "server", 80)
    assert load_tags_in_use(net.directory / "state", "Public") == ("Partner",)
    tags = net.status()["serviceTags"]
    assert (tags["cloud"], tags["changeNumber"]) == ("Public", 1)
    assert tags["tags"] == [{"name": "Partner", "prefixes": 1}]

    def reloads() -> tuple[int, int]:
        counts = net.status()["reloads"]
        return counts["succeeded"], counts["refused"]

    def have(expected: tuple[int, int]) -> bool:
        return reloads() == expected

    install_prefix(net, 2, "198.51.100.0/24")
    net.wait(partial(have, (1, 0)), "the new file is not noticed", NOTICED_S)
    assert not net.tcp("internet", "server", 80)
    assert net.status()["serviceTags"]["changeNumber"] == 2
    assert "the service tags file of Public has changed: reloading" in net.log.read_text()

    # Put there by hand, past every check: without the tag in use.
    path = net.directory / "state" / "service-tags" / "Public.json"
    other = path.with_name(".new")
    other.write_bytes(tag_file({"Other": ["192.0.2.0/24"]}, 3))
    os.replace(other, path)
    net.wait(partial(have, (1, 1)), "the bad file is not noticed", NOTICED_S)
    assert net.status()["serviceTags"]["changeNumber"] == 2
    assert net.status()["reloads"]["lastSucceeded"] is False
    assert not net.tcp("internet", "server", 80)
    assert "keeping policy 2" in net.log.read_text()
