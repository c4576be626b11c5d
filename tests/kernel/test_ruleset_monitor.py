"""Changes of nftables by others are noticed: real announcements in a namespace of its own."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from nsgd.kernel import ruleset_monitor
from nsgd.kernel.error import KernelError
from nsgd.kernel.ruleset_monitor import RulesetChanges, RulesetMonitor, Writer
from nsgd.kernel.table import NftTable
from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.ruleset import batch, commands
from nsgd.ruleset.gateway import fail_closed_ruleset
from nsgd.ruleset.objects import TABLE, Ruleset
from nsgd.wire import netlink

NOTHING = RulesetChanges()
OWN = f"inet {TABLE}"
BASE = "{ type filter hook input priority 0; }"
# Far less than a ruleset announces; the kernel takes no smaller one.
SMALL_BUFFER_BYTES = 2048


class Watched:
    """A namespace with a monitor and nsgd's own socket, which has not written yet."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        self.namespace = namespace
        self.table = namespace.call(NftTable)
        self.monitor = namespace.call(RulesetMonitor)

    def nft(self, *commands: str) -> None:
        """One transaction of another program; it has been announced when this returns."""
        self.namespace.run(["nft", "-f", "-"], text_input="\n".join(commands) + "\n")

    def read(self, own_port_id: int | None = None) -> RulesetChanges:
        """What the monitor has noticed since the last time."""
        port_id = self.table.port_id if own_port_id is None else own_port_id
        # After a loss it looks at the namespace that it is called in.
        return self.namespace.call(lambda: self.monitor.read(port_id))

    def watch_again(self, receive_buffer_bytes: int | None = None) -> None:
        """Start anew on what is there."""
        self.monitor.close()
        options = () if receive_buffer_bytes is None else (receive_buffer_bytes,)
        self.monitor = self.namespace.call(lambda: RulesetMonitor(*options))

    def close(self) -> None:
        """Close the sockets."""
        self.monitor.close()
        self.table.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    """An empty namespace."""
    with Lab() as lab:
        made = Watched(lab.namespace("watched"))
        try:
            yield made
        finally:
            made.close()


def by(changes: RulesetChanges) -> list[str]:
    """Programs that changed nsgd's table."""
    assert all(writer.process_id > 0 for writer in changes.changed_by)
    return [writer.program for writer in changes.changed_by]


def large_ruleset(name: str) -> Ruleset:
    """A ruleset whose announcement is far larger than the small buffer."""
    made = fail_closed_ruleset()
    more = tuple(f"{name}_{number}" for number in range(500))
    return Ruleset((*made.counters, *more), made.sets, made.base_chains, made.chains)


@pytest.mark.parametrize(
    "edit",
    [
        f"add chain {OWN} extra",
        f"add chain {OWN} hooked {BASE}",
        f"insert rule {OWN} gateway accept",
        f"flush chain {OWN} gateway",
        f"delete rule {OWN} gateway handle 4",
        f"delete chain {OWN} unused",
        f"delete chain {OWN} base",
        f"add set {OWN} extra {{ type ipv4_addr; }}",
        f"add element {OWN} peers {{ 192.0.2.7 }}",
        f"delete element {OWN} peers {{ 192.0.2.1 }}",
        f"delete set {OWN} spare",
        f"add counter {OWN} extra",
        f"delete counter {OWN} denied",
        f"add table {OWN} {{ flags dormant; }}",
    ],
)
def test_an_edit_is_seen(watched: Watched, edit: str) -> None:
    """Whatever another program changes in the table, once, with the program's name."""
    watched.nft(
        f"add table {OWN}",
        f"add chain {OWN} gateway",
        f"add chain {OWN} unused",
        f"add chain {OWN} base {BASE}",
        f"add rule {OWN} gateway drop",
        f"add set {OWN} peers {{ type ipv4_addr; elements = {{ 192.0.2.1 }}; }}",
        f"add set {OWN} spare {{ type ipv4_addr; }}",
        f"add counter {OWN} denied",
    )
    assert by(watched.read()) == ["nft"]
    assert watched.read() == NOTHING
    watched.nft(edit)
    changes = watched.read()
    assert changes == RulesetChanges(changes.changed_by)
    assert by(changes) == ["nft"]
    assert changes.is_changed
    assert watched.read() == NOTHING


