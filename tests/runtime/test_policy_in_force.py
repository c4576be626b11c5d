"""The verb ``policy``: exactly the documents that were accepted last, with the tags they name."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import nsgd
from nsgd.cli import main
from nsgd.config.load import load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.model.address import Address
from nsgd.runtime.control_client import request
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.notify import Notifier
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.policy_in_force import PolicyAnswerError, PolicyTeller, read_told_policy
from nsgd.runtime.policy_table import at_once
from nsgd.runtime.supervisor import Supervisor
from nsgd.runtime.tag_store import TagStore
from nsgd.runtime.workers import Workers
from nsgd.wire.conntrack import ConntrackEntry

from .test_control import driven, server_at

QUESTION = ("--direction", "Inbound", "--protocol", "TCP", "--local", "10.0.1.4:80")


def document(access: str, source: str = "Internet") -> dict[str, Any]:
    """One interface with one rule."""
    rule = {
        "name": f"{access}Http",
        "priority": 100,
        "direction": "Inbound",
        "access": access,
        "protocol": "Tcp",
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "80",
    }
    return {
        "virtualNetworks": [
            {
                "name": "lab",
                "addressSpace": ["10.0.0.0/16"],
                "subnets": [{"name": "web", "addressPrefix": "10.0.1.0/24"}],
            }
        ],
        "networkInterfaces": [
            {
                "name": "web1",
                "subnet": "lab/web",
                "privateIPAddresses": ["10.0.1.4"],
                "networkSecurityGroup": "web",
            }
        ],
        "networkSecurityGroups": [{"name": "web", "securityRules": [rule]}],
    }


def tag_file(number: int, *prefixes: str) -> bytes:
    """A small file in Microsoft's form."""
    names = {"Storage": prefixes, "Sql": ("52.0.0.0/24",)}
    values = [
        {"name": name, "id": name, "properties": {"addressPrefixes": list(of_tag)}}
        for name, of_tag in names.items()
    ]
    return json.dumps({"changeNumber": number, "cloud": "Public", "values": values}).encode()


class Table:
    """In the place of the kernel's table."""

    is_known = True
    refusal: RefusedByKernel | None = None

    def install(
        self,
        loaded: LoadedPolicy,
        *,
        adopting: bool = False,
        is_served: bool = True,
        before_switch: Callable[[], None] = at_once,
    ) -> None:
        before_switch()
        if self.refusal is not None:
            raise self.refusal

    def tidy(self) -> None:
        return

    def forget(self) -> None:
        return

    def remove(self) -> bool:
        return True


class NoFlows:
    """In the place of the kernel's connection table."""

    def entries(self) -> list[ConntrackEntry]:
        return []

    def pages(self) -> Iterator[list[tuple[ConntrackEntry, bytes]]]:
        yield []

    def set_marks(self, *arguments: Any) -> int:
        return 0

    def own_addresses(self) -> frozenset[Address]:
        return frozenset()


class Daemon:
    """A supervisor without a kernel and a worker, on documents in a directory."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "policy.json"
        self.tags = directory / "tags"
        self.tags.mkdir()
        self.table = Table()
        self.write(document("Allow"))
        self.supervisor = Supervisor(
            [self.config],
            directory / "state",
            self.table,
            NoFlows(),
            Notifier(None),
            TagStore(self.tags),
        )
        self.teller = PolicyTeller(self.supervisor)

    def write(self, written: dict[str, Any]) -> None:
        """Change the document, which nobody reads yet."""
        self.config.write_text(json.dumps(written))


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """One that serves its first policy."""
    for method in ("start", "hand_over", "keep_spare", "stop"):
        monkeypatch.setattr(Workers, method, lambda *arguments: None)
    made = Daemon(tmp_path)
    made.supervisor.prepare()
    made.supervisor.start()
    yield made
    made.supervisor.close()


def ask_running(directory: Path, capsys: pytest.CaptureFixture[str], remote: str) -> Any:
    """What ip-flow-verify --running answers."""
    words = ["ip-flow-verify", "--running", "--runtime-dir", str(directory), *QUESTION]
    assert main([*words, "--remote", remote, "-o", "json"]) == 0
    out, error = capsys.readouterr()
    assert error == ""
    return json.loads(out)["ruleName"]


def test_the_documents_as_they_were_read(daemon: Daemon) -> None:
    """Whatever the files hold by now; names and bytes are those of the load."""
    read = daemon.config.read_bytes()
    daemon.config.write_text("{")
    told = read_told_policy(daemon.teller.answer())
    assert [(d.name, d.content) for d in told.documents] == [(str(daemon.config), read)]
    assert (told.version, told.generation, told.tags) == (nsgd.__version__, 1, None)
    loaded = daemon.supervisor.loaded
    assert loaded is not None
    assert load_documents(told.documents, tags=told).model == loaded.model


def test_what_new_documents_would_change(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """diff --against-running compares with what is in force, not with what the files hold."""
    path = tmp_path / "nsgd.sock"
    handlers = {"policy": lambda arguments: daemon.teller.answer()}
    daemon.write(document("Deny"))
    words = ["diff", "--against-running", "--runtime-dir", str(tmp_path), str(daemon.config)]
    with server_at(path, handlers) as server, driven(server):
        assert main(words) == 1
        shown = capsys.readouterr().out
        assert "Allow by securityRules/AllowHttp of web -> Deny by securityRules/DenyHttp" in shown
        daemon.write(document("Allow"))
        assert main(words) == 0
        assert capsys.readouterr().out == ""
    assert main(words) == 4


def test_only_accepted_documents(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused reload leaves the answers as they were, whoever refused it."""
    path = tmp_path / "nsgd.sock"
    handlers = {"policy": lambda arguments: daemon.teller.answer()}
    with server_at(path, handlers) as server, driven(server):
        assert ask_running(tmp_path, capsys, "8.8.8.8:*") == "securityRules/AllowHttp"
        first = request(path, "policy")

        daemon.config.write_text("{")
        with pytest.raises(ConfigRefused):
            daemon.supervisor.reload()
        assert request(path, "policy") == first

        daemon.write(document("Deny"))
        daemon.table.refusal = RefusedByKernel("no")
        with pytest.raises(RefusedByKernel):
            daemon.supervisor.reload()
        assert request(path, "policy") == first
        assert ask_running(tmp_path, capsys, "8.8.8.8:*") == "securityRules/AllowHttp"

        daemon.table.refusal = None
        daemon.supervisor.reload()
        assert ask_running(tmp_path, capsys, "8.8.8.8:*") == "securityRules/DenyHttp"
        assert request(path, "policy")["generation"] == 2


