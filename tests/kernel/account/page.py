"""The same numbers as the web page shows them, in a real browser."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.kernel.account.plan import GROUPS, Rule
from tests.kernel.account.sources import Account
from tests.web.chromium import Browser
from tests.web.live import URL

# Every table, with the heading that it stands under, its caption, and for each row its cells by
# the names of their columns.
_TABLES = """
[...document.querySelectorAll('main table')].map(table => ({
  heading: table.closest('section')?.querySelector('h2')?.innerText ?? '',
  caption: table.caption.innerText,
  rows: [...table.tBodies[0].rows].map(row => Object.fromEntries(
    [...row.cells].map(cell => [cell.dataset.label, cell.innerText]))),
}))
"""
_FACTS = """
Object.fromEntries([...document.querySelectorAll('main dl > div')].map(
  pair => [pair.querySelector('dt').innerText, pair.querySelector('dd').innerText]))
"""
_SENT = re.compile(r"([\d\u202f]+) / ([\d\u202f]+) B")


def number(text: str) -> int:
    """As people read it: thousands apart, nothing rounded."""
    return int(text.replace("\u202f", ""))


class PageReader:
    """Goes through the pages."""

    def __init__(self, tab: Browser) -> None:
        self._tab = tab

    def _tables(self, path: str) -> list[dict[str, Any]]:
        self._tab.open(f"{URL}{path}")
        found: list[dict[str, Any]] = self._tab.run(_TABLES)
        return found

    def _facts(self, path: str) -> dict[str, str]:
        self._tab.open(f"{URL}{path}")
        found: dict[str, str] = self._tab.run(_FACTS)
        return found

    def account(self) -> Account:
        """Hits, packets and bytes on the pages of the groups."""
        made = Account()
        for group in GROUPS:
            for table in self._tables(f"/groups/{group}"):
                if table["heading"] in ("Inbound", "Outbound"):
                    for row in table["rows"]:
                        self._add(made, group, table["heading"], row)
        return made

    @staticmethod
    def _add(made: Account, group: str, direction: str, row: Mapping[str, str]) -> None:
        rule = group, direction, row["Rule"].removesuffix(" default")
        if hits := number(row["Hits"]):
            made.hits[rule] = hits
        if row["Packets"] == row["Bytes"] == "-":
            return
        counts = number(row["Packets"]), number(row["Bytes"])
        if any(counts):
            made.traffic[rule] = counts

    def first_packets(self, nics: Sequence[str]) -> dict[tuple[str, str, str], int]:
        """On the pages of network interfaces."""
        found = {}
        for nic in nics:
            facts = self._facts(f"/nics/{nic}")
            for direction in ("Inbound", "Outbound"):
                text = facts[f"First packets {direction.lower()}"]
                match = re.fullmatch(r"([\d\u202f]+) allowed, ([\d\u202f]+) denied", text)
                assert match is not None, text
                for access, count in zip(("Allow", "Deny"), match.groups(), strict=True):
                    if number(count):
                        found[nic, direction, access] = number(count)
        return found

    def flows(self) -> dict[str, int]:
        """The totals of the overview, by access."""
        facts = self._facts("/")
        return {
            word: number(text)
            for name, text in facts.items()
            for word in (name.split()[-1],)
            if word in ("Allow", "Deny")
        }

    def denied(self) -> Counter[Rule]:
        """Who is denied most: how often, by rule."""
        found: Counter[Rule] = Counter()
        for table in self._tables("/denials"):
            if "Denied most" in table["caption"]:
                for row in table["rows"]:
                    group, _, rule = row["Denied by"].partition(" / ")
                    # The table says no direction; no two rules of this lab differ in it alone.
                    found[group, "", rule] += number(row["Told"])
        return found

    def open_flows(self) -> dict[tuple[str, str, str], tuple[int, ...]]:
        """By source, destination and protocol: packets and bytes sent, and received."""
        found = {}
        (table,) = self._tables("/flows")
        for row in table["rows"]:
            counts = (
                number(text)
                for way in ("Sent", "Received")
                for text in _SENT.fullmatch(row[way]).groups()  # type: ignore[union-attr]
            )
            ends = (row[name].partition(" (")[0] for name in ("Source", "Destination"))
            found[*ends, row["Protocol"]] = tuple(counts)
        return found