@pytest.mark.parametrize("other", ["inet other", f"ip {TABLE}", f"inet {TABLE}2"])
def test_other_tables_are_not_ours(watched: Watched, other: str) -> None:
    """A table is ours by family and whole name."""
    watched.nft(f"add table {other}", f"add chain {other} c", f"add rule {other} c drop")
    watched.nft(f"flush table {other}")
    watched.nft(f"delete table {other}")
    assert watched.read() == NOTHING


def test_own_transactions_are_not_reported(watched: Watched) -> None:
    """Neither those of before the first read, which were queued, nor later ones."""
    watched.table.apply(fail_closed_ruleset())
    assert watched.read() == NOTHING
    watched.table.apply(large_ruleset("a"))
    watched.table.apply(fail_closed_ruleset())
    assert watched.read() == NOTHING
    assert watched.table.remove()
    assert watched.read() == NOTHING
    # And the same is another's change to whoever has another socket.
    watched.nft(f"add table {OWN}")
    assert by(watched.read()) == ["nft"]


def test_an_owned_table_is_left_alone(watched: Watched) -> None:
    """What the kernel refuses or skips is no change."""
    watched.table.apply(fail_closed_ruleset())
    if not watched.table.is_owned:
        pytest.skip("this kernel knows no persistent owner")
    watched.nft("flush ruleset")
    refused = watched.namespace.run(["nft", "add", "chain", "inet", TABLE, "x"], check=False)
    assert refused.returncode != 0
    assert watched.read() == NOTHING


def test_another_socket_of_the_process_is_another(watched: Watched) -> None:
    """One socket owns the table: the process that a transaction came from says nothing."""
    watched.nft(f"add table {OWN}")
    watched.read()
    with watched.namespace.call(NftTable) as second:
        assert second.port_id != watched.table.port_id
        assert second.remove()
        changes = watched.read()
        assert len(changes.changed_by) == 1
        assert changes.is_table_deleted
        assert watched.read(second.port_id) == NOTHING
        second.apply(fail_closed_ruleset())
        assert watched.read(second.port_id) == NOTHING


@pytest.mark.parametrize(
    "commands",
    [
        ("flush ruleset",),
        (f"delete table {OWN}",),
        # Made again, it lacks what it held.
        (f"delete table {OWN}", f"add table {OWN}"),
        ("flush ruleset", f"add table {OWN}", f"add chain {OWN} c"),
    ],
)
def test_deletion(watched: Watched, commands: tuple[str, ...]) -> None:
    """The table's end is told apart from an edit; its own base chains are not another table's."""
    watched.nft(f"add table {OWN}", f"add chain {OWN} base {BASE}")
    watched.read()
    watched.watch_again()
    watched.nft(*commands)
    changes = watched.read()
    assert by(changes) == ["nft"]
    assert (changes.is_table_deleted, changes.base_chains_deleted) == (True, 0)
    assert watched.read() == NOTHING


@pytest.mark.parametrize("from_dump", [True, False])
@pytest.mark.parametrize(
    ("command", "deleted"),
    [
        ("delete chain ip web in", 1),
        ("delete chain ip web regular", 0),
        ("flush chain ip web in", 0),
        ("delete table ip web", 2),
        ("delete table inet web", 1),
        ("flush ruleset", 4),
        ("delete chain bridge ports in; delete chain inet web in", 2),
        # A policy changes, the chain stays.
        ("add chain ip web in { policy drop; }", 0),
    ],
)
def test_base_chains_of_others(
    watched: Watched, from_dump: bool, command: str, deleted: int
) -> None:
    """Base chains are known from the start or from their making, in any family."""
    for table in ("ip web", "inet web", "bridge ports"):
        watched.nft(
            f"add table {table}",
            f"add chain {table} regular",
            f"add chain {table} in {BASE}",
        )
    watched.nft("add chain ip web out { type filter hook output priority 0; }")
    if from_dump:
        watched.watch_again()
    watched.nft(*command.split("; "))
    assert watched.read() == RulesetChanges(base_chains_deleted=deleted)
    assert watched.read() == NOTHING