def test_tags_in_use(daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that rules name go along, as they were when the policy came into force."""
    file = daemon.tags / "Public.json"
    file.write_bytes(tag_file(7, "20.60.0.0/16", "2603:1030::/48"))
    daemon.write(document("Allow", "storage"))
    daemon.supervisor.reload()
    file.write_bytes(tag_file(8, "20.70.0.0/16"))
    told = read_told_policy(daemon.teller.answer())
    assert told.tags is not None
    assert (told.tags.cloud, told.tags.change_number) == ("Public", 7)
    assert told.tags.names() == ("Storage",)
    assert [str(prefix) for prefix in told.tags.prefixes("Storage")] == [
        "20.60.0.0/16",
        "2603:1030::/48",
    ]
    path = tmp_path / "nsgd.sock"
    handlers = {"policy": lambda arguments: daemon.teller.answer()}
    with server_at(path, handlers) as server, driven(server):
        assert ask_running(tmp_path, capsys, "20.60.1.1:*") == "securityRules/AllowHttp"
        assert ask_running(tmp_path, capsys, "20.70.1.1:*") == "defaultSecurityRules/DenyAllInBound"


def test_what_is_compressed_is_kept(daemon: Daemon) -> None:
    """Asking often costs the daemon nothing."""
    first, second = daemon.teller.answer(), daemon.teller.answer()
    assert first["documents"] is second["documents"]
    daemon.supervisor.reload()
    assert daemon.teller.answer()["documents"] is not first["documents"]


def test_another_version_is_told(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may judge otherwise, so the answer comes with a warning."""
    handlers = {"policy": lambda arguments: daemon.teller.answer() | {"version": "9.9"}}
    with server_at(tmp_path / "nsgd.sock", handlers) as server, driven(server):
        words = ["effective-rules", "--running", "--runtime-dir", str(tmp_path), "--nic", "web1"]
        assert main([*words, "-o", "json"]) == 0
    error = capsys.readouterr().err
    assert error.startswith("warning: the daemon is nsgd 9.9, and this is ")


def packed(content: bytes) -> str:
    """As a daemon packs a document."""
    return base64.b64encode(zlib.compress(content)).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"documents": None},
        {"documents": [{"name": "a"}]},
        {"documents": [{"name": "a", "content": "!"}]},
        {"documents": [{"name": "a", "content": packed(b"x" * 1000)[:8]}]},
        {"documents": [{"name": "a", "content": packed(bytes((64 << 20) + 1))}]},
        {"serviceTags": packed(b"{}")},
        {"generation": "one"},
        {"version": ...},
    ],
)
def test_an_answer_that_is_none(change: dict[str, Any], daemon: Daemon) -> None:
    """It is refused with the way out, a bomb included."""
    answer = daemon.teller.answer() | change
    if answer["version"] is ...:
        del answer["version"]
    with pytest.raises(PolicyAnswerError, match="use the nsgd of the daemon's version"):
        read_told_policy(answer)
