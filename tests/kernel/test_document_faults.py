"""Documents that a running daemon cannot take: the policy in force stays, and flows are decided."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nsgd
from tests.kernel.documents import document, nic, rule, subnet
from tests.kernel.network import Network
from tests.kernel.test_lifecycle import ALLOW_80, web, with_hosts
from tests.systemd.test_privileges import SETPRIV, opened

OTHER = rule("AllowOther", 110, "Inbound", "Allow", "Tcp", "81")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half_written(path: Path) -> None:
    whole = json.dumps(web(ALLOW_80, OTHER), indent=1).encode()
    path.write_bytes(whole[: len(whole) // 2])


def half_written_yaml(path: Path) -> None:
    path.write_text("networkSecurityGroups:\n- name: web\n  securityRules:\n  - {name: A, pri")


def not_utf8(path: Path) -> None:
    whole = json.dumps(web(ALLOW_80, OTHER)).encode()
    path.write_bytes(whole.replace(b"AllowOther", b"Allow\xff\xfe"))


def zeros(path: Path) -> None:
    """What a crash leaves of a file whose blocks were not written."""
    path.write_bytes(bytes(4096))


def html(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>502 Bad Gateway</body></html>")


def gone(path: Path) -> None:
    path.unlink(missing_ok=True)


def to_nowhere(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.parent / "nowhere")


def to_a_pipe(path: Path) -> None:
    """Swapped for a link that would keep its reader waiting for ever."""
    path.unlink(missing_ok=True)
    pipe = path.parent / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    path.symlink_to(pipe)


def to_itself(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def to_a_device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


BAD: list[tuple[Callable[[Path], None], str]] = [
    (empty, "the document is empty"),
    (half_written, "not"),
    (half_written_yaml, "not"),
    (not_utf8, "UTF-8"),
    (zeros, "not"),
    (html, "not"),
    (gone, "no such file or directory"),
    (to_nowhere, "no such file or directory"),
    (to_a_pipe, "is not a regular file"),
    (to_itself, "symbolic links"),
    (to_a_device, "is not a regular file"),
]


def test_documents_that_are_none(net: Network) -> None:
    """Each is refused by its name, with a reason; rules stay, and a good one is taken."""
    with_hosts(net).start(web(ALLOW_80))
    for number, (make, reason) in enumerate(BAD):
        make(net.config)
        answer = net.nsgd("reload")
        assert answer.returncode == 3, make.__name__
        assert str(net.config) in answer.stderr, make.__name__
        assert reason in answer.stderr, (make.__name__, answer.stderr)
        net.config.unlink(missing_ok=True)
        status = net.status()
        assert (status["generation"], status["reloads"]["refused"]) == (1, number + 1)
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)
    net.reload(web(ALLOW_80, OTHER))
    assert net.tcp("internet", "server", 81)


def test_a_link_that_is_swapped(net: Network, tmp_path: Path) -> None:
    """As a mounted configuration changes: a reload has the old document or the new one, whole."""
    with_hosts(net).write(web(ALLOW_80))
    first, second = tmp_path / "first", tmp_path / "second"
    net.config.rename(first)
    net.write(web(ALLOW_80, OTHER))
    net.config.rename(second)
    net.config.symlink_to(first)
    net.restart()
    for times in range(1, 7):
        link = tmp_path / "link"
        link.symlink_to(second if times % 2 else first)
        link.replace(net.config)
        assert net.nsgd("reload").returncode == 0
        assert net.tcp("internet", "server", 81) is bool(times % 2)
    assert net.status()["generation"] == 7


@pytest.mark.slow
def test_a_hundred_thousand_rules(net: Network) -> None:
    """Of one group: refused, and in so many words as a person can read."""
    with_hosts(net).start(web(ALLOW_80))
    worker = net.status()["worker"]["pid"]
    made = web(ALLOW_80)
    made["networkSecurityGroups"].append(
        {
            "name": "large",
            "securityRules": [
                rule(f"R{i}", 100 + i % 3997, "Inbound", "Deny", "Tcp", str(i % 65536))
                for i in range(100_000)
            ],
        }
    )
    net.write(made)
    answer = net.nsgd("reload")
    assert answer.returncode == 3
    assert "large" in answer.stderr
    assert "1000" in answer.stderr
    assert len(answer.stderr.splitlines()) < 1010, "a person is to read it"
    assert net.tcp("internet", "server", 80)
    assert not net.tcp("internet", "server", 81)
    status = net.status()
    assert (status["generation"], status["worker"]["pid"]) == (1, worker)


def test_a_document_that_may_not_be_read(tmp_path: Path, net: Network) -> None:
    """By the user that the daemon runs as: refused with the way out."""
    path = Path("/tmp") / f"nsgd-closed-{os.getpid()}.json"
    path.write_text(json.dumps(document([subnet("one", 1)], [nic("a", "one", 4, 1)], {})))
    copies = tmp_path / "copies"
    copies.mkdir()
    needed = [Path(sys.prefix), Path(sys.base_prefix), Path(nsgd.__file__).parent]
    command = [*opened(needed, copies), *SETPRIV, sys.executable, "-P", "-m", "nsgd", "check"]
    try:
        path.chmod(0o644)
        readable = net.gateway.run([*command, str(path)], check=False)
        assert readable.returncode == 0, readable.stderr
        path.chmod(0o600)
        refused = net.gateway.run([*command, str(path)], check=False)
    finally:
        path.unlink(missing_ok=True)
    assert refused.returncode == 3
    assert "permission denied; let the user that runs nsgd read it" in refused.stderr