def test_a_table_restored(watched: Watched) -> None:
    """A restore deletes and makes again; handles start anew, and may now name another chain."""
    base_first = ("add table ip t", f"add chain ip t a {BASE}", "add chain ip t b")
    base_last = ("add table ip t", "add chain ip t b", f"add chain ip t a {BASE}")
    watched.nft(*base_first)
    watched.nft("delete table ip t", *base_last)
    assert watched.read().base_chains_deleted == 1
    watched.nft("delete chain ip t b")
    assert watched.read().base_chains_deleted == 0
    watched.nft("delete chain ip t a")
    assert watched.read().base_chains_deleted == 1


def test_a_table_whose_end_was_not_announced(watched: Watched) -> None:
    """The handle of a base chain that went silently may name a chain without a hook later."""
    with watched.namespace.call(NftTable) as owner:
        name = netlink.text(1, "t")
        hook = netlink.nested(4, netlink.be32(1, 1), netlink.be32(2, 0))
        chain = name + netlink.text(3, "a") + hook + netlink.text(7, "filter")
        create = netlink.NLM_F_CREATE
        table = (commands.NEWTABLE, create, name + netlink.be32(2, batch.TABLE_OWNER))
        owner._transact([table, (commands.NEWCHAIN, create, chain)], "write")
    assert watched.read() == NOTHING
    assert watched.namespace.run(["nft", "list", "tables"]).stdout == ""
    watched.nft("add table inet t", "add chain inet t b")
    watched.nft("delete chain inet t b")
    assert watched.read() == NOTHING


def test_a_chain_made_and_deleted_in_one_transaction(watched: Watched) -> None:
    """Its hook was registered, so its end drops packets as well."""
    watched.nft("add table ip t", f"add chain ip t a {BASE}", "delete chain ip t a")
    assert watched.read().base_chains_deleted == 1


def test_a_link_taken_from_a_chain(watched: Watched) -> None:
    """A hook of a netdev chain goes without the chain, which can go later."""
    watched.nft(
        "add table netdev n",
        'add chain netdev n c { type filter hook ingress device "lo" priority 0; }',
    )
    name = netlink.text(1, "n") + netlink.text(3, "c")
    links = netlink.nested(4, netlink.nested(4, netlink.text(1, "lo")))
    subsystem = netlink.NFNL_SUBSYS_NFTABLES
    request = (
        netlink.message(netlink.NFNL_MSG_BATCH_BEGIN, 0, 1, 0, resource=subsystem)
        + netlink.message(netlink.nft_message_type(5), 0, 2, 5, name + links)
        + netlink.message(netlink.NFNL_MSG_BATCH_END, netlink.NLM_F_ACK, 3, 0, resource=subsystem)
    )
    with netfilter_socket(watched.namespace) as channel:
        channel.send(request)
        answers = list(netlink.split_messages(channel.recv(1 << 16)))
    if [netlink.error_number(payload) for _, _, payload in answers] != [0]:
        pytest.skip("this kernel takes no link from a chain")
    assert watched.read().base_chains_deleted == 1
    watched.nft("delete chain netdev n c")
    assert watched.read().base_chains_deleted == 1


def test_a_flood_is_unknown(watched: Watched) -> None:
    """What did not fit may have been anything; base chains are then looked for again."""
    watched.nft("add table ip t", f"add chain ip t a {BASE}", f"add chain ip t b {BASE}")
    watched.nft(f"add table {OWN}", f"add chain {OWN} base {BASE}")
    watched.watch_again(SMALL_BUFFER_BYTES)
    flood = [f"add chain inet other chain_{number}" for number in range(500)]
    watched.nft(
        "add table inet other",
        *flood,
        "delete chain ip t a",
        f"delete chain {OWN} base",
        f"add chain inet other in {BASE}",
    )
    changes = watched.read()
    assert changes == RulesetChanges(is_unknown=True, base_chains_deleted=1)
    assert changes.is_changed
    assert watched.read() == NOTHING
    # Those that the flood brought are known, and all goes on as before.
    watched.nft("delete chain ip t b", "delete chain inet other in", f"add chain {OWN} x")
    changes = watched.read()
    assert (by(changes), changes.is_unknown, changes.base_chains_deleted) == (["nft"], False, 2)


