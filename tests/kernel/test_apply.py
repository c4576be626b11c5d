"""Policies applied to a running daemon, for good and on trial, with real packets."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from tests.kernel.documents import rule
from tests.kernel.network import Network
from tests.kernel.test_lifecycle import ALLOW_80, Session, web, with_hosts

DENY_80 = rule("DenyHttp", 100, "Inbound", "Deny", "Tcp", "80")


def apply(net: Network, policy: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Apply documents that only the operator can read."""
    file = net.directory / "operators" / "new.json"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    settings = json.loads(net.config.read_text())["daemon"] | policy.get("daemon", {})
    file.write_text(json.dumps(policy | {"daemon": settings}))
    state = str(net.directory / "state")
    return net.nsgd("apply", str(file), "--state-dir", state, *options)


def applied(net: Network) -> dict[str, Any]:
    """What the status says of it."""
    found: dict[str, Any] = net.status()["applied"]
    return found


@pytest.mark.parametrize("engine", ["queue", "kernel"])
def test_an_operator_who_locks_himself_out(net: Network, engine: str) -> None:
    """His connection is cut and his command killed: the gateway comes back by itself."""
    with_hosts(net).start(web(ALLOW_80, engine=engine))
    session = Session(net, "internet", "server", 80)
    done = apply(net, web(DENY_80, engine=engine), "--confirm", "2", "--reevaluate")
    assert done.returncode == 0, done.stderr
    assert "on trial: reverted in 2 seconds unless 'nsgd confirm' comes" in done.stdout
    assert 0 <= applied(net)["secondsToConfirm"] <= 2
    assert not net.tcp("internet", "server", 80)
    session._client.sendall(b"x")
    refused = net.nsgd("reload")
    assert refused.returncode == 3
    assert "on trial" in refused.stderr
    net.wait(lambda: applied(net)["reverted"] == 1, "not reverted", 8)
    assert net.tcp("internet", "server", 80)
    # TCP sent it again, and it passed.
    assert session._accepted.recv(1) == b"x"
    assert "the trial was reverted, not confirmed within 2 s" in net.log.read_text()
    late = net.nsgd("confirm")
    assert (late.returncode, "no policy is on trial" in late.stderr) == (1, True)
    session.close()


def test_changes_are_shown_first(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the operator's own connections that they would deny; and a dry run changes nothing."""
    with_hosts(net).start(web(ALLOW_80))
    session = Session(net, "internet", "server", 80)
    address = net["internet"].address()
    monkeypatch.setenv("SSH_CONNECTION", f"{address} 50000 192.0.2.1 22")
    before = net.status()["generation"]
    tried = apply(net, web(DENY_80), "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert "Allow by securityRules/AllowHttp of web -> Deny by securityRules/Deny" in tried.stdout
    assert tried.stdout.endswith("nothing was applied\n")
    (warning, way_out) = tried.stderr.splitlines()
    assert warning.startswith(f"warning: your own connection Tcp {address}:")
    assert warning.endswith(
        "stays, and a new one would not pass: denied by securityRules/DenyHttp of web"
    )
    assert "--confirm SECONDS" in way_out
    assert net.status()["generation"] == before
    assert net.tcp("internet", "server", 80)
    done = apply(net, web(DENY_80), "--reevaluate", "--confirm", "60")
    assert "is cut: denied by securityRules/DenyHttp of web" in done.stderr
    assert "--confirm" not in done.stderr
    assert "Deny by securityRules/DenyHttp" in done.stdout
    assert net.nsgd("confirm").returncode == 0
    same = apply(net, web(DENY_80))
    assert same.stdout.startswith("no flow changes its verdict\n")
    unseen = apply(net, web(ALLOW_80), "--no-diff")
    assert unseen.stdout.startswith("policy ")
    assert net.nsgd("apply", str(net.config), "--no-diff", "--dry-run").returncode == 2
    session.close()


def test_a_policy_that_is_confirmed(net: Network) -> None:
    """It stays, through the time that it had, a restart and a boot, until --config changes."""
    with_hosts(net).start(web(ALLOW_80))
    assert apply(net, web(DENY_80), "--confirm", "60").returncode == 0
    assert "ON TRIAL" in net.nsgd("status").stdout
    confirmed = net.nsgd("confirm")
    assert (confirmed.returncode, confirmed.stdout) == (
        0,
        "confirmed; it stands in place of the documents of --config until these change\n",
    )
    assert not net.tcp("internet", "server", 80)
    net.kill()
    net.restart()
    assert not net.tcp("internet", "server", 80)
    assert applied(net)["standsInPlaceOfConfig"] is True
    net.stop(remove_rules=True)
    boot = net.gateway.run(
        net._nsgd("boot", "--config", str(net.config), "--state-dir", str(net.directory / "state"))
    )
    assert "stand in place of those of --config" in boot.stderr
    net.restart()
    assert not net.tcp("internet", "server", 80)
    net.reload(web(ALLOW_80, rule("Other", 200, "Inbound", "Deny")))
    assert net.tcp("internet", "server", 80)
    assert applied(net)["standsInPlaceOfConfig"] is False


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_a_daemon_that_ends_within_the_time(net: Network, end: str) -> None:
    """Killed, the next one reverts; stopped, it does so itself: its rules stay without it."""
    kernel = {"engine": "kernel"}
    with_hosts(net).start(web(ALLOW_80, **kernel))
    assert apply(net, web(DENY_80, **kernel), "--confirm", "600").returncode == 0
    assert not net.tcp("internet", "server", 80)
    if end == "killed":
        net.kill()
        net.restart()
        assert applied(net)["reverted"] == 1
        assert "not confirmed before the daemon ended: reverted" in net.log.read_text()
    else:
        net.stop()
        # Nobody is there but the rules.
    assert net.tcp("internet", "server", 80)


def test_applied_for_good_and_refused(net: Network) -> None:
    """One document is enough of a directory's policy; mistakes are told by both ends."""
    with_hosts(net).start(web(ALLOW_80))
    done = apply(net, web(DENY_80))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("policy 2 in force; it stands in place")
    assert not net.tcp("internet", "server", 80)
    wrong = rule("Wrong", 99, "Inbound", "Deny")
    for policy, text in (
        (web(ALLOW_80, queueNumber=77), "daemon.queueNumber: cannot change while the daemon runs"),
        (web(wrong), "priority"),
    ):
        refused = apply(net, policy, "--confirm", "60")
        assert refused.returncode == 3, refused.stdout
        assert text in refused.stderr
    assert applied(net)["secondsToConfirm"] is None
    assert apply(net, web(ALLOW_80)).stdout.endswith("\npolicy 3 in force\n")
    assert net.tcp("internet", "server", 80)
    assert net.daemon is not None
    net.daemon.send_signal(signal.SIGHUP)
    net.wait(lambda: net.status()["generation"] == 4, "no reload")
    assert net.tcp("internet", "server", 80)
