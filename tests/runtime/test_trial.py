"""Policies that are applied: which documents count, whatever becomes of the daemon."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsgd.config.document import Document, Role
from nsgd.config.problem import ConfigRefused
from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.control_wire import UsageRefused
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.notify import Notifier
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.packed_documents import pack_documents, unpack_documents
from nsgd.runtime.policy_table import at_once
from nsgd.runtime.standing_documents import StandingDocuments
from nsgd.runtime.state import StateError
from nsgd.runtime.supervisor import Supervisor
from nsgd.runtime.tag_store import TagStore
from nsgd.runtime.workers import Workers
from tests.runtime.test_policy_in_force import NoFlows, Table, document
from tests.runtime.test_templates import group, links, write

OTHER = "/elsewhere/new.json"


class Recorder(Table):
    """A table that knows what was written last."""

    access = ""

    def install(
        self,
        loaded: LoadedPolicy,
        *,
        adopting: bool = False,
        is_served: bool = True,
        before_switch: Callable[[], None] = at_once,
    ) -> None:
        super().install(loaded, before_switch=before_switch)
        self.access = access_of(loaded)


def access_of(loaded: LoadedPolicy) -> str:
    """Of the only rule of all these documents."""
    access: Access = loaded.model.network_security_groups[0].security_rules[0].access
    return access.value


class Daemon:
    """A supervisor without kernel and worker, on one document; its clock stands still."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.config = directory, directory / "policy.json"
        self.state = directory / "state"
        self.table = Recorder()
        self.now_s = 1000.0
        self.supervisor = Supervisor(
            [self.config], self.state, self.table, NoFlows(), Notifier(None), TagStore(directory)
        )
        self.trial = self.supervisor.trial
        self.trial._clock = lambda: self.now_s

    def start(self) -> Daemon:
        """Serve what counts."""
        self.supervisor.prepare()
        self.supervisor.start()
        return self

    def killed(self) -> Daemon:
        """The one that comes after it, started; this one does nothing more."""
        return Daemon(self.directory).start()

    def write(self, access: str) -> None:
        """Change the document of --config, which nobody reads yet."""
        self.config.write_text(json.dumps(document(access)))

    def apply(self, access: str, seconds: int | None = None, **options: Any) -> dict[str, Any]:
        """As the verb does."""
        made = [Document(OTHER, json.dumps(document(access)).encode())]
        options |= {} if seconds is None else {"confirmSeconds": seconds}
        return self.trial.apply({"documents": pack_documents(made), **options})

    @property
    def access(self) -> str:
        """What the policy in force says, and the kernel's rules with it."""
        found = access_of(self.supervisor.in_force())
        assert self.table.access == found
        return found

    @property
    def is_kept(self) -> bool:
        """Whether something stands in place of --config, on the disk."""
        return (self.state / "standing-documents.json").exists()


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """One whose document allows."""
    for method in ("start", "hand_over", "keep_spare", "stop"):
        monkeypatch.setattr(Workers, method, lambda *arguments: None)
    made = Daemon(tmp_path)
    made.write("Allow")
    return made.start()


def test_applied_for_good(daemon: Daemon) -> None:
    """In force, also after a restart and a reload, until --config is written anew."""
    assert daemon.apply("Deny") == {"generation": 2, "confirmSeconds": None, "isStanding": True}
    assert daemon.access == "Deny"
    after = daemon.killed()
    assert (after.access, after.trial.is_standing) == ("Deny", True)
    after.supervisor.reload()
    assert (after.access, after.supervisor.generation) == ("Deny", 2)
    assert after.trial.counts["reverted"] == 0
    # The same documents, differently written, are others: someone has decided anew.
    after.config.write_text(json.dumps(document("Allow"), indent=2))
    after.supervisor.reload()
    assert (after.access, after.trial.is_standing, after.is_kept) == ("Allow", False, False)
    assert after.killed().access == "Allow"


def test_a_start_on_a_config_that_was_written_anew(daemon: Daemon) -> None:
    """It counts again from a start on too."""
    daemon.apply("Deny")
    daemon.config.write_text(json.dumps(document("Allow"), indent=2))
    after = daemon.killed()
    assert (after.access, after.trial.is_standing, after.is_kept) == ("Allow", False, False)