def test_unknown_until_base_chains_are_known(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss is not over before the kernel has told what there is."""
    watched.watch_again(SMALL_BUFFER_BYTES)
    flood = [f"add chain inet other chain_{number}" for number in range(500)]
    watched.nft("add table inet other", *flood)

    def fails() -> set[tuple[int, str, int]]:
        raise KernelError("read", "chains", 4)

    with monkeypatch.context() as patch:
        patch.setattr(ruleset_monitor, "_read_base_chains", fails)
        assert watched.read().is_unknown
        assert watched.read().is_unknown
    assert watched.read().is_unknown
    assert watched.read() == NOTHING


def test_an_own_flood_is_nothing(watched: Watched) -> None:
    """The kernel does not queue what our own socket did, so no ruleset is too large."""
    watched.watch_again(SMALL_BUFFER_BYTES)
    assert watched.read() == NOTHING
    watched.table.apply(large_ruleset("b"))
    assert watched.read() == NOTHING
    # Without that, the buffer would have overflowed.
    watched.watch_again(SMALL_BUFFER_BYTES)
    assert watched.read(1) == NOTHING
    watched.table.apply(large_ruleset("c"))
    assert watched.read(1).is_unknown


def test_a_transaction_in_two_reads(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported whole, by the read that gets its end."""
    watched.nft(f"add table {OWN}")
    watched.read()
    monkeypatch.setattr(ruleset_monitor, "_DATAGRAMS_PER_READ", 1)
    watched.nft(f"delete table {OWN}")
    assert watched.read() == NOTHING
    changes = watched.read()
    assert by(changes) == ["nft"]
    assert changes.is_table_deleted
    assert watched.read() == NOTHING


def netfilter_socket(namespace: NetworkNamespace) -> socket.socket:
    """A netlink socket inside that is not nsgd's."""
    made = namespace.call(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
    made.settimeout(5.0)
    return made


def announcement(port_id: int) -> bytes:
    """A whole transaction as the kernel would tell it: the table has been deleted."""
    parts = (
        netlink.message(netlink.nft_message_type(2), 0, 1, 1, netlink.text(1, TABLE)),
        netlink.message(netlink.nft_message_type(15), 0, 1, 0, netlink.be32(1, 9)),
    )
    return b"".join(part[:12] + struct.pack("=I", port_id) + part[16:] for part in parts)


@pytest.mark.parametrize("to_group", [True, False])
def test_an_announcement_that_is_not_the_kernels(watched: Watched, to_group: bool) -> None:
    """Another program can send to the group or to the monitor; it announces nothing."""
    port_id, _ = watched.monitor._socket.getsockname()
    with netfilter_socket(watched.namespace) as forger:
        forger.sendto(announcement(4711), (0, 1 << 6) if to_group else (port_id, 0))
    assert watched.read() == NOTHING


DELETED = announcement(4711)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (DELETED, RulesetChanges((Writer("", 0),), is_table_deleted=True)),
        # The kernel's own change is no transaction: nothing ends it.
        (announcement(0)[:-28], RulesetChanges((Writer("", 0),), is_table_deleted=True)),
        # What cannot be read, or is of a kernel to come, may have been a change.
        (DELETED[:-1], RulesetChanges(is_unknown=True)),
        (netlink.message(netlink.nft_message_type(99), 0, 1, 1), RulesetChanges(is_unknown=True)),
    ],
)
def test_announcements_that_no_program_here_makes(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, data: bytes, expected: RulesetChanges
) -> None:
    """Taken for a change, never for nothing."""
    datagrams = iter([data, None, None])
    monkeypatch.setattr(RulesetMonitor, "_receive", lambda self, found: next(datagrams))
    assert watched.read() == expected
    assert watched.read() == NOTHING
