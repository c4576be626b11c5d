"""Changes of the table that delete old rules to switch, by the kernel; refused ones too."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nsgd.kernel.error import KernelError, UnansweredError
from nsgd.kernel.table import NftTable
from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.ruleset import commands
from nsgd.wire import netlink
from tests.kernel.documents import document, nic, rule, subnet
from tests.ruleset.policies import Daemon

_OF_TABLES = netlink.NFNL_SUBSYS_NFTABLES << 8


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Namespaces for tables."""
    with Lab() as lab:
        yield lab


def policy(*changed: str) -> dict[str, Any]:
    """Forty rules for a range of ports each; the first ones are others."""
    ranges = [f"{1000 + 20 * number}-{1010 + 20 * number}" for number in range(40)]
    ranges[: len(changed)] = changed
    rules = [
        rule(f"Rule{number}", 200 + number, "Inbound", "Allow", "Tcp", ports)
        for number, ports in enumerate(ranges)
    ]
    made = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": rules})
    return made | {"daemon": {"engine": "kernel"}}


def chains(namespace: NetworkNamespace) -> dict[str, str]:
    """The rules of each chain, as nft lists them."""
    listed = namespace.run(["nft", "list", "table", "inet", "nsgd"]).stdout
    return dict(re.findall(r"^\tchain (\S+) \{\n(.*?)^\t\}", listed, re.MULTILINE | re.DOTALL))


class Commits:
    """The commands of each transaction; some are refused, as the kernel may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[set[int]] = []
        self.refused = 0  # so many that only delete
        self.unanswered = 0  # so many of these are made, and nobody is told
        commit = NftTable._commit

        def noting(table: NftTable, made: Any, operation: str) -> None:
            found = {
                kind - _OF_TABLES
                for kind, _, _ in netlink.split_messages(bytes(made.data))
                if kind >= _OF_TABLES
            }
            self.commands.append(found)
            if found == {commands.DELRULE} and self.refused:
                self.refused -= 1
                raise KernelError(operation, "a test", errno.ENOMEM)
            commit(table, made, operation)
            if found == {commands.DELRULE} and self.unanswered:
                self.unanswered -= 1
                raise UnansweredError(operation, "a test", errno.ENOBUFS)

        monkeypatch.setattr(NftTable, "_commit", noting)


def test_what_is_new_is_reached_by_deleting(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is then as one that was written at once, and what is left over goes as ever."""
    commits = Commits(monkeypatch)
    with ExitStack() as stack:
        changed, fresh = lab.namespace("changed"), lab.namespace("fresh")
        table, other = (stack.enter_context(each.call(NftTable)) for each in (changed, fresh))
        daemon = Daemon()
        table.apply(daemon.load(policy()))
        table.tidy()
        for ports in ("7000-7010", "8000-8010"):
            commits.commands.clear()
            table.apply(daemon.load(policy(ports)))
            prepared, switched = commits.commands
            assert commands.NEWRULE in prepared
            assert commands.DELRULE not in prepared
            assert switched == {commands.DELRULE}
            table.tidy()
        other.apply(Daemon(daemon.numbers).load(policy("8000-8010")))
        other.tidy()
        assert chains(changed) == chains(fresh)


def test_a_switch_that_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old rules stay as they were, with none behind them, and the next change is made."""
    commits = Commits(monkeypatch)
    namespace = lab.namespace("gateway")
    with namespace.call(NftTable) as table:
        daemon = Daemon()
        table.apply(daemon.load(policy()))
        table.tidy()
        before, present = chains(namespace), table.present()
        commits.refused = 1
        with pytest.raises(KernelError):
            table.apply(daemon.load(policy("7000-7010")))
        assert chains(namespace) == before
        assert table.present() == present
        commits.commands.clear()
        table.apply(daemon.load(policy("7000-7010")))
        assert len(commits.commands) == 2  # by what is different: nothing was forgotten
        table.tidy()
        assert chains(namespace) != before


def test_a_switch_whose_answer_is_lost(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new rules are not taken for what is left over: else no chain of them would have any."""
    commits = Commits(monkeypatch)
    namespace = lab.namespace("gateway")
    with namespace.call(NftTable) as table:
        daemon = Daemon()
        table.apply(daemon.load(policy(), table.epoch()))
        table.tidy()
        before = chains(namespace)
        commits.unanswered = 1
        with pytest.raises(KernelError):
            table.apply(daemon.load(policy("7000-7010"), table.epoch()))
        there = chains(namespace)
        assert [name for name, rules in there.items() if before.get(name) and not rules] == []
        # What stands in the table is not known: all of it is written.
        assert not table.is_known
        table.apply(daemon.load(policy(), table.epoch()))
        table.tidy()
        assert "7000-7010" not in "".join(chains(namespace).values())