def test_applying_what_config_has(daemon: Daemon) -> None:
    """Nothing stands in its place then, and nothing does any more."""
    daemon.apply("Deny")
    assert daemon.apply("Allow")["isStanding"] is False
    assert (daemon.access, daemon.is_kept) == ("Allow", False)
    # An edited --config is applied rather than reloaded.
    daemon.write("Deny")
    assert daemon.apply("Deny", 60)["isStanding"] is False
    assert daemon.trial.confirm({}) == {"isReverted": False, "isStanding": False}
    assert (daemon.access, daemon.is_kept) == ("Deny", False)
    assert daemon.killed().access == "Deny"


def test_what_is_not_confirmed_is_reverted(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    """At its time and not before; the policy of before is a generation of its own."""
    daemon.apply("Deny", 60)
    daemon.now_s += 59.9
    daemon.trial.tend()
    assert daemon.access == "Deny"
    assert daemon.trial.seconds_left == pytest.approx(0.1)
    daemon.now_s += 0.1
    daemon.trial.tend()
    assert daemon.access == "Allow"
    assert daemon.trial.seconds_left is None
    assert (daemon.supervisor.generation, daemon.is_kept) == (3, False)
    assert daemon.trial.counts == {"applied": 1, "confirmed": 0, "reverted": 1, "refused": 0}
    assert "reverted, not confirmed within 60 s" in caplog.text
    # Flows may carry what the trial's rules were numbered.
    numbers = daemon.supervisor.in_force().numbers.by_direction[Direction.INBOUND]
    assert {"AllowHttp", "DenyHttp"} <= {rule for _, rule, _ in numbers}
    daemon.trial.tend()
    with pytest.raises(StateError, match="confirmed before, or reverted"):
        daemon.trial.confirm({})


def test_what_is_confirmed_stays(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    """Whenever its time would have come, and after a restart."""
    caplog.set_level(logging.INFO, "nsgd")
    daemon.apply("Deny", 60)
    assert "on trial: reverted in 60 s if not confirmed" in caplog.text
    assert daemon.trial.confirm({}) == {"isReverted": False, "isStanding": True}
    assert "the policy on trial was confirmed" in caplog.text
    daemon.now_s += 1000
    daemon.trial.tend()
    assert daemon.access == "Deny"
    after = daemon.killed()
    assert (after.access, after.trial.counts["reverted"]) == ("Deny", 0)
    with pytest.raises(StateError):
        daemon.trial.confirm({})


def test_reverting_at_once(daemon: Daemon) -> None:
    """By the command."""
    daemon.apply("Deny", 60)
    result = daemon.trial.confirm({"revert": True})
    assert result == {"generation": 3, "isReverted": True, "isStanding": False}
    assert daemon.access == "Allow"


def test_a_daemon_killed_within_the_time(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    """The next one starts with the policy before, and counts and says so once."""
    daemon.apply("Deny", 60)
    after = daemon.killed()
    assert (after.access, after.trial.counts["reverted"]) == ("Allow", 1)
    assert "not confirmed before the daemon ended: reverted" in caplog.text
    assert (after.trial.seconds_left, after.is_kept) == (None, False)
    assert after.killed().trial.counts["reverted"] == 0


def test_trying_an_edited_config(daemon: Daemon) -> None:
    """What was reverted does not come back with the next start, though it stands in --config."""
    for is_killed in (True, False):
        daemon.write("Allow")
        daemon.supervisor.reload()
        daemon.write("Deny")
        daemon.apply("Deny", 60)
        if is_killed:
            daemon = daemon.killed()
        else:
            daemon.now_s += 60
            daemon.trial.tend()
        assert (daemon.access, daemon.trial.is_standing) == ("Allow", True)
        daemon = daemon.killed()
        daemon.supervisor.reload()
        assert (daemon.access, daemon.trial.is_standing) == ("Allow", True)
        assert daemon.trial.counts["reverted"] == 0


def test_before_can_be_what_was_applied(daemon: Daemon) -> None:
    """A trial on top of documents that stand goes back to these."""
    daemon.apply("Deny")
    daemon.apply("Allow", 60)
    assert daemon.access == "Allow"
    after = daemon.killed()
    assert (after.access, after.trial.is_standing) == ("Deny", True)
    assert after.killed().access == "Deny"


def test_while_something_is_on_trial(daemon: Daemon) -> None:
    """Neither a reload nor another apply; new service tags reach what is on trial."""
    daemon.apply("Deny", 60)
    with pytest.raises(StateError, match="on trial, for 60 s more"):
        daemon.supervisor.reload()
    refused = daemon.supervisor.refused_reload
    assert daemon.supervisor.reloads_refused == 1
    assert refused is not None
    assert "on trial, for 60 s more" in refused.problems[0]
    for seconds in (None, 60):
        with pytest.raises(StateError, match="nsgd confirm"):
            daemon.apply("Allow", seconds)
    daemon.supervisor._reload_on_signal()
    assert daemon.access == "Deny"
    daemon.supervisor._reload_on_signal(daemon.trial.documents)
    assert (daemon.access, daemon.supervisor.generation) == ("Deny", 3)
    assert daemon.killed().access == "Allow"
    daemon.now_s += 60
    daemon.trial.tend()
    assert daemon.access == "Allow"


@pytest.mark.parametrize("seconds", [None, 60])
def test_what_is_refused_changes_nothing(daemon: Daemon, seconds: int | None) -> None:
    """Documents with a mistake, and a kernel that does not take them."""
    daemon.apply("Deny")
    before = (daemon.state / "standing-documents.json").read_bytes()
    with pytest.raises(ConfigRefused):
        daemon.apply("Perhaps", seconds)
    daemon.table.refusal = RefusedByKernel("no")
    with pytest.raises(RefusedByKernel):
        daemon.apply("Allow", seconds)
    daemon.table.refusal = None
    assert (daemon.access, daemon.trial.seconds_left) == ("Deny", None)
    assert (daemon.trial.counts["refused"], daemon.trial.is_standing) == (2, True)
    assert (daemon.state / "standing-documents.json").read_bytes() == before
    assert daemon.supervisor.refused_reload is None


@pytest.mark.parametrize("seconds", [None, 60])
def test_a_disk_that_is_full(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, seconds: int | None
) -> None:
    """What could not be taken back is not put in force; what cannot be kept stays on trial."""

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("nsgd.runtime.standing_documents.replace_file", full)
        with pytest.raises(StateError, match="No space left"):
            daemon.apply("Deny", seconds)
    assert (daemon.access, daemon.is_kept) == ("Allow", False)
    daemon.apply("Deny", 60)
    with monkeypatch.context() as patch:
        patch.setattr("nsgd.runtime.standing_documents.replace_file", full)
        with pytest.raises(StateError, match="No space left"):
            daemon.trial.confirm({})
        assert daemon.trial.seconds_left == 60
        daemon.now_s += 60
        daemon.trial.tend()
    assert daemon.access == "Allow"
    assert daemon.killed().access == "Allow"


def test_a_revert_that_the_kernel_refuses(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again until it is done."""
    daemon.apply("Deny", 60)
    daemon.now_s += 60
    daemon.table.refusal = RefusedByKernel("not now")
    daemon.trial.tend()
    assert "not reverted yet: trying again" in caplog.text
    daemon.table.refusal = None
    daemon.trial.tend()
    assert daemon.access == "Deny"
    daemon.now_s += 5
    daemon.trial.tend()
    assert daemon.access == "Allow"


def test_a_daemon_that_stops_within_the_time(daemon: Daemon) -> None:
    """The rules that it leaves are those of the policy before."""
    daemon.apply("Deny", 60)
    daemon.supervisor.close()
    assert daemon.table.access == "Allow"
    assert not daemon.is_kept
    after = daemon.killed()
    assert (after.access, after.trial.counts["reverted"]) == ("Allow", 0)


def test_a_config_that_cannot_be_read(daemon: Daemon) -> None:
    """What stands in its place needs it neither for a start nor for a reload."""
    daemon.apply("Deny")
    daemon.config.write_text("{")
    text = daemon.config.read_text()
    daemon.config.unlink()
    after = daemon.killed()
    after.supervisor.reload()
    assert (after.access, after.trial.is_standing) == ("Deny", True)
    # There again and broken: someone has written it, and it is refused as ever.
    after.config.write_text(text)
    with pytest.raises(ConfigRefused):
        after.supervisor.reload()
    assert after.access == "Deny"


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"version": 2}', '{"version": 1, "configDigest": "", "isUnconfirmed": 0}'],
)
def test_a_damaged_file(daemon: Daemon, content: str) -> None:
    """Nobody knows what was to be in force: refused, with the way out, rather than guessed."""
    (daemon.state / "standing-documents.json").write_text(content)
    with pytest.raises(StateError, match=r"standing-documents\.json.*remove it"):
        Daemon(daemon.directory).supervisor.prepare()
    with pytest.raises(StateError):
        daemon.supervisor.reload()
    assert daemon.access == "Allow"


@pytest.mark.parametrize("seconds", [0, -1, 86_401])
def test_a_time_that_is_none(daemon: Daemon, seconds: int) -> None:
    """Refused before anything is read."""
    with pytest.raises(UsageRefused, match="no time to confirm"):
        daemon.apply("Deny", seconds)
    assert daemon.access == "Allow"


@pytest.mark.parametrize(
    "packed",
    [
        ["text"],
        [{}],
        [{"name": "a", "content": "!"}],
        [{"name": "a", "content": "AAAA"}],
        [{"name": 1, "content": pack_documents([Document("a", b"x")])[0]["content"]}],
        [{"name": "a", "role": "x", "content": ""}],
    ],
)
def test_documents_that_are_none(daemon: Daemon, packed: list[Any]) -> None:
    """Whatever comes over the socket is data; nothing at all is refused too."""
    with pytest.raises(UsageRefused):
        daemon.trial.apply({"documents": packed})
    with pytest.raises(ConfigRefused):
        daemon.trial.apply({"documents": []})
    with pytest.raises(UsageRefused):
        daemon.trial.apply({"documents": packed, "confirmSeconds": 60})
    assert daemon.access == "Allow"


def test_templates_with_their_parameters_and_links(tmp_path: Path) -> None:
    """All that a policy was made of stands, and a change of any part of --config ends that."""
    main, linked, values = (tmp_path / name for name in ("main.json", "l.json", "v.json"))
    write(main, links("l.json"))
    write(linked, group("before"))
    write(values, {"contentVersion": "1.0.0.0", "parameters": {}})
    standing = StandingDocuments([main], [values], tmp_path / "state")
    loaded = load_policy([main], DecisionNumbers(), None, parameters=[values])
    assert [each.role for each in loaded.documents] == [Role.POLICY, Role.PARAMETERS, Role.LINKED]
    assert standing.keep(loaded.documents) is False
    for changed in (linked, values, main):
        text = changed.read_text()
        changed.write_text(text + " ")
        assert standing.keep(loaded.documents) is True
        given = standing.given()
        assert given == loaded.documents
        again = load_policy([], DecisionNumbers(), None, given=given)
        assert again.model == loaded.model
        changed.write_text(text + "  ")
        assert standing.given() is None
        changed.write_text(text)


def test_documents_that_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes cannot fill the daemon's memory, one by one or all together."""
    monkeypatch.setattr("nsgd.runtime.packed_documents.MAXIMUM_TOTAL_BYTES", 1000)
    one = pack_documents([Document("a", b"x" * 600)])
    assert unpack_documents(one)[0].content == b"x" * 600
    with pytest.raises(ValueError, match="too long"):
        unpack_documents(one + one)


def test_what_is_refused_is_logged_line_by_line(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    """Each problem of the documents has a line that says what it is about."""
    bad = json.dumps({**document("Deny"), "a": 1, "b": 2}).encode()
    with pytest.raises(ConfigRefused) as refused:
        daemon.trial.apply({"documents": pack_documents([Document(OTHER, bad)])})
    lines = [line for line in caplog.messages if line.startswith("a policy was not applied: ")]
    assert len(lines) == len(refused.value.problems) >= 2
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("name", ["a\nb.json", "\ud800.json"])
def test_a_name_that_cannot_be_printed_is_refused(daemon: Daemon, name: str) -> None:
    """Problems begin with it, in the log too; the policy in force stays."""
    content = json.dumps(document("Deny")).encode()
    with pytest.raises(UsageRefused, match="cannot be printed"):
        daemon.trial.apply({"documents": pack_documents([Document(name, content)])})
    assert daemon.access == "Allow"
