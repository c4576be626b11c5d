"""The table is written anew where others have changed it, and only then."""

from __future__ import annotations

from collections.abc import Callable

from nsgd.runtime.loop import Loop, Watched
from nsgd.runtime.policy_table import ForeignChanges, at_once
from nsgd.runtime.table_guard import TableGuard


class Watch:
    """Says what it is given, once."""

    def __init__(self, found: ForeignChanges) -> None:
        self.found = [found]

    def fileno(self) -> int:
        return 0

    def read(self) -> ForeignChanges:
        return self.found.pop() if self.found else ForeignChanges()


class Table:
    is_known = True

    def __init__(self) -> None:
        self.forgotten = 0

    def install(
        self,
        loaded: object,
        *,
        adopting: bool = False,
        is_served: bool = True,
        before_switch: Callable[[], None] = at_once,
    ) -> None:
        raise AssertionError("the guard has others install")

    def tidy(self) -> None:
        raise AssertionError("nothing is left over")

    def forget(self) -> None:
        self.forgotten += 1

    def remove(self) -> bool:
        raise AssertionError("nothing is removed")


class Watcher(Loop):
    """Notes what is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], None]] = []

    def watch(self, watched: Watched | int, ready: Callable[[], None]) -> None:
        self.calls.append(ready)


def started(found: ForeignChanges, installed: list[bool]) -> tuple[TableGuard, Table, Watcher]:
    loop, table = Watcher(), Table()

    def install_again() -> bool:
        installed.append(True)
        return True

    guard = TableGuard(loop, Watch(found), table, install_again)
    guard.start()
    loop.close()
    return guard, table, loop


def test_nothing_is_written_without_a_change() -> None:
    installed: list[bool] = []
    guard, table, loop = started(ForeignChanges(), installed)
    guard.tend()
    assert (guard.changes, guard.repairs, table.forgotten, installed) == (0, 0, 0, [])
    assert len(loop.calls) == 1


def test_a_change_before_the_first_look_is_undone() -> None:
    """Between the making of the watch, behind the first ruleset, and the loop."""
    installed: list[bool] = []
    guard, table, _ = started(ForeignChanges(is_changed=True, by=("nft",)), installed)
    assert (guard.changes, guard.repairs, table.forgotten, installed) == (1, 1, 1, [True])


def test_what_is_not_known_is_written_anew() -> None:
    """Where the answer to a change was lost, once."""
    installed: list[bool] = []
    guard, table, _ = started(ForeignChanges(), installed)
    table.is_known = False
    guard.tend()
    table.is_known = True
    guard.tend()
    assert (guard.changes, guard.repairs, table.forgotten, installed) == (0, 1, 1, [True])


def test_base_chains_of_others_count() -> None:
    installed: list[bool] = []
    guard, table, _ = started(ForeignChanges(base_chains_deleted=2), installed)
    assert (guard.base_chains, guard.changes, table.forgotten) == (2, 0, 0)
